"""Our four cookies: read (never two of a name), set, and cleared with the same attributes.

========  =================================  ========  =========  ==========================
cookie    name on https                      SameSite  Path       holds
========  =================================  ========  =========  ==========================
access    ``__Host-latchwire``               Lax       ``/``      the access token
refresh   ``__Secure-latchwire-refresh``     Strict    ``/auth``  the refresh token
login     ``__Host-latchwire-login``         Lax       ``/``      which browser asked
csrf      ``__Host-latchwire-csrf``          Lax       ``/``      readable by the site's scripts
========  =================================  ========  =========  ==========================

The access cookie outlives its token on purpose: an edge that sees an expired token sends the browser to
renew it, an edge that sees none sends the person to sign in.
"""

import hashlib
import re
from typing import Literal

from aiohttp import web

from services.auth.domain.outcomes import Tokens
from services.auth.http.context import context_of
from services.auth.http.problems import Problem

BROWSER_SECONDS = 180 * 86_400
# Only these stand around a name or a value (RFC 6265 §5.2): with every space of Unicode gone, a name that a
# browser takes for another, and so guards by no prefix, would be ours.
_SPACE = " \t"
_NONCE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SameSite = Literal["Lax", "Strict"]


def read_cookie(request: web.Request, name: str) -> str:
    """The value of cookie *name*, "" when absent.

    Parsers disagree about which of two equal names counts (aiohttp takes the last of a line, Go the first),
    so two are refused (yardstick S-08).

    Raises:
        Problem: the name occurs more than once, over all Cookie headers.
    """
    values = read_cookies(request, name)
    if len(values) > 1:
        raise Problem(400, "two_credentials")
    return values[0] if values else ""


def read_cookies(request: web.Request, name: str) -> list[str]:
    """Every value of cookie *name*, in the order of the request."""
    return [
        value.strip(_SPACE).strip('"')
        for header in request.headers.getall("Cookie", [])
        for key, _, value in (pair.partition("=") for pair in header.split(";"))
        if key.strip(_SPACE) == name
    ]


def read_browser(request: web.Request) -> str:
    """The hash of this browser's pre-login value; "" when it has none."""
    nonce = _read_nonce(request)
    return hash_browser(nonce) if nonce else ""


def hash_browser(nonce: str) -> str:
    """What is stored of a pre-login value."""
    return hashlib.sha256(nonce.encode()).hexdigest()


def ensure_browser(request: web.Request) -> str:
    """This browser's pre-login value, or a new one; pass it to `set_browser` on the response."""
    return _read_nonce(request) or context_of(request).ids.secret()


def set_browser(request: web.Request, response: web.StreamResponse, nonce: str) -> None:
    """Remember the browser for 180 days, from each time it asks for a link."""
    names = context_of(request).cookies
    _set(request, response, names.login, nonce, BROWSER_SECONDS, "Lax")


def set_session(request: web.Request, response: web.StreamResponse, tokens: Tokens) -> None:
    """Put *tokens* (issued in cookie mode) into the three cookies of a session."""
    names, seconds = context_of(request).cookies, tokens.session_seconds
    _set(request, response, names.access, tokens.access, seconds, "Lax", shared=True)
    _set(request, response, names.refresh, tokens.refresh, seconds, "Strict", path="/auth")
    _set(request, response, names.csrf, tokens.csrf, seconds, "Lax", shared=True, readable=True)


def clear_session(request: web.Request, response: web.StreamResponse) -> None:
    """Forget the session in this browser; what tells the browser apart stays."""
    names = context_of(request).cookies
    _set(request, response, names.access, "", 0, "Lax", shared=True)
    _set(request, response, names.refresh, "", 0, "Strict", path="/auth")
    _set(request, response, names.csrf, "", 0, "Lax", shared=True, readable=True)


def _read_nonce(request: web.Request) -> str:
    nonce = read_cookie(request, context_of(request).cookies.login)
    return nonce if _NONCE.fullmatch(nonce) else ""


def _set(
    request: web.Request,
    response: web.StreamResponse,
    name: str,
    value: str,
    max_age: int,
    same_site: _SameSite,
    *,
    path: str = "/",
    shared: bool = False,
    readable: bool = False,
) -> None:
    names = context_of(request).cookies
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=path,
        domain=names.domain if shared else None,
        secure=names.secure,
        httponly=not readable,
        samesite=same_site,
    )
