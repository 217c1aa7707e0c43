"""This worker's own copy of BLOCKLIST: the SDK's replica, proven by the worker's own desk, and what changed."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from latchwire._replica import Replica
from latchwire._stream import FeedReadError
from latchwire._stream import Freshness as Proof
from latchwire.records import Record
from latchwire.snapshots import parts_of
from services.revocation.flows.freshness import FreshnessDesk
from shared.bus import Bus, BusUnavailableError
from shared.clock import Clock
from shared.messages import Probe

MOST_CHANGES = 100_000  # more are not remembered one by one: all counts as changed


class FeedCopy(Replica):
    """A `ports.Copy`, and the `ports.KnownKeys` of the merge. *changed* is set with each change."""

    def __init__(self, bus: Bus, desk: FreshnessDesk, clock: Clock, hash_key: bytes) -> None:
        super().__init__(
            bus.client,
            hash_key=hash_key,
            api_prefix=bus.api_prefix,
            probe=self._ask_desk,
            monotonic=clock.monotonic,
            now_ms=clock.now_ms,
        )
        self.changed = asyncio.Event()
        self.readings = 0
        self._desk = desk
        self._changed: dict[str, Record] | None = None

    def __contains__(self, key: object) -> bool:
        """Whether a record of *key* is known."""
        return isinstance(key, str) and self.blocklist.get(key) is not None

    def __len__(self) -> int:
        """How many records there are."""
        return len(self.blocklist)

    def parts(self) -> Iterator[bytes]:
        """See `ports.SnapshotSource.parts`."""
        return parts_of(self.blocklist)

    def take_changes(self) -> Mapping[str, Record] | None:
        """See `ports.Copy.take_changes`."""
        taken, self._changed = self._changed, {}
        return taken

    def batches(self, size: int) -> Iterator[Sequence[tuple[str, Record]]]:
        """See `ports.Copy.batches`."""
        records = self.blocklist.records()
        while batch := list(islice(records, size)):
            yield batch

    def _told(self, seq: int, key: str, record: Record) -> None:
        super()._told(seq, key, record)
        if self._changed is not None:
            known = self._changed.get(key)
            self._changed[key] = record if known is None else known.merged(record)
            if len(self._changed) > MOST_CHANGES:
                self._changed = None
        self.changed.set()

    def _renewed(self) -> None:
        super()._renewed()
        self.readings += 1
        self._changed = None
        self.changed.set()

    async def _ask_desk(self) -> Proof:
        try:
            told = await self._desk.answer(Probe())
        except BusUnavailableError as error:
            raise FeedReadError(str(error)) from error
        return Proof(told.epoch, told.last_seq, told.backlog_ms / 1000, told.documents_seq)
