"""Cross-site requests: a cookie comes along by itself, so an unsafe request on it must show where it is from.

``same-site`` is not enough: a sibling subdomain is another origin. The same rule stands in auth. A
WebSocket's handshake always names its origin (RFC 6455 §4.1), and nothing else counts for it.

Origins that the catalogue lets in with cookies count as the service's own. A preflight carries no credential
(Fetch §4.8), so it shows only whether a page may ask at all.
"""

import hashlib
import hmac

from services.edge.domain.original import SAFE_METHODS, Fields, Original, is_websocket, one
from shared.catalogue import ANY, Service


def is_forgeable(original: Original, fields: Fields) -> bool:
    """Whether another site could gain from having a browser send this; a handshake is no safe GET."""
    return original.method not in SAFE_METHODS or is_websocket(original, fields)


def is_allowed(original: Original, fields: Fields, expected: str, service: Service) -> bool:
    """Origin, Sec-Fetch-Site or the CSRF token, any of them; nothing of all that is a no.

    *expected* is the token's ``csrf`` claim: the hexadecimal SHA-256 of the readable CSRF cookie.
    """
    origin = one(fields, b"origin")
    if origin == original.origin.encode() or _is_listed(service, origin):
        return True
    if is_websocket(original, fields):
        return False
    if one(fields, b"sec-fetch-site") in {b"same-origin", b"none"}:
        return True
    token = one(fields, b"x-csrf-token")
    if not token or not expected:
        return False
    return hmac.compare_digest(hashlib.sha256(token).hexdigest().encode(), expected.encode())


def may_preflight(service: Service, fields: Fields) -> bool:
    """Whether a page of the request's ``Origin`` may ask for *service* at all."""
    origin = one(fields, b"origin")
    if origin is None or not service.allowed_origins:
        return False
    return ANY in service.allowed_origins or origin.decode("latin-1") in service.allowed_origins


def _is_listed(service: Service, origin: bytes | None) -> bool:
    """Whether pages of *origin* may send cookies; "*" never says that."""
    if origin is None or not service.allow_credentials:
        return False
    name = origin.decode("latin-1")
    return name != ANY and name in service.allowed_origins
