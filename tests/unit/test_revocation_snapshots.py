"""Snapshots: written when it pays, never for a small list, and the highest watermark wins."""

import asyncio
from collections.abc import Iterator

import pytest

from latchwire.blocklist import Blocklist
from latchwire.records import Record, record_key
from latchwire.snapshots import Loading, SnapshotHead
from services.revocation.flows.snapshot import (
    FEWEST_RECORDS,
    MOST_STALE,
    OLD_SECONDS,
    SOONEST_SECONDS,
    STALE_SECONDS,
    SnapshotWriter,
)
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ids import FakeIds
from tests.support.fakes.snapshots import FakeSnapshots, FakeSource

HASH_KEY = bytes(32)
COUNT = FEWEST_RECORDS
CHURN = COUNT // 20


@pytest.fixture(scope="module")
def full() -> Blocklist:
    """A list that is just worth a snapshot; no test changes it."""
    blocklist = Blocklist(HASH_KEY)
    for number in range(COUNT - 1):
        blocklist.apply(record_key(HASH_KEY, "session", str(number)), Record(2**40))
    blocklist.apply(record_key(HASH_KEY, "subject", "ada"), Record(2**40, 1, 2))
    return blocklist


class Desk:
    """A worker's writer; several may share *snapshots*."""

    def __init__(self, blocklist: Blocklist, snapshots: FakeSnapshots | None = None) -> None:
        self.clock = FakeClock()
        self.source = FakeSource(blocklist, seq=COUNT)
        self.snapshots = snapshots or FakeSnapshots()
        self._writer = SnapshotWriter(
            source=self.source, snapshots=self.snapshots, clock=self.clock, ids=FakeIds()
        )

    async def look(self, *, after: float = 0.0, newer: int = 0) -> SnapshotHead | None:
        """One look, *after* seconds in which *newer* records were stored."""
        self.clock.advance(round(after * 1000))
        self.source.seq += newer
        return await self._writer.look()


async def test_a_snapshot_holds_the_whole_list(full: Blocklist) -> None:
    """Whoever loads its parts has every record, and knows where to read on."""
    desk = Desk(full)
    head = await desk.look()
    assert head is not None

    loaded = Blocklist(HASH_KEY)
    loading = Loading(head, loaded)
    for number in range(head.parts):
        for _ in loading.take(desk.snapshots.parts[head.id, number]):
            pass
    loading.finish()

    assert (head.epoch, head.watermark) == ("epoch-1", COUNT)
    assert dict(loaded.records()) == dict(full.records())


async def test_a_small_list_costs_nobody_anything() -> None:
    """Not even a question."""
    desk = Desk(Blocklist(HASH_KEY))

    assert await desk.look() is None
    assert desk.snapshots.questions == 0


async def test_a_list_without_a_fresh_proof_is_not_written(full: Blocklist) -> None:
    """It may be one that is no more."""
    desk = Desk(full)
    desk.source.staleness = MOST_STALE + 1

    assert await desk.look() is None


@pytest.mark.parametrize(
    ("after", "newer", "due"),
    [
        (SOONEST_SECONDS - 1, COUNT, False),
        (SOONEST_SECONDS, CHURN - 1, False),
        (SOONEST_SECONDS, CHURN, True),
        (OLD_SECONDS - 1, 1, False),
        (OLD_SECONDS, 1, True),
        (OLD_SECONDS, 0, False),
        (STALE_SECONDS, 0, True),
    ],
)
async def test_the_next_one_is_written_when_it_pays(
    full: Blocklist, after: float, newer: int, due: bool
) -> None:
    """A twentieth has changed, or ten minutes have brought something, or the parts run out; never in a row."""
    desk = Desk(full)
    assert await desk.look() is not None
    assert await desk.look() is None

    assert bool(await desk.look(after=after, newer=newer)) is due


async def test_another_epoch_is_written_at_once(full: Blocklist) -> None:
    """Readers cannot use a snapshot of the one before."""
    desk = Desk(full)
    await desk.look()
    desk.source.epoch, desk.source.seq = "epoch-2", 3

    head = await desk.look()

    assert head is not None
    assert (head.epoch, head.watermark) == ("epoch-2", 3)


async def test_a_list_read_anew_meanwhile_is_not_named(full: Blocklist) -> None:
    """What was gone through is taken apart by then."""
    desk = Desk(full)
    parts = desk.source.parts

    def renewed() -> Iterator[bytes]:
        yield from parts()
        desk.source.readings += 1

    desk.source.parts = renewed  # type: ignore[method-assign]

    assert await desk.look() is None
    assert desk.snapshots.stored is None


@pytest.mark.parametrize("slow_is_ahead", [True, False])
async def test_of_two_at_once_the_higher_watermark_stays(
    full: Blocklist, slow_is_ahead: bool
) -> None:
    """Whoever is done first: the other one gives way, or goes over it."""
    snapshots = FakeSnapshots()
    slow, quick = Desk(full, snapshots), Desk(full, snapshots)
    (slow if slow_is_ahead else quick).source.seq += 10
    put_part, gate = snapshots.put_part, asyncio.Event()

    async def held(id_: str, number: int, body: bytes) -> None:
        await put_part(id_, number, body)
        await gate.wait()

    snapshots.put_part = held  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        first = group.create_task(slow.look())
        await asyncio.sleep(0)
        snapshots.put_part = put_part  # type: ignore[method-assign]
        assert await quick.look() is not None
        gate.set()

    assert snapshots.stored is not None
    assert SnapshotHead.unpack(snapshots.stored.body).watermark == COUNT + 10
    assert bool(first.result()) is slow_is_ahead


async def test_a_worker_does_not_repeat_what_another_has_just_written(full: Blocklist) -> None:
    """Two workers, one snapshot."""
    first = Desk(full)
    await first.look()

    assert await Desk(full, first.snapshots).look() is None


@pytest.mark.parametrize("body", [b"", b"{}", b'{"version": 2}', b"\xff"])
async def test_a_head_that_cannot_be_read_is_written_over(full: Blocklist, body: bytes) -> None:
    """One of a later version, or nonsense."""
    desk = Desk(full)
    await desk.snapshots.put_head(body, expected_seq=0)

    assert await desk.look() is not None
