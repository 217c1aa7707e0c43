"""What a person sees where an edge has nothing for them: a small page, or the way to log in.

Who is logged in but may not is told so, and never sent round. The page says nothing of why: whoever may not
open a page learns from nothing whether it is there.
"""

import base64
import hashlib
from html import escape
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from services.edge.domain.decision import RENEWABLE, STATUS, Denied
from services.edge.domain.navigation import is_navigation, page_of_form, sign_in_location
from services.edge.domain.original import Fields, Original
from shared.origins import Origins

REFUSED: Final = "/refused"
MAX_WAY: Final = (
    1_500  # characters of a way back: Traefik hands on answers of 4 kB, and nothing of longer ones
)
_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{margin:0;background:#f6f5f2;color:#1d1c1a;font:1rem/1.5 system-ui,sans-serif}"
    "div{max-width:24rem;margin:0 auto;padding:clamp(1.5rem,9vh,6rem) 1rem 3rem;overflow-wrap:anywhere}"
    "header p{margin:0;color:#5c5953}header .site{color:inherit;font-weight:650}"
    "main{margin-top:1.25rem;padding:1.5rem;background:#fff;border-radius:.5rem}"
    "h1{margin:0;font-size:1.375rem;line-height:1.25}a{color:#1c4f9c}p:last-child{margin-bottom:0}"
    "@media(prefers-color-scheme:dark){body{background:#161513;color:#f1efea}main{background:#1f1e1b}"
    "header p{color:#b3afa6}a{color:#9dc1ff}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# A page of the edge's own, whatever the services behind it send with theirs.
PAGE_LINES: Final = (
    b"Content-Type: text/html; charset=utf-8\r\nContent-Security-Policy: %b\r\n"
    b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
) % POLICY.encode("ascii")
# As on auth's pages of a failure; neither part can hold a sign of HTML.
_REFERENCE: Final = b"<p>Reference for support: %b \xc2\xb7 %b</p>\n"
_ANY_PAGE: Final = Original("GET", "https", "gateway", REFUSED)


def refused_page(site_name: str, url: str) -> tuple[bytes, bytes, bytes]:
    """The page, for *site_name* whose auth is at *url*; it has no script and loads nothing.

    Between its parts are the address for logging in as somebody else, for an attribute, and the reference.
    """
    host = urlsplit(url).netloc
    before = (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex">\n'
        f"<title>This is not for you · {escape(site_name)}</title>\n<style>{_STYLE}</style>\n"
        "</head>\n<body>\n<div>\n"
        f'<header>\n<p class="site">{escape(site_name)}</p>\n<p>{escape(host)}</p>\n</header>\n'
        "<main>\n<h1>This is not for you</h1>\n"
        "<p>The account you are logged in with may not open this page, or there is no such page.</p>\n"
        f'<p><a href="{escape(url)}/auth/account">Your account</a></p>\n'
        '<p><a href="'
    )
    return (
        before.encode(),
        b'">Log in as somebody else</a></p>\n',
        b"</main>\n</div>\n</body>\n</html>\n",
    )


class ShownPage(NamedTuple):
    """A page ready to send: header *lines* of its own, without the length, and its *body*."""

    lines: bytes
    body: bytes


class Pages:
    """What browsers are shown or sent to instead of a bare refusal."""

    def __init__(self, origins: Origins, site_name: str) -> None:
        self._origins = origins
        self._parts = refused_page(site_name, origins.url)

    def way_in(self, denied: Denied, fields: Fields) -> str | None:
        """Where a person goes from a 401; None: nobody is looking, or logging in would not help."""
        original = denied.original
        if STATUS[denied.code] != 401 or original is None or not is_person(original, fields):
            return None
        renewable = denied.cookie and denied.code in RENEWABLE
        again = denied.code == "login_too_old"
        unsent = not original.safe
        back = page_of_form(original, fields) if unsent else original
        return sign_in_location(
            self._origins, back, renewable=renewable, again=again, unsent=unsent
        )

    def instead_of(
        self, denied: Denied, fields: Fields, request_id: bytes = b""
    ) -> ShownPage | None:
        """The page for a person who gets a 403; None: nobody is looking."""
        original = denied.original
        if STATUS[denied.code] != 403 or original is None or not is_person(original, fields):
            return None
        return self.refused(original, denied.code.encode("ascii"), request_id)

    def refused(
        self, original: Original | None, code: bytes = b"", request_id: bytes = b""
    ) -> ShownPage:
        """The page of a 403; who logs in as somebody else from there comes back to *original*.

        *code* and *request_id* are what support asks for, as the log has them; one of them alone is nothing.
        """
        before, after, end = self._parts
        way = escape(sign_in_location(self._origins, original, again=True))
        if len(way) > MAX_WAY:
            way = escape(sign_in_location(self._origins, None, again=True))
        named = _REFERENCE % (code, request_id) if code and request_id else b""
        return ShownPage(PAGE_LINES, b"".join((before, way.encode("ascii"), after, named, end)))


def is_person(original: Original, fields: Fields) -> bool:
    """Whether somebody looks at the answer; who comes with a token of its own is a program."""
    return b"authorization" not in fields and is_navigation(original, fields)


def asks_for_page(fields: Fields) -> bool:
    """Whether a gateway that shows our refusals itself asks for a person (``GET /refused``)."""
    return is_person(_ANY_PAGE, fields)
