"""Cross-site requests: a cookie comes along by itself, so an unsafe request on it must show where it is from.

``same-site`` is not enough: a sibling subdomain is another origin. The same rule stands in auth. A
WebSocket's handshake always names its origin (RFC 6455 §4.1), and nothing else counts for it.
"""

import hashlib
import hmac

from services.edge.domain.original import SAFE_METHODS, Fields, Original, is_websocket, one


def is_forgeable(original: Original, fields: Fields) -> bool:
    """Whether another site could gain from having a browser send this; a handshake is no safe GET."""
    return original.method not in SAFE_METHODS or is_websocket(original, fields)


def is_allowed(original: Original, fields: Fields, expected: str) -> bool:
    """Origin, Sec-Fetch-Site or the CSRF token, any of them; nothing of all that is a no.

    *expected* is the token's ``csrf`` claim: the hexadecimal SHA-256 of the readable CSRF cookie.
    """
    if one(fields, b"origin") == original.origin.encode():
        return True
    if is_websocket(original, fields):
        return False
    if one(fields, b"sec-fetch-site") in {b"same-origin", b"none"}:
        return True
    token = one(fields, b"x-csrf-token")
    if not token or not expected:
        return False
    return hmac.compare_digest(hashlib.sha256(token).hexdigest().encode(), expected.encode())
