"""Cross-site requests: a cookie comes along by itself, so an unsafe request on it must show where it is from.

``same-site`` is not enough: a sibling subdomain is another origin. The same rule stands in auth.
"""

import hashlib
import hmac

from services.edge.domain.original import Fields, Original, one


def is_allowed(original: Original, fields: Fields, expected: str) -> bool:
    """Sec-Fetch-Site, else Origin, else the CSRF token; nothing of all that is a no.

    *expected* is the token's ``csrf`` claim: the hexadecimal SHA-256 of the readable CSRF cookie.
    """
    if one(fields, b"sec-fetch-site") in {b"same-origin", b"none"}:
        return True
    origin = one(fields, b"origin")
    if origin is not None and origin == original.origin.encode():
        return True
    token = one(fields, b"x-csrf-token")
    if not token or not expected:
        return False
    return hmac.compare_digest(hashlib.sha256(token).hexdigest().encode(), expected.encode())
