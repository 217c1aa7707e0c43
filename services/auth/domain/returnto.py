"""Where to go after signing in: to our own origin or one that shares the login, as a browser reads addresses.

Browsers follow the WHATWG URL standard: they drop tabs and newlines, take ``\\`` for ``/``, and read
``https:evil`` and ``//evil`` as another host. Whatever could be read in two ways is refused, not repaired.
"""

import re
from collections.abc import Set
from urllib.parse import unquote, urlsplit

MAX_CHARS = 2048
_SAFE = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#[]@!$&'()*+,;=%"
)
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
# Exactly as a browser writes an origin: another spelling of it is not looked for.
_ABSOLUTE = re.compile(
    r"(https?://[a-z0-9._-]+(?::[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](?::[0-9]{1,5})?)(/.*)?"
)
_PROVIDERS = "/auth/oauth/"
_DOTS = frozenset({".", ".."})  # "/..//evil" becomes "//evil" in whatever tidies paths up


def safe_next(text: str, own: str, others: Set[str] = frozenset()) -> str | None:
    """*text* as a path on *own* (``/a?b#c``) or an address on one of *others*; None when it leads elsewhere.

    *own* and *others* are origins as a browser writes them. A way to a provider leads elsewhere too: a redirect
    of ours would make another site's link look like a press of our own button
    (`services.auth.http.social_routes.begin`).
    """
    if not text or len(text) > MAX_CHARS or not set(text) <= _SAFE:
        return None
    absolute = _ABSOLUTE.fullmatch(text)
    origin, path = (absolute[1], absolute[2] or "/") if absolute else (own, text)
    if not _is_plain_path(path):
        return None
    if origin == own:
        return path
    return origin + path if origin in others else None


def _is_plain_path(text: str) -> bool:
    if not text.startswith("/") or text.startswith("//"):
        return False
    path = urlsplit(f"http://host{text}").path
    return _stays_after_decoding(path)


def _stays_after_decoding(path: str) -> bool:
    """A proxy or a router may decode once or twice; the path must stay a path each time."""
    for _ in range(3):
        if (
            path.startswith(("//", _PROVIDERS))
            or not _DOTS.isdisjoint(path.split("/"))
            or _UNSAFE.search(path)
        ):
            return False
        path, previous = unquote(path, errors="replace"), path
        if path == previous:
            return True
    return False
