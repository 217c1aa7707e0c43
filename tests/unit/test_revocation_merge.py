"""Merging: any order, any repetition, several workers at once; nothing is undone, shortened or lost."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latchwire.records import Record, RecordError, record_key
from services.revocation.flows.revoke import Known, Lapsed, Revoker, Stored
from shared.bus import BusUnavailableError
from shared.messages import TokenRevoked
from tests.support.fakes.blocklist import FakeBlocklist
from tests.support.fakes.clock import FakeClock
from tests.support.properties import examples

NOW = FakeClock().now_ms()
HASH_KEY = bytes(32)
DAY = 24 * 3600 * 1000


class SetClock:
    """Redis's clock, standing at an instant."""

    def now_ms(self) -> int | None:
        return NOW


def revoker_of(blocklist: FakeBlocklist) -> Revoker:
    """A worker on this BLOCKLIST."""
    return Revoker(blocklist, SetClock(), FakeClock(), HASH_KEY)


def stored(blocklist: FakeBlocklist) -> dict[str, Record]:
    """The last record of each key."""
    return {key: Record.unpack(body) for key, _, body in blocklist.writes}


SUBJECTS = st.builds(
    TokenRevoked,
    scope=st.just("subject"),
    sub=st.sampled_from(["ada@example.com", "ADA@example.com", "bob@example.com"]),
    applies_to=st.sampled_from(["sessions", "access", None]),
    before=st.integers(NOW - 9 * DAY, NOW + DAY),
    affected_until=st.none() | st.integers(NOW - DAY, NOW + 30 * DAY),
)
SESSIONS = st.builds(
    TokenRevoked,
    scope=st.just("session"),
    sid=st.sampled_from(["s1", "s2"]),
    affected_until=st.none() | st.integers(NOW - DAY, NOW + 30 * DAY),
)
# An event and how long ago the broker stored it; both belong to it in every replay.
EVENTS = st.lists(st.tuples(SUBJECTS | SESSIONS, st.integers(0, 9 * DAY)), max_size=8)


async def after(events: list[tuple[TokenRevoked, int]]) -> dict[str, Record]:
    """BLOCKLIST after *events* in that order."""
    blocklist = FakeBlocklist()
    for event, age in events:
        await revoker_of(blocklist).revoke(event, stored_at_ms=NOW - age)
    return stored(blocklist)


@settings(max_examples=examples(150))
@given(events=EVENTS, data=st.data())
def test_any_order_and_repetition_comes_to_the_same(
    events: list[tuple[TokenRevoked, int]], data: st.DataObject
) -> None:
    """Permuted, with duplicates, or replayed from the start on top of itself."""
    shuffled = data.draw(st.permutations(events + events[: data.draw(st.integers(0, 8))]))

    expected = asyncio.run(after(events))

    assert asyncio.run(after(shuffled)) == expected
    assert asyncio.run(after([*events, *shuffled])) == expected


@settings(max_examples=examples(150))
@given(events=EVENTS)
def test_no_event_undoes_or_shortens_a_revocation(events: list[tuple[TokenRevoked, int]]) -> None:
    """Every write of a key is at least what was there before, in each field."""
    blocklist = FakeBlocklist()

    async def apply() -> None:
        for event, age in events:
            await revoker_of(blocklist).revoke(event, stored_at_ms=NOW - age)

    asyncio.run(apply())
    known: dict[str, Record] = {}
    for key, _, body in blocklist.writes:
        record = Record.unpack(body)
        assert known.get(key, record).merged(record) == record
        known[key] = record


class Contended(FakeBlocklist):
    """Between each read and write, *meanwhile* may write first."""

    def __init__(self, meanwhile: Callable[["Contended"], Record | None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    async def put_state(self, key: str, body: bytes, **how: object) -> object:  # type: ignore[override]
        other = self._meanwhile(self)
        if other is not None:
            found = await self.get_state(key)
            await super().put_state(
                key, other.pack(), expected_seq=found[1] if found else 0, ttl_seconds=1
            )
        return await super().put_state(key, body, **how)  # type: ignore[arg-type]


async def test_losing_the_race_merges_with_the_winner() -> None:
    """Two workers on one key: the loser reads again, and both watermarks survive."""
    winner = iter([Record(NOW + 1, tokens_before=NOW - 7)])
    blocklist = Contended(lambda _: next(winner, None))

    outcome = await revoker_of(blocklist).revoke(
        TokenRevoked(scope="subject", sub="ada@example.com", before=NOW - 5), stored_at_ms=NOW
    )

    assert isinstance(outcome, Stored)
    record = stored(blocklist)[record_key(HASH_KEY, "subject", "ada@example.com")]
    assert (record.sessions_before, record.tokens_before) == (NOW - 5, NOW - 7)


async def test_a_repeated_event_writes_nothing_and_names_the_sequence() -> None:
    """The second time it is known, at the sequence of the first."""
    blocklist = FakeBlocklist()
    event = TokenRevoked(scope="session", sid="s")

    first = await revoker_of(blocklist).revoke(event, stored_at_ms=NOW)
    second = await revoker_of(blocklist).revoke(event, stored_at_ms=NOW)

    assert isinstance(first, Stored)
    assert second == Known(first.key, first.seq)
    assert len(blocklist.writes) == 1


async def test_a_lapsed_event_does_not_touch_blocklist() -> None:
    """Not even to read it."""
    blocklist = FakeBlocklist()
    blocklist.away = True

    outcome = await revoker_of(blocklist).revoke(
        TokenRevoked(scope="token", jti="j", affected_until=1), stored_at_ms=NOW
    )

    assert outcome == Lapsed()


async def test_without_an_answer_from_blocklist_nothing_counts_as_done() -> None:
    """The error reaches the consumer, which does not acknowledge."""
    blocklist = FakeBlocklist()
    blocklist.away = True

    with pytest.raises(BusUnavailableError):
        await revoker_of(blocklist).revoke(TokenRevoked(scope="session", sid="s"), stored_at_ms=NOW)


async def test_a_record_of_a_newer_version_is_never_overwritten() -> None:
    """During a rolling upgrade the older worker leaves it to the newer one."""
    blocklist = FakeBlocklist()
    key = record_key(HASH_KEY, "session", "s")
    await blocklist.put_state(key, b"\x02" + bytes(30), expected_seq=0, ttl_seconds=1)

    with pytest.raises(RecordError):
        await revoker_of(blocklist).revoke(TokenRevoked(scope="session", sid="s"), stored_at_ms=NOW)

    assert len(blocklist.writes) == 1


async def test_the_first_revocation_of_a_key_is_written_without_reading() -> None:
    """One round trip to the leader, not two; what another worker wrote is found by losing."""
    blocklist = FakeBlocklist()
    await revoker_of(blocklist).revoke(TokenRevoked(scope="session", sid="s"), stored_at_ms=NOW)
    assert blocklist.reads == 0

    again = await revoker_of(blocklist).revoke(
        TokenRevoked(scope="session", sid="s"), stored_at_ms=NOW
    )

    assert isinstance(again, Known)
    assert blocklist.reads == 1


@pytest.mark.parametrize("there", [True, False])
async def test_a_hint_of_the_own_copy_costs_a_read_and_is_never_believed(there: bool) -> None:
    """A key the copy knows is read first; a copy that is wrong either way changes nothing."""
    blocklist = FakeBlocklist()
    key = record_key(HASH_KEY, "session", "s")
    if there:
        await blocklist.put_state(key, Record(1).pack(), expected_seq=0, ttl_seconds=1)
    revoker = Revoker(blocklist, SetClock(), FakeClock(), HASH_KEY, frozenset({key}))

    outcome = await revoker.revoke(TokenRevoked(scope="session", sid="s"), stored_at_ms=NOW)

    assert isinstance(outcome, Stored)
    assert blocklist.reads == 1
    assert stored(blocklist)[key].until_ms > NOW


@settings(max_examples=examples(60))
@given(events=EVENTS, seed=st.randoms(use_true_random=False))
def test_two_workers_in_any_interleaving_come_to_the_greatest(
    events: list[tuple[TokenRevoked, int]], seed: Random
) -> None:
    """Each read and write of either may fall between any two of the other."""

    class Interleaved(FakeBlocklist):
        async def get_state(self, key: str) -> tuple[bytes, int] | None:
            for _ in range(seed.randrange(3)):
                await asyncio.sleep(0)
            return await super().get_state(key)

        async def put_state(self, key: str, body: bytes, **how: object) -> object:  # type: ignore[override]
            for _ in range(seed.randrange(3)):
                await asyncio.sleep(0)
            return await super().put_state(key, body, **how)  # type: ignore[arg-type]

    async def both() -> dict[str, Record]:
        blocklist = Interleaved()
        async with asyncio.TaskGroup() as group:
            for event, age in [*events, *events[::2]]:
                revoker = revoker_of(blocklist)
                group.create_task(revoker.revoke(event, stored_at_ms=NOW - age))
        return stored(blocklist)

    assert asyncio.run(both()) == asyncio.run(after(events))
