"""Where to go after signing in: our own origin only, as a browser would understand the address.

Browsers follow the WHATWG URL standard: they drop tabs and newlines, take ``\\`` for ``/``, and read
``https:evil`` and ``//evil`` as another host. Whatever could be read in two ways is refused, not repaired.
"""

import re
from urllib.parse import unquote, urlsplit

MAX_CHARS = 2048
_SAFE = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#[]@!$&'()*+,;=%"
)
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_PROVIDERS = "/auth/oauth/"
_DOTS = frozenset({".", ".."})  # "/..//evil" becomes "//evil" in whatever tidies paths up


def safe_next(text: str, origin: str) -> str | None:
    """*text* as a path on *origin* (``/a?b#c``), or None when it leads, or might lead, elsewhere.

    A way to a provider leads elsewhere too: a redirect of ours would make another site's link look like a
    press of our own button (`services.auth.http.social_routes.begin`).
    """
    if not text or len(text) > MAX_CHARS or not set(text) <= _SAFE:
        return None
    if text == origin:
        return "/"
    path = text[len(origin) :] if text.startswith(origin + "/") else text
    return path if _is_plain_path(path) else None


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
