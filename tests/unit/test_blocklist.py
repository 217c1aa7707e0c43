"""The blocklist: exactly what is revoked, for exactly as long, at a bounded cost."""

import pytest

from latchwire.blocklist import Blocklist, Hit
from latchwire.claims import build_claims
from latchwire.records import Record, record_key
from tests.support.tokens import NOW_MS, make_claims

KEY = b"0123456789abcdef0123456789abcdef"
CLAIMS = build_claims(make_claims(sub="u-1", email="ada@example.com"), "kid-1")
HOUR = 3_600_000


def revoked(scope: str, identifier: str, record: Record, now_ms: int = NOW_MS) -> Hit | None:
    """What a list with this one record says of CLAIMS."""
    blocklist = Blocklist(KEY)
    blocklist.apply(record_key(KEY, scope, identifier), record)
    return blocklist.find(blocklist.fingerprint(CLAIMS), now_ms)


@pytest.mark.parametrize(
    ("scope", "identifier"),
    [
        ("token", CLAIMS.jti),
        ("session", CLAIMS.sid),
        ("key", CLAIMS.kid),
        ("service", CLAIMS.client_id),
    ],
)
def test_a_revoked_id_is_refused_until_the_very_end(scope: str, identifier: str) -> None:
    """Refused while now <= until, not a millisecond longer."""
    record = Record(NOW_MS)

    hit = revoked(scope, identifier, record, NOW_MS)

    assert hit == Hit(scope, record_key(KEY, scope, identifier))
    assert revoked(scope, identifier, record, NOW_MS + 1) is None
    assert revoked(scope, "somebody else's", record) is None


@pytest.mark.parametrize("identifier", ["u-1", "ada@example.com"])
def test_a_subject_is_refused_under_its_id_and_under_its_address(identifier: str) -> None:
    """With accounts on, an operator may name either."""
    until = NOW_MS + HOUR

    assert revoked("subject", identifier, Record(until, sessions_before=CLAIMS.sst))
    assert revoked("subject", identifier, Record(until, tokens_before=CLAIMS.iat_ms))
    assert revoked("subject", identifier, Record(until, CLAIMS.sst - 1, CLAIMS.iat_ms - 1)) is None


def test_only_tokens_issued_before_the_watermark_are_hit() -> None:
    """tokens_before alone leaves the session able to get new tokens."""
    blocklist = Blocklist(KEY)
    blocklist.apply(record_key(KEY, "subject", "u-1"), Record(NOW_MS + HOUR, 0, CLAIMS.iat_ms))
    later = build_claims(make_claims(sub="u-1", iat_ms=CLAIMS.iat_ms + 1), "kid-1")

    assert blocklist.find(blocklist.fingerprint(later), NOW_MS) is None
    assert blocklist.subject_watermark("u-1") == Record(NOW_MS + HOUR, 0, CLAIMS.iat_ms)
    assert blocklist.subject_watermark("u-2") is None


def test_an_older_record_never_shortens_a_newer_one() -> None:
    """Replaying a year of events changes nothing."""
    blocklist = Blocklist(KEY)
    key, subject = record_key(KEY, "session", CLAIMS.sid), record_key(KEY, "subject", "u-1")

    assert blocklist.apply(key, Record(NOW_MS + HOUR))
    assert not blocklist.apply(key, Record(NOW_MS - HOUR))
    assert blocklist.apply(subject, Record(NOW_MS + HOUR, 5, 7))
    assert not blocklist.apply(subject, Record(NOW_MS, 4, 7))
    assert blocklist.find(blocklist.fingerprint(CLAIMS), NOW_MS + HOUR) == Hit("session", key)


def test_expired_records_are_forgotten_in_steps_that_cannot_stall_the_loop() -> None:
    """A sweep looks at about as many as its limit, and after a round everything dead is gone."""
    blocklist = Blocklist(KEY)
    for number in range(1000):
        blocklist.apply(record_key(KEY, "token", str(number)), Record(NOW_MS))
    alive = record_key(KEY, "subject", "u-1")
    blocklist.apply(alive, Record(NOW_MS, 1))
    blocklist.apply(alive, Record(NOW_MS + HOUR, 1))

    assert blocklist.sweep(NOW_MS, 10_000) == 0
    gone = [blocklist.sweep(NOW_MS + 1, 300) for _ in range(6)]

    assert sum(gone) == 1000
    assert 200 < max(gone) < 300 + 60  # a bucket more at the most
    assert len(blocklist) == 1
    assert blocklist.subject_watermark("u-1") == Record(NOW_MS + HOUR, 1)


def test_what_has_lapsed_refuses_nobody_before_it_is_swept() -> None:
    """The sweep is house-keeping only."""
    assert revoked("session", CLAIMS.sid, Record(NOW_MS), NOW_MS + 1) is None


def test_a_retired_list_is_taken_apart_in_steps() -> None:
    """Dropping a million entries at once would hold up every check."""
    blocklist = Blocklist(KEY)
    for number in range(1000):
        blocklist.apply(record_key(KEY, "token", str(number)), Record(NOW_MS))
    blocklist.apply(record_key(KEY, "subject", "u"), Record(NOW_MS))

    assert blocklist.dismantle(300)
    left = len(blocklist)
    steps = 1
    while blocklist.dismantle(300):
        steps += 1

    assert 600 < left < 800
    assert (len(blocklist), steps) in [(0, n) for n in range(3, 6)]


def test_a_token_without_a_client_is_not_hit_by_a_key_of_zeros() -> None:
    """What a token does not name has no key, and no key of the stream stands for it."""
    blocklist = Blocklist(KEY)
    for letter in "jskvu":
        blocklist.apply(letter + "a" * 26, Record(NOW_MS + HOUR, NOW_MS, NOW_MS))
    nameless = build_claims(make_claims(sub="u-1", email="", client_id=""), "kid-1")

    assert blocklist.find(blocklist.fingerprint(nameless), NOW_MS) is None


@pytest.mark.parametrize("key", ["", "j", "j" + "a" * 25, "x" + "a" * 26, "j" + "a" * 25 + "b"])
def test_what_is_no_key_is_not_taken_for_one(key: str) -> None:
    """Two texts of one digest would be one record here and two in the stream."""
    with pytest.raises(ValueError):
        Blocklist(KEY).apply(key, Record(NOW_MS))
