"""What the contract's test vectors (`tests.support.vectors`) say of assertions, by a key everybody can read."""

from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwire.assertions import (
    LEEWAY_SECONDS,
    MAX_BYTES,
    Assertion,
    check_assertion_times,
    read_assertion,
)
from shared.edge_keys import EdgeKey, ring_of
from tests.support.assertions import SHOP, assert_, members, nested, of_service, passed_on
from tests.support.tokens import ABSENT, ISSUER

_MINUTE_MS = 60_000


def make_assertion_vectors(secret: bytes, now_ms: int) -> dict[str, Any]:
    """Assertions by the key *secret* of edge-1, and what the service shop makes of each at about *now_ms*."""
    key = EdgeKey.named("edge-1", Ed25519PrivateKey.from_private_bytes(secret))
    cases = [
        *_good(key, now_ms),
        *_at_times(key, now_ms),
        *((case, assertion, now_ms) for case, assertion in _of_headers(key, secret, now_ms)),
        *((case, assert_(claims, key), now_ms) for case, claims in _of_claims(now_ms)),
    ]
    return {
        "edges_jwks": {"keys": [key.public]},
        "issuer": ISSUER,
        "audience": SHOP,
        "cases": [_case(key, *case) for case in cases],
    }


def _case(key: EdgeKey, case: str, assertion: bytes, now_ms: int) -> dict[str, Any]:
    found = read_assertion(assertion, ring_of([key.public]), issuer=ISSUER, audience=SHOP)
    refused = check_assertion_times(found, now_ms) if isinstance(found, Assertion) else found
    row = {"case": case, "assertion": assertion.decode("ascii"), "now_ms": now_ms}
    if refused is not None or not isinstance(found, Assertion):
        return {**row, "refused": refused.code if refused else None}
    read = {"sub": found.sub, "service": found.service, "actors": list(found.actors)}
    return {**row, "refused": None, **read}


def _good(key: EdgeKey, now_ms: int) -> Iterator[tuple[str, bytes, int]]:
    for case, claims in (
        ("a person", members(now_ms=now_ms)),
        ("a service", of_service(now_ms=now_ms)),
        ("a person brought along", passed_on(now_ms=now_ms)),
        ("through three services", passed_on(now_ms=now_ms, act=nested(3))),
        (
            "a service brought along",
            of_service(now_ms=now_ms, sub="first", act={"sub": "till"}),
        ),
        ("with members nobody knows", members(now_ms=now_ms, more=1)),
    ):
        yield case, assert_(claims, key), now_ms


def _at_times(key: EdgeKey, now_ms: int) -> Iterator[tuple[str, bytes, int]]:
    """One assertion at the ends of its life, by the clock of the service."""
    assertion = assert_(members(now_ms=now_ms), key)
    second = now_ms // 1000 * 1000  # an assertion is dated in seconds
    leeway = LEEWAY_SECONDS * 1000
    yield "the last moment of its leeway", assertion, second + _MINUTE_MS + leeway - 1
    yield "run out", assertion, second + _MINUTE_MS + leeway
    yield "a clock that is slow, within the leeway", assertion, second - leeway
    yield "from the future", assertion, second - leeway - 1


def _of_headers(key: EdgeKey, secret: bytes, now_ms: int) -> Iterator[tuple[str, bytes]]:
    """What its signature, its key or its form refuses."""
    claims = members(now_ms=now_ms)
    genuine = assert_(claims, key)
    head, body, signature = genuine.split(b".")
    stranger = EdgeKey.named("edge-1", Ed25519PrivateKey.from_private_bytes(secret[::-1]))
    yield "nothing", b""
    yield "two segments", head + b"." + body
    yield "unsigned", head + b"." + body + b"."
    yield "too long", genuine + b"A" * MAX_BYTES
    yield "padded", genuine + b"="
    yield "changed", b".".join((head, body[:-4] + b"AAAA", signature))
    yield "alg none", assert_(claims, key, alg="none")
    yield "alg HS256", assert_(claims, key, alg="HS256")
    yield "the type of an access token", assert_(claims, key, typ="at+jwt")
    yield "the type of a document", assert_(claims, key, typ="latchwire-document+jws")
    yield "no type", assert_(claims, key, typ=ABSENT)
    yield "a key of its own inside", assert_(claims, stranger, jwk=stranger.public)
    yield "an address of keys inside", assert_(claims, key, jku="https://evil.example")
    yield "critical", assert_(claims, key, crit=["b64"])
    yield "no kid", assert_(claims, key, kid=ABSENT)
    yield "an edge that nobody certified", assert_(claims, stranger)
    yield "another key under an edge's name", assert_(claims, stranger, kid=key.kid)


def _of_claims(now_ms: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """What its members refuse, correctly signed."""
    good = members(now_ms=now_ms)
    yield "for another service", {**good, "aud": "till"}
    yield "for several services", {**good, "aud": ["shop", "till"]}
    yield "of another installation", {**good, "iss": "https://elsewhere.example"}
    yield "longer than a minute", {**good, "exp": good["iat"] + 61}
    yield "over before it began", {**good, "exp": good["iat"]}
    yield "an end that is true", {**good, "exp": True}
    yield "an end as text", {**good, "exp": str(good["exp"])}
    yield "nobody", {**good, "sub": ""}
    yield "a line break in a name", {**good, "sub": "a\r\nb"}
    yield "roles as text", {**good, "roles": "admin"}
    yield "an unknown kind", {**good, "token_type": "root"}
    yield "a service that is a person", {**good, "token_type": "service"}
    yield "a person without an address", {**good, "email": ""}
    yield "a service with roles", of_service(now_ms=now_ms, roles=["admin"])
    yield "a service in another's name", of_service(now_ms=now_ms, sub="somebody")
    yield "brought along by nobody", passed_on(now_ms=now_ms, act=ABSENT)
    yield "brought along by another service", passed_on(now_ms=now_ms, act={"sub": "shop"})
    yield "through five services", passed_on(now_ms=now_ms, act=nested(5))
    yield (
        "an actor with more than a name",
        passed_on(now_ms=now_ms, act={"sub": "till", "roles": ["admin"]}),
    )
    yield "a person with an actor", {**good, "act": {"sub": "till"}}
    for name in good:
        yield f"without {name}", {n: value for n, value in good.items() if n != name}
