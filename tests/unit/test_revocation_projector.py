"""The projection: whatever happens to it, it says "trusted" only when it holds everything."""

from collections.abc import Sequence

import pytest

from latchwire.records import Record
from services.revocation.flows.freshness import FreshnessDesk
from services.revocation.flows.project import EmptiedError, Projector
from services.revocation.ports import Mark, ProjectionUnavailableError, StoredRecord
from tests.support.fakes.blocklist import FakeBlocklist
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ids import FakeIds
from tests.support.fakes.projection import FakeProjection

UNTIL = FakeClock().now_ms() + 60_000


def projector_of(blocklist: FakeBlocklist, projection: FakeProjection) -> Projector:
    """A worker's projector."""
    return Projector(
        desk=FreshnessDesk(blocklist),
        replay=blocklist,
        projection=projection,
        clock=FakeClock(),
        ids=FakeIds(),
    )


async def put(blocklist: FakeBlocklist, *keys: str) -> None:
    """Store a record under each key."""
    for key in keys:
        found = await blocklist.get_state(key)
        record = Record(UNTIL + blocklist.last_seq)
        expected = found[1] if found else 0
        await blocklist.put_state(key, record.pack(), expected_seq=expected, ttl_seconds=60)


async def test_an_empty_store_is_filled_before_it_is_trusted() -> None:
    """Everything of BLOCKLIST is there, and the mark says so."""
    blocklist, projection = FakeBlocklist(), FakeProjection()
    await put(blocklist, "a", "b", "a", "c")

    reached = await projector_of(blocklist, projection).renew()

    assert reached == projection.mark == Mark("epoch-1", 4)
    assert set(projection.records) == {"a", "b", "c"}
    assert projection.trusted


async def test_a_flushed_store_is_filled_again_without_any_event() -> None:
    """The next round notices, and the flush took the trust with it."""
    blocklist, projection = FakeBlocklist(), FakeProjection()
    await put(blocklist, "a", "b")
    projector = projector_of(blocklist, projection)
    await projector.renew()

    projection.empty()
    await projector.renew()

    assert set(projection.records) == {"a", "b"}
    assert projection.trusted


async def test_a_store_restored_from_yesterday_continues_where_it_was_then() -> None:
    """Its own old mark is enough; nothing has to notice the restore."""
    blocklist, projection = FakeBlocklist(), FakeProjection()
    await put(blocklist, "a")
    projector = projector_of(blocklist, projection)
    await projector.renew()
    yesterday = dict(projection.records), projection.mark
    await put(blocklist, "b", "c")
    await projector.renew()

    projection.records, projection.mark = yesterday
    await projector.renew()

    assert set(projection.records) == {"a", "b", "c"}


@pytest.mark.parametrize("mark", [Mark("another epoch", 1), Mark("epoch-1", 999)])
async def test_a_mark_from_another_past_starts_over(mark: Mark) -> None:
    """Another epoch, or further than the stream is: none of it is believed."""
    blocklist, projection = FakeBlocklist(), FakeProjection()
    await put(blocklist, "a", "b")
    projection.mark = mark

    await projector_of(blocklist, projection).renew()

    assert set(projection.records) == {"a", "b"}
    assert projection.mark == Mark("epoch-1", 2)


class FlushedMidway(FakeProjection):
    """Emptied right after the first write."""

    async def write(self, records: Sequence[StoredRecord]) -> None:
        await super().write(records)
        self.empty()


async def test_a_flush_in_the_middle_of_filling_is_not_overlooked() -> None:
    """The half-empty copy never gets a mark."""
    blocklist, projection = FakeBlocklist(), FlushedMidway()
    await put(blocklist, "a", "b")

    with pytest.raises(EmptiedError):
        await projector_of(blocklist, projection).renew()

    assert projection.mark is None
    assert not projection.trusted


async def test_expired_records_at_the_end_do_not_hold_the_mark_back() -> None:
    """The leader says that nothing is left up to the position."""
    blocklist, projection = FakeBlocklist(), FakeProjection()
    await put(blocklist, "a", "b")
    blocklist.expire("b")

    assert (await projector_of(blocklist, projection).renew()).seq == 2


async def test_a_backlog_longer_than_the_trust_gives_none() -> None:
    """A copy of a BLOCKLIST that is itself behind is not to be relied on."""
    blocklist, projection = FakeBlocklist(), FakeProjection()
    await put(blocklist, "a")
    blocklist.backlog_ms = 10_000

    await projector_of(blocklist, projection).renew()

    assert projection.mark == Mark("epoch-1", 1)
    assert not projection.trusted


async def test_a_burst_costs_one_round() -> None:
    """After the first of a hundred deliveries the other ninety-nine find their record there."""
    blocklist, projection = FakeBlocklist(), FakeProjection()
    await put(blocklist, *(f"k{n}" for n in range(100)))
    projector = projector_of(blocklist, projection)
    await projector.reach(1)

    projection.away = True
    for seq in range(2, 101):
        await projector.reach(seq)

    assert len(projection.records) == 100


async def test_an_unreachable_store_is_said_and_asked_again() -> None:
    """What was reached is forgotten, so a restart of Redis on an empty disk is noticed."""
    blocklist, projection = FakeBlocklist(), FakeProjection()
    await put(blocklist, "a")
    projector = projector_of(blocklist, projection)
    projection.away = True
    with pytest.raises(ProjectionUnavailableError):
        await projector.reach(1)
    projector.missed()

    projection.away = False
    await projector.reach(1)

    assert set(projection.records) == {"a"}
