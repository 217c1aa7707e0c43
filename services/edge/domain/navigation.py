"""Is a person looking at this, and where do they go to sign in?

A navigating browser is sent to a page; everything else gets a 401 it can act on. Where the browser says
what it is doing (Sec-Fetch-*), that counts; else what it would rather read.
"""

import re
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from services.edge.domain.original import Fields, Original, is_websocket, one
from shared.origins import Origins

MAX_NEXT_CHARS: Final = 2_000
# What auth accepts as a return address; a target with anything else is not offered.
_RETURNABLE: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", re.ASCII)
# What a navigation may be for: a window, or a frame in one. `embed` and `object` show things, not pages.
_WINDOWS: Final = frozenset({b"document", b"iframe", b"frame"})
_JSON: Final = (b"application/json", b"application/*", b"*/*")
# Of what it would rather read: several times what browsers say. An edge has one thread, and anybody gets here.
MAX_ACCEPT_BYTES: Final = 1024
MAX_RANGES: Final = 32
_QUALITY: Final = re.compile(rb"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def is_navigation(original: Original, fields: Fields) -> bool:
    """Whether a browser is loading a page (and not a script, an image or an API client)."""
    if is_websocket(original, fields):
        return False
    modes, purposes = fields.get(b"sec-fetch-mode", ()), fields.get(b"sec-fetch-dest", ())
    if modes or purposes:
        # Each once, or it is no browser that speaks.
        mode = modes[0] if modes else b"navigate"
        purpose = purposes[0] if purposes else b"document"
        return max(len(modes), len(purposes)) == 1 and mode == b"navigate" and purpose in _WINDOWS
    if b"x-requested-with" in fields:
        return False
    return _prefers_html(b",".join(fields.get(b"accept", ())))


def sign_in_location(
    origins: Origins,
    original: Original | None,
    *,
    renewable: bool = False,
    again: bool = False,
    unsent: bool = False,
) -> str:
    """Where a browser without a valid access token goes, with the address that brings it back.

    *renewable*: its session may live on, which ``/auth/continue`` finds out and then renews the token.
    *again*: a new login is what is wanted, also of who is logged in. *unsent*: they sent a form, and are told
    that it is lost. Without *original* there is no way back.
    """
    page = f"{origins.url}/auth/continue" if renewable else f"{origins.url}/auth/login"
    back = _way_back(origins, original) if original else ""
    query = [f"next={quote(back, safe='/')}"] * bool(back)
    query += ["again=1"] * again + ["unsent=1"] * unsent
    return f"{page}?{'&'.join(query)}" if query else page


def page_of_form(original: Original, fields: Fields) -> Original:
    """The page on which the form *original* was filled in; *original* where the browser does not say.

    What answers a form often answers nothing else: whoever comes back to its own address would get a 405.
    """
    page = (one(fields, b"referer") or b"").decode("ascii", "replace")
    target = page.removeprefix(original.origin)
    fits = target != page and target.startswith("/") and _RETURNABLE.fullmatch(target)
    return replace(original, method="GET", target=target) if fits else original


def _way_back(origins: Origins, original: Original) -> str:
    """The address asked for; "" where the login does not reach, because auth would not send anybody there."""
    target = original.target
    if len(target) > MAX_NEXT_CHARS or not _RETURNABLE.fullmatch(target):
        return ""
    if original.origin == origins.own:
        return target
    back = original.origin + target
    fits = len(back) <= MAX_NEXT_CHARS
    return back if fits and origins.shares(original.origin) else ""


def _prefers_html(accept: bytes) -> bool:
    """A page is asked for by its name, and JSON is not wanted more (RFC 9110 §12.5.1)."""
    if len(accept) > MAX_ACCEPT_BYTES or accept.count(b",") >= MAX_RANGES:
        return False
    weights: dict[bytes, float] = {}
    for part in accept.lower().split(b","):
        media, quality = _weighted(part)
        weights[media] = max(quality, weights.get(media, 0.0))
    named = weights.get(b"text/html", 0.0)
    return named > 0 and named >= _quality(weights, _JSON)


def _quality(weights: dict[bytes, float], ranges: tuple[bytes, ...]) -> float:
    """Of a type, by the nearest range that was sent."""
    return next((weights[media] for media in ranges if media in weights), 0.0)


def _weighted(part: bytes) -> tuple[bytes, float]:
    """A media range and its quality; an odd quality is none."""
    media, *parameters = (piece.strip() for piece in part.split(b";"))
    quality = next((p[2:] for p in parameters if p.startswith(b"q=")), b"1")
    return media, float(quality) if _QUALITY.fullmatch(quality) else 0.0
