"""Write a binary copy of BLOCKLIST now and then, so that an edge that starts need not read a million messages.

Any worker may. A snapshot that is no longer the newest when it is done is left to run out: the highest
watermark of an epoch wins, by compare-and-set of the head.
"""

from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from latchwire.snapshots import Part, SnapshotError, SnapshotHead, Tally
from services.revocation.ports import Snapshots, SnapshotSource
from shared.clock import Clock
from shared.ids import Ids

log = structlog.get_logger()

FEWEST_RECORDS = 5_000  # fewer are read from the stream in no time
CHURN = 0.05  # of the list
OLD_SECONDS = 600.0  # a snapshot that something came after
STALE_SECONDS = 2_700.0  # any: its parts live for an hour
SOONEST_SECONDS = 60.0  # between two
BYTES_AN_HOUR = 400 << 20  # well within what the stream SNAPSHOT keeps
MOST_STALE = 10.0  # seconds; an older list may be one that is no more

WRITTEN = Counter("latchwire_snapshots_total", "Snapshots, by outcome.", ["outcome"])
WATERMARK = Gauge("latchwire_snapshot_watermark", "BLOCKLIST sequence of the newest snapshot.")


@dataclass(frozen=True, slots=True)
class Newest:
    """The head in force, as far as it can be read, its sequence, and when this worker first saw it."""

    head: SnapshotHead | None
    seq: int
    seen_at: float


class SnapshotWriter:
    """Looks after the newest snapshot."""

    def __init__(
        self, *, source: SnapshotSource, snapshots: Snapshots, clock: Clock, ids: Ids
    ) -> None:
        self._source = source
        self._snapshots = snapshots
        self._clock = clock
        self._ids = ids
        self._newest = Newest(None, 0, float("-inf"))

    async def look(self) -> SnapshotHead | None:
        """Write a snapshot if one is due; its head when it became the newest.

        Raises:
            BusUnavailableError: not now.
        """
        if len(self._source) < FEWEST_RECORDS or self._source.staleness_seconds() > MOST_STALE:
            return None
        newest = await self._read()
        if not self._due(newest):
            return None
        return await self._write(newest)

    async def _read(self) -> Newest:
        stored = await self._snapshots.head()
        seq = 0 if stored is None else stored.seq
        if seq != self._newest.seq:
            head = None if stored is None else _unpack(stored.body)
            self._newest = Newest(head, seq, self._clock.monotonic())
            WATERMARK.set(head.watermark if head else 0)
        return self._newest

    def _due(self, newest: Newest) -> bool:
        head = newest.head
        if head is None or head.epoch != self._source.epoch:
            return True
        age = self._clock.monotonic() - newest.seen_at
        behind = self._source.seq - head.watermark
        if age < max(SOONEST_SECONDS, head.bytes / BYTES_AN_HOUR * 3600):
            return False
        changed = behind >= len(self._source) * CHURN or (behind > 0 and age >= OLD_SECONDS)
        return changed or age >= STALE_SECONDS

    async def _write(self, newest: Newest) -> SnapshotHead | None:
        began = self._clock.monotonic()
        reading, epoch, watermark = self._source.readings, self._source.epoch, self._source.seq
        id_, tally = self._ids.ulid(self._clock.now_ms()), Tally()
        for number, part in enumerate(self._source.parts()):
            tally.add(part, Part.unpack(part).records)
            await self._snapshots.put_part(id_, number, part)
        if self._source.readings != reading or self._source.staleness_seconds() > MOST_STALE:
            WRITTEN.labels("abandoned").inc()
            return None
        head = tally.head(id_, epoch, watermark)
        if not await self._name(head, newest.seq):
            WRITTEN.labels("overtaken").inc()
            return None
        WRITTEN.labels("written").inc()
        seconds = round(self._clock.monotonic() - began, 2)
        log.info(
            "snapshot.written",
            watermark=watermark,
            records=head.records,
            bytes=head.bytes,
            seconds=seconds,
        )
        return head

    async def _name(self, head: SnapshotHead, expected_seq: int) -> bool:
        """Make *head* the newest, unless there is one as good."""
        while not await self._snapshots.put_head(head.pack(), expected_seq=expected_seq):
            other = await self._read()
            if (
                other.head
                and other.head.epoch == head.epoch
                and other.head.watermark >= head.watermark
            ):
                return False
            expected_seq = other.seq
        return True


def _unpack(body: bytes) -> SnapshotHead | None:
    try:
        return SnapshotHead.unpack(body)
    except SnapshotError:
        return None  # of another version: readers of ours cannot use it either
