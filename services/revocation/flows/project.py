"""Keep a projection of BLOCKLIST, out of this worker's own copy: what changed since the last round, else all.

The mark lives in the projection's store, so one rule covers most accidents. A round writes what changed since
this worker's last one; that makes the store complete only if it still holds what it held then, which its
mark says. A mark that is absent, older, or of another epoch, a store that was restarted, failed over, emptied
or that has evicted anything: it is not trusted, and everything is written again.

"Trusted" runs out by itself and is renewed only as long as the copy's own proof allows.

Each round has a number, the beat. Its last one also lies on NATS, so that a worker that has just started
knows a store from the past as one that ran before does.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

import structlog
from prometheus_client import Counter, Gauge

from latchwire.records import Record
from services.revocation.domain.projection import (
    NOEVICTION,
    Begun,
    Condition,
    Doubt,
    Mark,
    Seen,
    doubt_of,
)
from services.revocation.ports import Beats, Copy, Projection, ProjectionUnavailableError
from shared.bus import BusUnavailableError
from shared.clock import Clock
from shared.ids import Ids

log = structlog.get_logger()

TRUST_MS = 10_000  # like an edge's max_staleness
WRITE_BATCH = 250  # records written together: about 3 ms of this worker
WRITERS = 4
LOOK_SECONDS = 0.9
BEAT_EVERY_SECONDS = 10.0  # stored on NATS
# What an append-only file that is synced each second may lose with its machine: no copy from the past.
LOST_IN_A_CRASH = 2_000  # beats: one for each millisecond
FAR_AHEAD_MS = 24 * 3600 * 1000  # a stored beat that is no beat of ours
MOST_CHANGES = 100_000  # more than that are not remembered one by one

POSITION = Gauge("latchwire_projection_position", "BLOCKLIST sequence the projection has reached.")
TRUSTED = Gauge("latchwire_projection_trusted", "Whether the projection says it can be trusted.")
REBUILDS = Counter(
    "latchwire_projection_rebuilds_total",
    "How often all of it was written again, and why.",
    ["reason"],
)


Batch = Sequence[tuple[str, Record]]


class EmptiedError(Exception):
    """The projection lost its content while it was being written."""


class EvictingError(Exception):
    """The projection's store may drop what it is given: its maxmemory-policy is not noeviction."""


class NotReadError(Exception):
    """This worker has no complete and proven copy of BLOCKLIST yet."""


class BeatUnknownError(Exception):
    """NATS did not tell the last beat of this projection: whether it is from the past is not known."""


class AheadError(Exception):
    """The projection says that it is further than this worker: another one is ahead for a moment."""


class Projector:
    """One round at a time per process; several processes may project at once, merging is idempotent."""

    def __init__(
        self, *, copy: Copy, projection: Projection, beats: Beats, clock: Clock, ids: Ids
    ) -> None:
        self._copy = copy
        self._projection = projection
        self._beats = beats
        self._clock = clock
        self._ids = ids
        self._lock = asyncio.Lock()
        # What has changed since the store was seen whole, and what is known of it since then; None: nothing.
        self._changes: dict[str, Record] = {}
        self._seen: Seen | None = None
        self._beat: int | None = None
        self._beat_is_newest = False  # no round has failed since this worker was given it
        self._unstored_beat: int | None = None  # of a round that succeeded
        self._stored_at = float("-inf")
        self._condition: Condition | None = None
        self._condition_at = float("-inf")
        self._ahead_at = float("inf")  # when a mark was first seen ahead (monotonic seconds)

    async def round(self) -> Mark:
        """Bring the projection up to this worker's copy, and renew the trust; how far it is.

        Raises:
            ProjectionUnavailableError, EmptiedError, EvictingError, NotReadError, BeatUnknownError,
            AheadError: not now.
        """
        async with self._lock:
            TRUSTED.set(0)
            newest, self._beat_is_newest = self._beat_is_newest, False
            self._unstored_beat = None  # if this one fails, others go on
            try:
                reached = await self._round(newest)
            except ProjectionUnavailableError:
                self._condition = None  # which store answers next time is not known
                raise
            self._beat_is_newest, self._unstored_beat = True, self._beat
            return reached

    async def _round(self, beat_is_newest: bool) -> Mark:
        asked, age = self._clock.monotonic(), self._copy.staleness_seconds()
        if age * 1000 >= TRUST_MS:
            raise NotReadError
        condition = await self._healthy()
        run = self._ids.ulid(self._clock.now_ms())
        begun = await self._projection.begin(run, beat=await self._last_beat(beat_is_newest))
        self._beat = begun.beat
        reached, reading = self._take(), self._copy.readings
        doubt = await self._examine(condition, begun, reached)
        await self._write(doubt)
        if self._copy.readings != reading:
            self._seen = None
            raise NotReadError  # what was gone through is no longer the copy
        age += self._clock.monotonic() - asked
        trust_ms = max(0, TRUST_MS - round(age * 1000))
        if not await self._projection.finish(run, reached, trust_ms=trust_ms):
            self._seen = None
            raise EmptiedError
        self._changes, self._seen = {}, Seen(condition, reached)
        self._tell(reached, doubt, trusted=trust_ms > 0)
        return reached

    async def _last_beat(self, newest: bool) -> int:
        """The last one that is known of: this worker's, while it is the *newest*; else others' may be later."""
        if self._beat is None or not newest:
            try:
                stored = await self._beats.beat()
            except BusUnavailableError as error:
                raise BeatUnknownError from error
            ours = stored <= self._clock.now_ms() + FAR_AHEAD_MS
            self._beat = max(self._beat or 0, stored - LOST_IN_A_CRASH if ours else 0)
        return self._beat

    async def keep_beat(self) -> None:
        """Store the last beat where a worker that starts finds it; every ten seconds are enough."""
        now = self._clock.monotonic()
        if self._unstored_beat is None or now < self._stored_at + BEAT_EVERY_SECONDS:
            return
        with contextlib.suppress(BusUnavailableError):
            await self._beats.put_beat(self._unstored_beat)
            self._stored_at, self._unstored_beat = now, None

    async def _healthy(self) -> Condition:
        """What the store says of itself, asked about once a second."""
        now = self._clock.monotonic()
        if self._condition is not None and now < self._condition_at + LOOK_SECONDS:
            return self._condition
        self._condition = None
        condition = await self._projection.condition()
        if condition.policy != NOEVICTION:
            self._seen = None
            await self._projection.distrust(forget=False)
            raise EvictingError
        self._condition, self._condition_at = condition, now
        return condition

    def _take(self) -> Mark:
        """Take what has changed; everything up to the mark is in that, or was before."""
        reached = Mark(self._copy.epoch, self._copy.seq)
        changes = self._copy.take_changes()
        if changes is None or len(self._changes) > MOST_CHANGES:
            self._changes, self._seen = {}, None
        for key, record in (changes or {}).items():
            known = self._changes.get(key)
            self._changes[key] = record if known is None else known.merged(record)
        return reached

    async def _examine(self, condition: Condition, begun: Begun, reached: Mark) -> Doubt | None:
        """Why all has to be written again, or None; in doubt nobody trusts it meanwhile."""
        doubt = doubt_of(self._seen, condition, begun, reached)
        if doubt is not None and doubt.needs_a_newer_proof:
            self._await_newer_proof()
        self._ahead_at = float("inf")
        if doubt is None:
            return None
        self._seen = None
        if doubt is not Doubt.UNKNOWN:
            log.warning("projection.doubted", reason=doubt.value)
            await self._projection.distrust(forget=doubt.needs_a_newer_proof)
        return doubt

    def _await_newer_proof(self) -> None:
        now = self._clock.monotonic()
        self._ahead_at = min(self._ahead_at, now)
        if now - self._copy.staleness_seconds() <= self._ahead_at:
            raise AheadError

    async def _write(self, doubt: Doubt | None) -> None:
        if doubt is not None:
            REBUILDS.labels(doubt.name.lower()).inc()
            batches = self._copy.batches(WRITE_BATCH)
        else:
            batches = _batches(list(self._changes.items()))
        failures: list[ProjectionUnavailableError] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._write_each(batches, failures))
        if failures:
            raise failures[0]

    async def _write_each(
        self, batches: Iterator[Batch], failures: list[ProjectionUnavailableError]
    ) -> None:
        """Write what no other writer has taken; the store works on one batch while the next is packed."""
        for batch in batches:
            if failures:
                return
            try:
                await self._projection.write(batch)
            except ProjectionUnavailableError as error:
                failures.append(error)

    def _tell(self, reached: Mark, doubt: Doubt | None, *, trusted: bool) -> None:
        if doubt is not None and reached.seq:
            log.info("projection.rebuilt", reason=doubt.value, epoch=reached.epoch, seq=reached.seq)
        POSITION.set(reached.seq)
        TRUSTED.set(int(trusted))


def _batches(records: Batch) -> Iterator[Batch]:
    for start in range(0, len(records), WRITE_BATCH):
        yield records[start : start + WRITE_BATCH]
