"""Keep a projection of BLOCKLIST: continue after its own mark, whatever happened to it meanwhile.

The mark lives in the projection's store, so one rule covers every accident. Emptied: no mark, start over.
Restored from an old copy: an old mark, continue there. Another epoch, or a mark beyond the stream's end: start
over. "Trusted" runs out by itself and is renewed only when everything up to the leader's end is in.
"""

import asyncio

import structlog
from prometheus_client import Gauge

from latchwire.records import Record
from services.revocation.flows.freshness import FreshnessDesk
from services.revocation.ports import Mark, Projection, Replay, StoredRecord
from shared.clock import Clock
from shared.ids import Ids
from shared.messages import Probe

log = structlog.get_logger()

TRUST_MS = 10_000  # like an edge's max_staleness
WRITE_BATCH = 500  # records read before they are written together

POSITION = Gauge("latchwire_projection_position", "BLOCKLIST sequence the projection has reached.")
TRUSTED = Gauge("latchwire_projection_trusted", "Whether the projection says it can be trusted.")


class EmptiedError(Exception):
    """The projection lost its content while it was being written."""


class Projector:
    """One at a time per process; several processes may project at once, merging is idempotent."""

    def __init__(
        self,
        *,
        desk: FreshnessDesk,
        replay: Replay,
        projection: Projection,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._desk = desk
        self._replay = replay
        self._projection = projection
        self._clock = clock
        self._ids = ids
        self._lock = asyncio.Lock()
        self._reached = Mark("", 0)

    def missed(self) -> None:
        """Note that a round failed: what was reached has to be asked of the store again."""
        self._reached = Mark("", 0)
        TRUSTED.set(0)

    async def reach(self, seq: int) -> None:
        """Return when *seq* is in the projection; a burst costs one round.

        Raises:
            ProjectionUnavailableError, BusUnavailableError, EmptiedError, RecordError: not now.
        """
        if seq > self._reached.seq:
            async with self._lock:
                if seq > self._reached.seq:
                    await self._catch_up()

    async def renew(self) -> Mark:
        """Catch up with the leader and renew the trust; once a second.

        Raises:
            ProjectionUnavailableError, BusUnavailableError, EmptiedError, RecordError: not now.
        """
        async with self._lock:
            return await self._catch_up()

    async def _catch_up(self) -> Mark:
        asked = self._clock.monotonic()
        freshness = await self._desk.answer(Probe())
        goal = Mark(freshness.epoch, freshness.last_seq)
        run = self._ids.ulid(self._clock.now_ms())
        start = await self._projection.begin(run, goal)
        reached = Mark(goal.epoch, await self._copy(start, goal.seq))
        age_ms = round((self._clock.monotonic() - asked) * 1000) + freshness.backlog_ms
        trust_ms = max(0, TRUST_MS - age_ms)
        if not await self._projection.finish(run, reached, trust_ms=trust_ms):
            raise EmptiedError
        self._note(start, reached, trusted=trust_ms > 0)
        return reached

    async def _copy(self, after: int, goal: int) -> int:
        """Write everything after *after* up to *goal*; the sequence up to which it is complete."""
        part: list[StoredRecord] = []
        while after < goal:
            found = await self._replay.next_state(after + 1)
            after = goal if found is None else found.seq
            if found is not None:
                part.append(StoredRecord(found.seq, found.key, Record.unpack(found.body)))
            if len(part) >= WRITE_BATCH or after >= goal:
                await self._projection.write(part)
                part = []
        return after

    def _note(self, start: int, reached: Mark, *, trusted: bool) -> None:
        if start == 0 and reached.seq > 0:
            log.info("projection.rebuilt", epoch=reached.epoch, seq=reached.seq)
        self._reached = reached
        POSITION.set(reached.seq)
        TRUSTED.set(int(trusted))
