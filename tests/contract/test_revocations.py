"""The port `Revocations`: the fake that unit tests decide with behaves like the real feed's adapter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from nats.aio.client import Client

from latchwire.blocklist import Hit
from latchwire.claims import build_claims
from latchwire.feed import RevocationFeed
from latchwire.records import Record, record_key
from services.edge.adapters.feed_revocations import FeedRevocations
from services.edge.ports import Revocations
from tests.support.fakes.revocations import FakeRevocations
from tests.support.tokens import NOW_MS, make_claims

KEY = b"contract" * 4
CLAIMS = build_claims(make_claims(), "kid")


@dataclass
class Subject:
    """An implementation and how a test reaches behind it."""

    revocations: Revocations
    revoke: Callable[[str, str, Record], None]
    prove: Callable[[float], None]  # the last proof is this many seconds old


def fake() -> Subject:
    """The fake."""
    revocations = FakeRevocations(KEY)
    revocations.staleness = float("inf")

    def prove(seconds: float) -> None:
        revocations.staleness = seconds

    return Subject(revocations, revocations.revoke, prove)


def feed() -> Subject:
    """The adapter over a feed whose clocks stand still; no server is asked."""
    clocks: dict[str, Any] = {"monotonic": lambda: 1_000.0, "now_ms": lambda: NOW_MS}
    inner = RevocationFeed(Client(), hash_key=KEY, **clocks)
    revocations = FeedRevocations(KEY)
    revocations.attach(inner)

    def revoke(scope: str, identifier: str, record: Record) -> None:
        inner.blocklist.apply(record_key(KEY, scope, identifier), record)
        inner.seq += 1

    def prove(seconds: float) -> None:
        inner._proof.assume(seconds)

    return Subject(revocations, revoke, prove)


@pytest.fixture(params=[fake, feed])
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each implementation in turn."""
    made: Subject = request.param()
    return made


def test_before_the_first_proof_it_is_infinitely_stale(subject: Subject) -> None:
    """Then as stale as the proof is old."""
    assert subject.revocations.staleness_seconds() == float("inf")

    subject.prove(2.5)

    assert subject.revocations.staleness_seconds() == 2.5


def test_what_is_revoked_is_found_under_the_claims_fingerprint(subject: Subject) -> None:
    """And only that; the size and the sequence follow."""
    revocations = subject.revocations
    fingerprint = revocations.fingerprint(CLAIMS)
    assert revocations.find(fingerprint, NOW_MS) is None

    subject.revoke("session", "another", Record(NOW_MS))
    assert revocations.find(fingerprint, NOW_MS) is None
    subject.revoke("session", CLAIMS.sid, Record(NOW_MS))

    assert revocations.find(fingerprint, NOW_MS) == Hit(
        "session", record_key(KEY, "session", CLAIMS.sid)
    )
    assert revocations.find(fingerprint, NOW_MS + 1) is None
    assert (revocations.size, revocations.seq) == (2, 2)


def test_a_fingerprint_stays_good_for_the_life_of_the_process(subject: Subject) -> None:
    """It is kept with the verified token."""
    assert subject.revocations.fingerprint(CLAIMS) == subject.revocations.fingerprint(CLAIMS)


def test_a_key_is_found_by_its_name_alone(subject: Subject) -> None:
    """What else a token of it names is not looked at."""
    key = subject.revocations.key_fingerprint("k1")
    subject.revoke("session", "k1", Record(NOW_MS))
    assert subject.revocations.find(key, NOW_MS) is None

    subject.revoke("key", "k1", Record(NOW_MS))

    assert subject.revocations.find(key, NOW_MS) == Hit("key", record_key(KEY, "key", "k1"))


def test_without_a_feed_nothing_is_known_and_nothing_is_fresh() -> None:
    """The edge before it has a connection."""
    alone = FeedRevocations(KEY)

    assert (alone.epoch, alone.seq, alone.size) == ("", 0, 0)
    assert alone.staleness_seconds() == float("inf")
    assert alone.fingerprint(CLAIMS) == feed().revocations.fingerprint(CLAIMS)
