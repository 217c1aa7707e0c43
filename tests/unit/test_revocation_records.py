"""Which record an event becomes, and which instants it may name."""

import pytest

from latchwire.blocklist import Blocklist
from latchwire.records import Record, record_key
from services.revocation.domain.clock import LATE_MS, MAX_SKEW_MS, Times, watermark_ms
from services.revocation.domain.records import (
    ACCESS_LIFE_MS,
    KEY_LIFE_MS,
    MARGIN_MS,
    SESSION_LIFE_MS,
    identifier_of,
    revocation_of,
)
from shared.emails import InvalidEmailError
from shared.messages import TokenRevoked

NOW = 1_795_312_000_000
STORED = NOW - 3
TIMES = Times(now_ms=NOW, stored_at_ms=STORED, store_ms=NOW + 1)
STAMP = STORED + MAX_SKEW_MS
DAY = 24 * 3600 * 1000
DECADE = STORED + KEY_LIFE_MS + MARGIN_MS
WEEK = STORED + SESSION_LIFE_MS + MARGIN_MS


def event(**fields: object) -> TokenRevoked:
    """An event as the contract decodes it."""
    return TokenRevoked.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"scope": "token", "jti": "j"}, Record(STORED + ACCESS_LIFE_MS + MARGIN_MS)),
        (
            {"scope": "token", "jti": "j", "affected_until": NOW + 9},
            Record(NOW + 9 + MARGIN_MS),
        ),
        ({"scope": "session", "sid": "s"}, Record(WEEK)),
        (
            {"scope": "session", "sid": "s", "affected_until": NOW + 60_000},
            Record(NOW + 60_000 + MARGIN_MS),
        ),
        ({"scope": "key", "kid": "k"}, Record(DECADE)),
        ({"scope": "service", "service": "v"}, Record(DECADE)),
        (
            {"scope": "key", "kid": "k", "affected_until": NOW + 60_000},
            Record(NOW + 60_000 + MARGIN_MS),
        ),
        ({"scope": "subject", "sub": "u"}, Record(WEEK, sessions_before=STAMP)),
        (
            {"scope": "subject", "sub": "u", "applies_to": "access"},
            Record(WEEK, tokens_before=STAMP),
        ),
        (
            {"scope": "subject", "sub": "u", "applies_to": "sessions", "before": NOW - 500},
            Record(WEEK, sessions_before=NOW - 500),
        ),
    ],
)
def test_each_scope_lives_as_long_as_what_it_hits(
    fields: dict[str, object], expected: Record
) -> None:
    """The table of DESIGN section 8, leeway and skew included."""
    found = revocation_of(event(**fields), TIMES)

    assert found is not None
    assert found.record == expected


@pytest.mark.parametrize("scope", ["token", "session", "key", "service", "subject"])
def test_an_end_in_the_year_2099_is_cut_to_the_longest_life(scope: str) -> None:
    """Nobody can fill BLOCKLIST with records that stay for ever."""
    names = {"token": "jti", "session": "sid", "key": "kid", "service": "service", "subject": "sub"}
    found = revocation_of(
        event(scope=scope, **{names[scope]: "x"}, affected_until=4_070_908_800_000), TIMES
    )

    assert found is not None
    assert found.record.until_ms == (DECADE if scope in ("key", "service") else WEEK)


def test_a_watermark_from_the_future_does_not_lock_the_person_out() -> None:
    """It is cut to the present of the clock that stamps sessions."""
    assert watermark_ms(NOW + 10**9, TIMES) == STAMP
    assert watermark_ms(NOW + 10**9, Times(NOW, STORED, NOW + 75_000)) == NOW + 75_000
    assert watermark_ms(NOW + 10**9, Times(NOW, STORED, None)) == NOW + MAX_SKEW_MS


def test_a_worker_whose_clock_is_late_does_not_weaken_a_watermark() -> None:
    """What Redis stamped stays as it is although this host lags behind by seconds."""
    late = Times(now_ms=NOW - 5_000, stored_at_ms=STORED, store_ms=NOW)

    assert watermark_ms(NOW, late) == NOW


@pytest.mark.parametrize(
    ("ahead_ms", "stamp"),
    [
        (None, STAMP),  # Redis is away
        (0, STAMP),
        (1_000, STAMP),
        (75_000, NOW + 75_000),
        (DAY, NOW + DAY),
        (-75_000, STAMP),
        (-DAY, STAMP),
    ],
)
def test_a_fresh_event_ends_the_session_begun_a_moment_ago_by_any_clock(
    ahead_ms: int | None, stamp: int
) -> None:
    """However far ahead the clock that stamps sessions runs, the watermark is not before it."""
    times = Times(NOW, STORED, None if ahead_ms is None else NOW + ahead_ms)

    assert watermark_ms(None, times) == stamp
    assert ahead_ms is None or stamp >= NOW + ahead_ms


@pytest.mark.parametrize("ahead_ms", [None, 0, 75_000, DAY, -75_000, -DAY])
@pytest.mark.parametrize("waited_ms", [LATE_MS + 1, 6 * DAY])
def test_a_replayed_event_does_not_end_the_sessions_begun_since(
    ahead_ms: int | None, waited_ms: int
) -> None:
    """An event that waited longer than a minute names the time it was stored, as Redis would have."""
    replayed = Times(NOW, NOW - waited_ms, None if ahead_ms is None else NOW + ahead_ms)
    ended = NOW - waited_ms + max(0, ahead_ms or 0)  # a session of that instant, by Redis's clock

    assert ended <= watermark_ms(None, replayed) <= ended + MAX_SKEW_MS


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": "token", "jti": "j", "affected_until": NOW - MARGIN_MS - 1},
        {"scope": "session", "sid": "s", "affected_until": 1},
        {"scope": "subject", "sub": "u", "affected_until": 0},
    ],
)
def test_an_event_whose_effect_has_lapsed_writes_nothing(fields: dict[str, object]) -> None:
    """Replaying a year of them does not grow BLOCKLIST."""
    assert revocation_of(event(**fields), TIMES) is None


def test_last_years_events_are_lapsed_whatever_they_name() -> None:
    """Also those without an end: it counts from when they were stored."""
    old = Times(NOW, stored_at_ms=NOW - 365 * 24 * 3600 * 1000, store_ms=NOW)

    assert revocation_of(event(scope="subject", sub="u"), old) is None
    assert revocation_of(event(scope="session", sid="s"), old) is None


@pytest.mark.parametrize(
    "fields", [{"scope": "key", "kid": "k"}, {"scope": "service", "service": "v"}]
)
def test_a_stolen_key_does_not_work_again_on_the_eighth_day(fields: dict[str, str]) -> None:
    """Nor years later, should it still be in the key set; the record is one every reader can hold."""
    found = revocation_of(event(**fields), Times(NOW, STORED, None))

    assert found is not None
    assert NOW + 9 * 365 * DAY < found.record.until_ms < 4_102_444_800_000  # 2100
    assert Record.unpack(found.record.pack()) == found.record
    list_ = Blocklist(b"k" * 32)
    list_.apply(record_key(b"k" * 32, fields["scope"], found.identifier), found.record)
    list_.sweep(NOW + 8 * DAY)
    assert len(list_) == 1


@pytest.mark.parametrize(
    ("sub", "expected"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("usr_01JD", "usr_01JD"),
        (" ada@example.com\u00a0", "ada@example.com"),
        (" usr_01JD ", "usr_01JD"),
    ],
)
def test_a_subject_is_named_as_tokens_carry_it(sub: str, expected: str) -> None:
    """An operator may type an address in capitals; an account's id stays verbatim."""
    assert identifier_of(event(scope="subject", sub=sub)) == expected


@pytest.mark.parametrize(
    "sub",
    ["Ada <ada@example.com>", "ada@example.com,", "Not@An@Address", "ada@localhost", "@", "  "],
)
def test_a_subject_that_can_name_nobody_is_not_called_revoked(sub: str) -> None:
    """Taken verbatim it would be stored, confirmed by every edge, and hit no token."""
    with pytest.raises(InvalidEmailError):
        revocation_of(event(scope="subject", sub=sub), TIMES)


def test_a_session_id_is_never_mistaken_for_an_address() -> None:
    """Only subjects are canonicalised."""
    assert identifier_of(event(scope="session", sid=" A@B.example ")) == "A@B.example"
