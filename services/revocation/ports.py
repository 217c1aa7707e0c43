"""What the flows need from outside. `shared.bus.Bus` is several of these as it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from latchwire.records import Record
from shared.bus import Ack, Position, StateMessage
from shared.contract import Durable, M, Stream, Subject


class BlocklistState(Protocol):
    """BLOCKLIST as a map with compare-and-set. Raises `shared.bus.BusUnavailableError`."""

    async def get_state(self, key: str) -> tuple[bytes, int] | None:
        """The packed record under *key* and its sequence, from the stream leader."""
        ...

    async def put_state(
        self, key: str, body: bytes, *, expected_seq: int, ttl_seconds: float
    ) -> Ack | None:
        """Store *body* if *expected_seq* (0: absent) is still the last of its key; else None."""
        ...


class KnownKeys(Protocol):
    """The keys this worker knows to be in BLOCKLIST: a hint, behind by what is under way."""

    def __contains__(self, key: object, /) -> bool:
        """Whether *key* has a record."""
        ...


class Speaker(Protocol):
    """Signals on core NATS."""

    async def signal(self, subject: Subject[M], message: M) -> None:
        """Say *message* to whoever listens now; never fails."""
        ...


class BrokerFacts(Protocol):
    """What the stream leaders know. Raises `shared.bus.BusUnavailableError`."""

    async def stream_position(self, stream: Stream) -> Position:
        """Epoch and last sequence, from the leader."""
        ...

    async def consumer_backlog_ms(self, durable: Durable) -> int:
        """Age in ms of the oldest message not acknowledged; 0 when there is none."""
        ...


class Link(Protocol):
    """The connection to the bus."""

    @property
    def reconnections(self) -> int:
        """How often it was made anew."""
        ...


class StoreClock(Protocol):
    """The clock that sessions are stamped with: Redis ``TIME``."""

    def now_ms(self) -> int | None:
        """Its time now, never early; None when it was not heard lately."""
        ...


class ProjectionUnavailableError(Exception):
    """The projection's store did not answer."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One message of BLOCKLIST."""

    seq: int
    key: str
    record: Record


class Replay(Protocol):
    """BLOCKLIST as a sequence. Raises `shared.bus.BusUnavailableError`."""

    async def next_state(self, from_seq: int) -> StateMessage | None:
        """The leader's first record at or after *from_seq*; None when it has nothing left."""
        ...


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a projection is: everything of *epoch* up to *seq* is in it."""

    epoch: str
    seq: int


class Projection(Protocol):
    """A copy of BLOCKLIST that others read. Raises `ProjectionUnavailableError`."""

    async def begin(self, run: str, goal: Mark) -> int:
        """Open *run*; the sequence to continue after, 0 when the copy is empty or of another past.

        In that case it also stops saying that it can be trusted.
        """
        ...

    async def write(self, records: Sequence[StoredRecord]) -> None:
        """Merge *records*; repeating or reordering them changes nothing."""
        ...

    async def finish(self, run: str, reached: Mark, *, trust_ms: int) -> bool:
        """Move the mark, and say "trusted" for *trust_ms* (0: leave that as it is).

        Returns False, and does nothing, when the copy was emptied since *run* began.
        """
        ...
