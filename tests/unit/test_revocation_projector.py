"""The projection: whatever happens to it, it says "trusted" only when it holds everything."""

from collections.abc import Sequence

import pytest

from latchwire.records import Record
from services.revocation.domain.projection import Mark
from services.revocation.flows.project import (
    TRUST_MS,
    AheadError,
    BeatUnknownError,
    EmptiedError,
    EvictingError,
    NotReadError,
    Projector,
)
from services.revocation.ports import ProjectionUnavailableError
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.copy import FakeCopy
from tests.support.fakes.ids import FakeIds
from tests.support.fakes.projection import FakeProjection
from tests.support.fakes.snapshots import FakeSnapshots

UNTIL = FakeClock().now_ms() + 60_000


class Worker:
    """A worker's copy and its projector; two of them may share a projection."""

    def __init__(self, projection: FakeProjection) -> None:
        self.clock = FakeClock()
        self.copy = FakeCopy()
        self.beats = FakeSnapshots()
        self.projection = projection
        self._projector = Projector(
            copy=self.copy,
            projection=projection,
            beats=self.beats,
            clock=self.clock,
            ids=FakeIds(),
        )

    def put(self, *keys: str) -> None:
        """Records come in."""
        self.copy.put(*keys, until_ms=UNTIL)

    async def round(self) -> Mark:
        """One round, a second after the last."""
        self.clock.advance(1_000)
        return await self._projector.round()

    async def at_once(self) -> Mark:
        """One round right after the last."""
        return await self._projector.round()

    async def keep_beat(self) -> None:
        """The beat is kept, ten seconds after it was kept last."""
        self.clock.advance(10_000)
        await self._projector.keep_beat()


async def working(*keys: str) -> tuple[Worker, FakeProjection]:
    """A worker that has projected *keys*."""
    projection = FakeProjection()
    worker = Worker(projection)
    worker.put(*keys)
    await worker.round()
    return worker, projection


async def test_an_empty_store_is_filled_before_it_is_trusted() -> None:
    """Everything of the copy is there, and the mark says so."""
    worker, projection = await working("a", "b", "a", "c")

    assert projection.mark == Mark("epoch-1", 4)
    assert projection.records == worker.copy.records
    assert projection.trusted


async def test_a_store_whose_past_is_unknown_is_not_vouched_for() -> None:
    """A worker that has just started asks NATS for the last beat first, and again until it is told."""
    projection = FakeProjection()
    worker = Worker(projection)
    worker.beats.away = True
    with pytest.raises(BeatUnknownError):
        await worker.round()
    assert not projection.trusted

    worker.beats.away = False
    await worker.round()

    assert projection.trusted


async def test_a_beat_from_the_far_future_is_nobodys() -> None:
    """Somebody who can put a number there does not make every start void what people hold."""
    projection = FakeProjection()
    worker = Worker(projection)
    worker.beats.last_beat = worker.clock.now_ms() + 10**12

    await worker.round()

    assert projection.since is None


async def test_a_worker_whose_round_failed_asks_how_far_others_went_meanwhile() -> None:
    """A copy of the store that is younger than its own last round may be older than theirs."""
    worker, projection = await working("a")
    worker.beats.last_beat = worker.clock.now_ms()
    await worker.round()
    assert projection.since is None, "nobody is asked while all goes well"
    projection.away = True
    with pytest.raises(ProjectionUnavailableError):
        await worker.round()
    projection.away = False

    await worker.round()

    assert projection.since is not None


async def test_a_beat_is_kept_after_a_round_and_not_again_after_none() -> None:
    """Others may have kept a later one since."""
    worker, projection = await working("a")
    await worker.keep_beat()
    assert worker.beats.last_beat == projection.content.beat
    await worker.round()
    projection.away = True
    with pytest.raises(ProjectionUnavailableError):
        await worker.round()
    worker.beats.last_beat = theirs = worker.clock.now_ms()

    await worker.keep_beat()

    assert worker.beats.last_beat == theirs


async def test_a_store_that_was_away_is_asked_anew_what_it_is() -> None:
    """Within the second in which nobody would ask: it may have been started again."""
    worker, projection = await working("a")
    projection.away = True
    with pytest.raises(ProjectionUnavailableError):
        await worker.at_once()
    projection.away, projection.policy = False, "allkeys-lru"

    with pytest.raises(EvictingError):
        await worker.at_once()


async def test_a_round_writes_what_changed_and_nothing_else() -> None:
    """A million records at rest cost nothing."""
    worker, projection = await working(*(f"k{n}" for n in range(1_200)))
    projection.written = 0
    worker.put("k7", "new")

    await worker.round()
    await worker.round()

    assert projection.written == 2
    assert projection.records == worker.copy.records


async def test_without_a_proof_nothing_is_written_or_trusted() -> None:
    """A copy that may lack something is no source."""
    projection = FakeProjection()
    worker = Worker(projection)
    worker.put("a")
    worker.copy.staleness = TRUST_MS / 1000

    with pytest.raises(NotReadError):
        await worker.round()

    assert (projection.mark, projection.trusted, projection.written) == (None, False, 0)


async def test_a_flushed_store_is_filled_again_without_any_event() -> None:
    """The next round notices, and the flush took the trust with it."""
    worker, projection = await working("a", "b")

    projection.empty()
    await worker.round()

    assert projection.records == worker.copy.records
    assert projection.trusted


async def test_an_old_copy_is_distrusted_and_written_anew() -> None:
    """Its mark is behind and it has forgotten a round; single-use things from before are void."""
    worker, projection = await working("a")
    yesterday = projection.saved()
    worker.put("b", "c")
    await worker.round()

    projection.content = yesterday
    assert projection.trusted, "the old copy says so itself"
    await worker.round()

    assert projection.records == worker.copy.records
    assert projection.since is not None


async def test_an_old_copy_is_not_trusted_while_it_is_written_anew() -> None:
    """The trust goes before the first record is written."""
    worker, projection = await working("a")
    yesterday = projection.saved()
    worker.put("b")
    await worker.round()
    projection.content = yesterday
    seen: list[bool] = []
    write = projection.write

    async def watched(records: Sequence[tuple[str, Record]]) -> None:
        seen.append(projection.trusted)
        await write(records)

    projection.write = watched  # type: ignore[method-assign]
    await worker.round()

    assert seen == [False]
    assert projection.trusted


async def test_a_store_that_was_restarted_is_written_anew() -> None:
    """Another run id: nobody knows what the one before had not kept."""
    worker, projection = await working("a", "b")
    del projection.records["a"]
    projection.run = "run-2"

    await worker.round()

    assert projection.records == worker.copy.records
    assert projection.since is None, "it has forgotten no round"


async def test_a_store_that_has_evicted_anything_is_written_anew() -> None:
    """Even when the policy is what it should be again."""
    worker, projection = await working("a", "b")
    del projection.records["a"]
    projection.evicted += 1

    await worker.round()

    assert projection.records == worker.copy.records


async def test_a_store_that_may_evict_is_not_trusted() -> None:
    """Until its policy is noeviction; then all of it is written again."""
    worker, projection = await working("a")
    projection.policy = "allkeys-lru"
    with pytest.raises(EvictingError):
        await worker.round()
    assert not projection.trusted

    del projection.records["a"]
    projection.policy = "noeviction"
    await worker.round()

    assert projection.trusted
    assert projection.records == worker.copy.records


async def test_two_workers_in_step_never_disturb_each_other() -> None:
    """One is a moment ahead in turn; nobody starts over, and the mark never goes back."""
    first, projection = await working("a")
    second = Worker(projection)
    second.put("a")
    await second.round()
    projection.written = 0
    for turn in range(6):
        ahead, behind = (first, second) if turn % 2 else (second, first)
        ahead.put(f"k{turn}")
        await ahead.round()
        await behind.round()
        assert projection.trusted
        assert projection.mark == Mark("epoch-1", turn + 2)
        behind.put(f"k{turn}")

    assert projection.written == 11


async def test_a_worker_that_starts_a_moment_behind_waits_for_its_own_proof() -> None:
    """The mark of the one ahead is not taken for one beyond the stream's end."""
    _, projection = await working("a", "b")
    late = Worker(projection)
    late.put("a")
    with pytest.raises(AheadError):
        await late.round()
    assert projection.trusted

    late.put("b")
    await late.round()

    assert projection.mark == Mark("epoch-1", 2)


@pytest.mark.parametrize("mark", [Mark("another epoch", 1), Mark("epoch-1", 999)])
async def test_a_mark_from_another_past_starts_over(mark: Mark) -> None:
    """Another epoch, or further than the stream is: once that is proven, none of it is believed."""
    projection = FakeProjection()
    projection.content.mark, projection.content.trusted = mark, True
    worker = Worker(projection)
    worker.put("a", "b")
    with pytest.raises(AheadError):
        await worker.round()

    worker.clock.advance(1_000)
    await worker.round()

    assert projection.records == worker.copy.records
    assert projection.mark == Mark("epoch-1", 2)


async def test_another_stream_is_written_as_a_whole() -> None:
    """BLOCKLIST was restored: what changed since the last round says nothing."""
    worker, projection = await working("a", "b")
    worker.copy.put("c", until_ms=UNTIL)
    worker.copy.renew("epoch-2", 1)
    with pytest.raises(AheadError):
        await worker.round()

    worker.clock.advance(1_000)
    await worker.round()

    assert projection.mark == Mark("epoch-2", 1)
    assert projection.records == worker.copy.records


class FlushedMidway(FakeProjection):
    """Emptied right after the first write."""

    flushes = 1

    async def write(self, records: Sequence[tuple[str, Record]]) -> None:
        await super().write(records)
        if self.flushes:
            self.flushes -= 1
            self.empty()


async def test_a_flush_in_the_middle_of_filling_is_not_overlooked() -> None:
    """The half-empty copy never gets a mark; the next round fills it."""
    projection = FlushedMidway()
    worker = Worker(projection)
    worker.put("a", "b")

    with pytest.raises(EmptiedError):
        await worker.round()
    assert (projection.mark, projection.trusted) == (None, False)
    await worker.round()

    assert projection.records == worker.copy.records


async def test_a_proof_that_ages_during_a_long_round_gives_no_trust() -> None:
    """The mark moves; the next round, quick, gives it."""
    projection = FakeProjection()
    worker = Worker(projection)
    worker.put("a")
    write = projection.write

    async def slow(records: Sequence[tuple[str, Record]]) -> None:
        worker.clock.advance(TRUST_MS)
        await write(records)

    projection.write = slow  # type: ignore[method-assign]
    await worker.round()
    assert (projection.mark, projection.trusted) == (Mark("epoch-1", 1), False)

    await worker.round()
    assert projection.trusted


async def test_what_changed_while_the_store_was_away_is_written_afterwards() -> None:
    """Nothing is forgotten between two rounds that failed."""
    worker, projection = await working("a")
    projection.away = True
    for key in ("b", "c"):
        worker.put(key)
        with pytest.raises(ProjectionUnavailableError):
            await worker.round()

    projection.away = False
    await worker.round()

    assert projection.records == worker.copy.records


async def test_a_list_read_anew_while_it_was_written_does_not_count() -> None:
    """What was gone through is taken apart by then: half of it may be missing."""
    projection = FakeProjection()
    worker = Worker(projection)
    worker.put("a")
    write = projection.write

    async def renewed(records: Sequence[tuple[str, Record]]) -> None:
        await write(records)
        worker.copy.renew("epoch-1", 1)

    projection.write = renewed  # type: ignore[method-assign]
    with pytest.raises(NotReadError):
        await worker.round()

    assert (projection.mark, projection.trusted) == (None, False)
