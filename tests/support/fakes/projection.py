"""A projection in memory that can be emptied under the writer's hands, as Redis can."""

from collections.abc import Sequence

from latchwire.records import Record
from services.revocation.ports import Mark, ProjectionUnavailableError, StoredRecord


class FakeProjection:
    """A `services.revocation.ports.Projection`."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.mark: Mark | None = None
        self.trusted = False
        self.away = False
        self._runs: set[str] = set()

    async def begin(self, run: str, goal: Mark) -> int:
        self._reached()
        self._runs.add(run)
        if self.mark and self.mark.epoch == goal.epoch and self.mark.seq <= goal.seq:
            return self.mark.seq
        self.mark, self.trusted = None, False
        return 0

    async def write(self, records: Sequence[StoredRecord]) -> None:
        self._reached()
        for stored in records:
            known = self.records.get(stored.key, stored.record)
            self.records[stored.key] = known.merged(stored.record)

    async def finish(self, run: str, reached: Mark, *, trust_ms: int) -> bool:
        self._reached()
        if run not in self._runs:
            return False
        self._runs.discard(run)
        self.mark = reached
        self.trusted = self.trusted or trust_ms > 0
        return True

    def empty(self) -> None:
        """FLUSHALL."""
        self.records.clear()
        self._runs.clear()
        self.mark, self.trusted = None, False

    def _reached(self) -> None:
        if self.away:
            raise ProjectionUnavailableError
