"""Is a person looking at this, and where do they go to sign in?

A navigating browser is sent to a page; everything else gets a 401 it can act on. Where the browser says
what it is doing (Sec-Fetch-*), that counts; else what it would rather read.
"""

import re
from typing import Final
from urllib.parse import quote

from services.edge.domain.original import Fields, Original, is_websocket, one

MAX_NEXT_CHARS: Final = 2_000
# What auth accepts as a return address; a target with anything else is not offered.
_RETURNABLE: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", re.ASCII)


def is_navigation(original: Original, fields: Fields) -> bool:
    """Whether a browser is loading a page (and not a script, an image or an API client)."""
    if is_websocket(original, fields):
        return False
    mode = one(fields, b"sec-fetch-mode")
    destination = one(fields, b"sec-fetch-dest")
    if mode is not None or destination is not None:
        return mode == b"navigate" or (mode is None and destination == b"document")
    if b"x-requested-with" in fields:
        return False
    return _prefers_html(one(fields, b"accept") or b"")


def sign_in_location(url: str, original: Original, *, renewable: bool) -> str:
    """Where a browser without a valid access token goes; *url* is the public base URL of auth.

    *renewable*: its session may live on, which ``/auth/continue`` finds out and then renews the token.
    """
    page = f"{url}/auth/continue" if renewable else f"{url}/auth/login"
    # Auth only returns to its own origin, so another one is not offered.
    if original.origin != url.lower() or len(original.target) > MAX_NEXT_CHARS:
        return page
    if not _RETURNABLE.fullmatch(original.target):
        return page
    return f"{page}?next={quote(original.target, safe='/')}"


def _prefers_html(accept: bytes) -> bool:
    weights = dict(_weighted(part) for part in accept.lower().split(b","))
    html = weights.get(b"text/html", 0.0)
    return html > 0 and html >= weights.get(b"application/json", 0.0)


def _weighted(part: bytes) -> tuple[bytes, float]:
    """A media range and its quality (RFC 9110 §12.5.1); an odd quality is none."""
    media, *parameters = (piece.strip() for piece in part.split(b";"))
    quality = next((p[2:] for p in parameters if p.startswith(b"q=")), b"1")
    if not re.fullmatch(rb"[01](?:\.[0-9]{0,3})?", quality):
        return media, 0.0
    return media, float(quality)
