"""Assertions, good and broken, for every test that needs one.

>>> token = assert_(members())                         # good, by `EDGE_KEY`, for the service shop
>>> token = assert_(members(aud="till"), typ="JWT")    # for another service, with another header
"""

import json
from typing import Any

from shared.edge_keys import EdgeKey
from shared.ids import b64url
from tests.support.edge import EDGE_KEY
from tests.support.tokens import ABSENT, ISSUER, NOW_MS

SHOP = "shop"


def members(*, now_ms: int = NOW_MS, **over: Any) -> dict[str, Any]:
    """What a good assertion about ada says to the service shop; members replaced or (ABSENT) removed."""
    now = now_ms // 1000
    claims = {
        "iss": ISSUER,
        "aud": SHOP,
        "sub": "ada@example.com",
        "email": "ada@example.com",
        "roles": ["reader"],
        "org": "",
        "permissions": ["orders.read"],
        "sid": "01J00000000000000000000S1D",
        "client_id": "browser",
        "service": "",
        "token_type": "user",
        "amr": ["email"],
        "auth_time": now,
        "iat_ms": now_ms,
        "sst": now_ms,
        "iat": now,
        "exp": now + 60,
        "jti": "01J00000000000000000000JT1",
        **over,
    }
    return {name: value for name, value in claims.items() if value is not ABSENT}


def of_service(**over: Any) -> dict[str, Any]:
    """The same when the service till calls for itself."""
    service = {"sub": "till", "service": "till", "client_id": "till", "token_type": "service"}
    return members(**{**service, "email": "", "roles": [], "amr": [], **over})


def nested(depth: int) -> dict[str, Any]:
    """A chain of so many actors, the last one till."""
    chain: dict[str, Any] = {"sub": "first"}
    for _ in range(depth - 2):
        chain = {"sub": "between", "act": chain}
    return {"sub": "till", "act": chain} if depth > 1 else {"sub": "till"}


def passed_on(**over: Any) -> dict[str, Any]:
    """ada, whom the service till brings along."""
    by = {"service": "till", "client_id": "till", "token_type": "service", "act": {"sub": "till"}}
    return members(**{**by, **over})


def assert_(claims: dict[str, Any], key: EdgeKey = EDGE_KEY, **header: Any) -> bytes:
    """An assertion of *claims* by *key*, with header members replaced or removed."""
    head = {"alg": "EdDSA", "typ": "latchwire-assertion+jwt", "kid": key.kid, **header}
    named = {name: value for name, value in head.items() if value is not ABSENT}
    return assert_bytes(json.dumps(named).encode(), json.dumps(claims).encode(), key)


def assert_bytes(header: bytes, payload: bytes, key: EdgeKey = EDGE_KEY) -> bytes:
    """Exactly these header and payload bytes, correctly signed."""
    signed = f"{b64url(header)}.{b64url(payload)}".encode("ascii")
    return signed + b"." + b64url(key.sign(signed)).encode("ascii")
