"""A projection in memory that can be emptied, restored and restarted under the writer's hands, as Redis can."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from latchwire.records import Record
from services.revocation.domain.projection import Begun, Condition, Mark
from services.revocation.ports import ProjectionUnavailableError


@dataclass
class Content:
    """Everything that a copy of the store has."""

    records: dict[str, Record] = field(default_factory=dict)
    mark: Mark | None = None
    trusted: bool = False
    beat: int = 0


class FakeProjection:
    """A `services.revocation.ports.Projection`."""

    def __init__(self) -> None:
        self.content = Content()
        self.policy = "noeviction"
        self.run = "run-1"
        self.evicted = 0
        self.since: int | None = None  # the beat at which an old copy was noticed
        self.away = False
        self.written = 0
        self._runs: set[str] = set()

    @property
    def records(self) -> dict[str, Record]:
        return self.content.records

    @property
    def mark(self) -> Mark | None:
        return self.content.mark

    @property
    def trusted(self) -> bool:
        return self.content.trusted

    async def condition(self) -> Condition:
        self._reached()
        return Condition(self.run, self.policy, self.evicted)

    async def begin(self, run: str, *, beat: int) -> Begun:
        self._reached()
        self._runs.add(run)
        past = self.content.beat < beat
        self.content.beat = max(self.content.beat, beat) + 1
        if past:
            self.content.trusted, self.since = False, self.content.beat
        return Begun(self.content.mark, self.content.beat, past)

    async def distrust(self, *, forget: bool) -> None:
        self._reached()
        self.content.trusted = False
        if forget:
            self.content.mark = None

    async def write(self, records: Sequence[tuple[str, Record]]) -> None:
        self._reached()
        self.written += len(records)
        for key, record in records:
            self.records[key] = self.records.get(key, record).merged(record)

    async def finish(self, run: str, reached: Mark, *, trust_ms: int) -> bool:
        self._reached()
        if run not in self._runs:
            return False
        self._runs.discard(run)
        mark = self.content.mark
        if mark is None or mark.epoch != reached.epoch or mark.seq < reached.seq:
            self.content.mark = reached
        self.content.trusted = self.trusted or trust_ms > 0
        return True

    def empty(self) -> None:
        """FLUSHALL."""
        self.content = Content()
        self._runs.clear()

    def saved(self) -> Content:
        """A backup of now."""
        now = self.content
        return Content(dict(now.records), now.mark, now.trusted, now.beat)

    def _reached(self) -> None:
        if self.away:
            raise ProjectionUnavailableError
