"""The table of forged assertions: none is believed, each for its own reason; and what a verifier remembers."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from latchwire.assertions import MAX_BYTES, Assertion, AssertionVerifier, read_assertion
from latchwire.keys import KeyRing
from latchwire.testing import FakeClock, FakeEdge, FakeFeed, FakeIssuer
from latchwire.tokens import Refused
from shared.edge_keys import EdgeKey, ring_of
from tests.support.assertions import (
    SHOP,
    assert_,
    assert_bytes,
    members,
    nested,
    of_service,
    passed_on,
)
from tests.support.edge import EDGE_KEY
from tests.support.tokens import ABSENT, ISSUER, make_claims, ring, sign, signing_key

STRANGER = EdgeKey.named("edge-1", Ed25519PrivateKey.generate())
EDGES = ring_of([EDGE_KEY.public])


def read(token: bytes) -> Assertion | Refused:
    """What the service shop makes of *token*."""
    return read_assertion(token, EDGES, issuer=ISSUER, audience=SHOP)


GOOD: list[tuple[str, dict[str, Any], str, tuple[str, ...]]] = [
    ("a person", members(), "ada@example.com", ()),
    ("a service", of_service(), "till", ()),
    ("a person brought along", passed_on(), "ada@example.com", ("till",)),
    ("through three services", passed_on(act=nested(3)), "ada@example.com", ("till", "between", "first")),
    ("a service brought along", of_service(sub="first", act={"sub": "till"}), "first", ("till",)),
    ("with members we do not know", members(more=1), "ada@example.com", ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "claims", "sub", "actors"), GOOD, ids=[row[0] for row in GOOD])
def test_what_an_edge_says_is_read(
    name: str, claims: dict[str, Any], sub: str, actors: tuple[str, ...]
) -> None:
    """Who it is about, and through whom they came."""
    found = read(assert_(claims))

    assert isinstance(found, Assertion), found
    assert (found.sub, found.actors, found.kid) == (sub, actors, EDGE_KEY.kid)
    assert found.is_person == ("@" in sub)


BAD_CLAIMS: list[tuple[dict[str, Any], str]] = [
    (members(aud="till"), "aud is another"),
    (members(aud=[SHOP]), "aud"),
    (members(aud=ABSENT), "aud"),
    (members(iss="https://elsewhere.example"), "iss is another"),
    (members(exp=members()["iat"] + 61), "lifetime above the ceiling"),
    (members(exp=members()["iat"]), "lifetime above the ceiling"),
    (members(exp=True), "exp"),
    (members(iat=1.5), "iat"),
    (members(exp="1800000060"), "exp"),
    (members(sub=""), "sub"),
    (members(sub="a\r\nb"), "sub"),
    (members(sub="a" * 256), "sub"),
    (members(roles="admin"), "roles"),
    (members(roles=["a"] * 65), "roles"),
    (members(roles=[""]), "roles"),
    (members(token_type="root"), "token_type"),
    (members(token_type=["user"]), "token_type"),
    (members(token_type="service"), "service"),
    (members(service="till"), "service"),
    (members(email=""), "email"),
    (of_service(roles=["admin"]), "email"),
    (of_service(sub="somebody"), "act"),
    (of_service(email="ada@example.com"), "act"),
    (passed_on(act=ABSENT), "act"),
    (passed_on(act={"sub": "shop"}), "act"),
    (passed_on(act=nested(5)), "act"),
    (passed_on(act={"sub": "till", "roles": ["admin"]}), "act"),
    (passed_on(act="till"), "act"),
    (passed_on(act={"act": {"sub": "till"}}), "act"),
    (members(act={"sub": "till"}), "act"),
    *((members(**{name: ABSENT}), name) for name in members()),
]


@pytest.mark.parametrize(("claims", "detail"), BAD_CLAIMS)
def test_claims_that_are_not_exactly_right_are_refused_for_their_own_reason(
    claims: dict[str, Any], detail: str
) -> None:
    """Another service's, a longer life, a person without an address, a chain that does not fit."""
    assert read(assert_(claims)) == Refused("token_invalid", detail)


GENUINE = assert_(members())
HEAD, BODY, SIGNATURE = GENUINE.split(b".")
KEY_AS_RSA = signing_key("RS256")
HEADER_MEMBERS = "header is not exactly alg, typ and kid"
RIGHT = b'{"alg":"EdDSA","typ":"latchwire-assertion+jwt","kid":"%b"}' % EDGE_KEY.kid.encode()
NO_OBJECT = "payload is not one JSON object"
BAD_TOKENS: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "not three segments of at most 8 kB"),
    ("two segments", b"a.b", "not three segments of at most 8 kB"),
    ("unsigned", HEAD + b"." + BODY + b".", "not three segments of at most 8 kB"),
    ("too long", GENUINE + b"A" * MAX_BYTES, "not three segments of at most 8 kB"),
    ("padded", GENUINE + b"=", "not canonical base64url"),
    ("changed", HEAD + b"." + BODY[:-2] + b"AA." + SIGNATURE, "signature"),
    ("alg none", assert_(members(), alg="none"), "alg is not EdDSA"),
    ("alg HS256", assert_(members(), alg="HS256"), "alg is not EdDSA"),
    ("of an access token's type", assert_(members(), typ="at+jwt"), "typ"),
    ("of another case", assert_(members(), typ="LATCHWIRE-ASSERTION+JWT"), "typ"),
    ("a document's type", assert_(members(), typ="latchwire-document+jws"), "typ"),
    ("with a key inside", assert_(members(), jwk={"kty": "OKP"}), HEADER_MEMBERS),
    ("with an address of keys", assert_(members(), jku="https://evil.example"), HEADER_MEMBERS),
    ("critical", assert_(members(), crit=["b64"]), HEADER_MEMBERS),
    ("without kid", assert_(members(), kid=ABSENT), HEADER_MEMBERS),
    ("kid of a number", assert_(members(), kid=7), "kid unknown"),
    ("by an edge that nobody certified", assert_(members(), STRANGER), "kid unknown"),
    ("under another edge's name", assert_(members(), STRANGER, kid=EDGE_KEY.kid), "signature"),
    ("a claim twice", assert_bytes(RIGHT, b'{"sub":"a","sub":"b"}'), NO_OBJECT),
    ("a list", assert_bytes(RIGHT, b"[]"), NO_OBJECT),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "token", "detail"), BAD_TOKENS, ids=[row[0] for row in BAD_TOKENS]
)
def test_a_forged_assertion_is_refused_for_its_own_reason(
    name: str, token: bytes, detail: str
) -> None:
    """None of them is read as one of an edge's."""
    assert read(token) == Refused("token_invalid", detail)


def test_an_access_token_is_no_assertion_and_an_assertion_no_access_token() -> None:
    """Neither key nor type is the other's, also when one ring had both."""
    both = KeyRing.from_jwks({"keys": [EDGE_KEY.public, signing_key("EdDSA").public_jwk()]})
    token = sign(make_claims(aud=SHOP), signing_key("EdDSA"))

    found = read_assertion(token, both, issuer=ISSUER, audience=SHOP)

    assert found == Refused("token_invalid", "typ")
    issuer = FakeIssuer()
    verifier = issuer.verifier(FakeFeed(clock=issuer.clock))
    assert verifier.verify(GENUINE) == Refused("token_invalid", "typ")
    assert ring().find(EDGE_KEY.kid) is None


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything(noise: bytes) -> None:
    """Whatever stands in the header of a request."""
    assert isinstance(read(noise), Refused)
    assert isinstance(read(HEAD + b"." + noise), Refused)


def mutated(position: int) -> bytes:
    """`GENUINE` with one character changed to another of the alphabet."""
    old = GENUINE[position : position + 1]
    return GENUINE[:position] + (b"A" if old != b"A" else b"B") + GENUINE[position + 1 :]


def test_no_character_of_an_assertion_may_change() -> None:
    """Each one is covered by the signature, or by the one spelling that counts."""
    places = [at for at in range(len(GENUINE)) if GENUINE[at : at + 1] != b"."]

    assert all(isinstance(read(mutated(at)), Refused) for at in places)


@dataclass(frozen=True)
class World:
    """What an assertion depends on."""

    clock: FakeClock
    feed: FakeFeed
    edge: FakeEdge


Change = Callable[[World], None]
CHANGES: list[tuple[str, Change, str | None]] = [
    ("nothing", lambda _: None, None),
    ("its minute is over", lambda w: w.clock.advance(65), "token_expired"),
    ("its last second and the leeway", lambda w: w.clock.advance(64.9), None),
    ("the clock stands before it", lambda w: w.clock.advance(-6), "token_invalid"),
    ("the session ends", lambda w: w.feed.revoke_session("s"), "token_revoked"),
    ("the token is revoked", lambda w: w.feed.revoke_token("j"), "token_revoked"),
    ("the person is revoked", lambda w: w.feed.revoke_subject("ada@example.com"), "token_revoked"),
    ("somebody else is", lambda w: w.feed.revoke_subject("eve@example.com"), None),
    ("the edge is withdrawn", lambda w: w.feed.revoke_key(w.edge.kid), "token_revoked"),
    ("the client is revoked", lambda w: w.feed.revoke_service("browser"), "token_revoked"),
    ("nobody can tell", lambda w: w.feed.go_stale(), "stale"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "code"), CHANGES, ids=[row[0] for row in CHANGES])
def test_time_and_revocations_are_asked_each_time(
    name: str, change: Change, code: str | None
) -> None:
    """An assertion that was verified before is no better than a new one."""
    clock = FakeClock()
    world = World(clock, FakeFeed(clock=clock), FakeEdge(clock=clock))
    verifier = world.edge.verifier(SHOP, world.feed)
    token = world.edge.assertion(SHOP, sid="s", jti="j")
    assert isinstance(verifier.verify(token), Assertion)
    if code is None or code == "token_revoked":
        clock.advance(0.001)

    change(world)

    found = verifier.verify(token)
    assert (found.code if isinstance(found, Refused) else None) == code


def test_without_a_feed_an_assertion_holds_for_its_minute_and_no_longer() -> None:
    """The simplest service: a name, an address and the edges' keys."""
    edge = FakeEdge()
    verifier = edge.verifier(SHOP)
    token = edge.assertion(SHOP)

    assert isinstance(verifier.verify(token), Assertion)
    assert isinstance(edge.clock, FakeClock)
    edge.clock.advance(65)
    assert verifier.verify(token) == Refused("token_expired", "exp")


def test_an_edge_whose_key_was_taken_away_is_refused_at_once() -> None:
    """Also what was verified with it a moment ago."""
    edge, other = FakeEdge(), FakeEdge(kid="edge-2.00000000")
    verifier = edge.verifier(SHOP)
    token = edge.assertion(SHOP)
    assert isinstance(verifier.verify(token), Assertion)

    verifier.replace_keys(other.keys)

    assert verifier.verify(token) == Refused("token_invalid", "kid unknown")


def test_a_feed_that_comes_later_is_asked() -> None:
    """What was verified without one is looked at again."""
    edge = FakeEdge()
    feed = FakeFeed(clock=edge.clock)
    verifier = edge.verifier(SHOP)
    token = edge.assertion(SHOP, sid="s")
    assert isinstance(verifier.verify(token), Assertion)

    feed.revoke_session("s")
    verifier.attach(feed)

    assert verifier.verify(token) == Refused("token_revoked", "session")


def test_a_verifier_needs_to_know_whose_and_for_whom() -> None:
    """An empty audience would fit an empty claim."""
    for issuer, audience in (("", SHOP), (ISSUER, "")):
        with pytest.raises(ValueError, match="must be given"):
            AssertionVerifier(EDGES, issuer, audience)


def test_the_fake_edge_says_what_a_real_one_says() -> None:
    """The same members, so that a test of yours that passes is not about another format."""
    payload = FakeEdge().assertion(SHOP).split(".")[1]

    told = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert told.keys() == members().keys()
