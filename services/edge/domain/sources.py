"""Where each proxy says what it was asked for: exactly one source each, and no other is looked at.

A client may send any header, and a proxy passes most of them on. So a door reads the lines that its proxy
writes itself and never falls back on another family (tinyauth PR #1044: the attacker adds the preferred one).
"""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from services.edge.domain.original import Asking, Fields, one

# Method of the check itself, what stands in its path behind ``/@``, its fields; None: cannot be told.
Source: TypeAlias = Callable[[str, str, Fields], Asking | None]

# nginx's $scheme://$http_host$request_uri; an absent Host leaves nothing between the slashes.
_URL: Final = re.compile(rb"(https?)://([^/?#@\\]+)(/[^\r\n]*)")


def forwarded(_method: str, _rest: str, fields: Fields) -> Asking | None:
    """Traefik, Caddy and our script for HAProxy: ``X-Forwarded-{Method,Proto,Host,Uri}``, each once."""
    try:
        (method,), (proto,) = fields[b"x-forwarded-method"], fields[b"x-forwarded-proto"]
        (host,), (target,) = fields[b"x-forwarded-host"], fields[b"x-forwarded-uri"]
    except (KeyError, ValueError):
        return None  # missing or repeated
    return Asking(method, proto, host, target)


def original_url(_method: str, _rest: str, fields: Fields) -> Asking | None:
    """nginx: ``X-Original-Method`` and the absolute ``X-Original-URL``."""
    method, url = one(fields, b"x-original-method"), one(fields, b"x-original-url")
    found = _URL.fullmatch(url or b"")
    if method is None or found is None:
        return None
    return Asking(method, *found.groups())


def own_line(method: str, rest: str, fields: Fields) -> Asking | None:
    """Envoy: the check has the method, the target (behind the prefix) and the Host of the request itself."""
    proto, host = one(fields, b"x-forwarded-proto"), one(fields, b"host")
    if proto is None or host is None:
        return None
    return Asking(_raw(method), proto, host, _raw(rest))


def _raw(text: str) -> bytes:
    """The bytes that the HTTP parser made *text* of."""
    return text.encode("utf-8", "surrogateescape")
