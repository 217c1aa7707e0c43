"""What the flows need from outside. `shared.bus.Bus` is several of these as it is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from latchwire.records import Record
from services.revocation.domain.projection import Begun, Condition, Mark
from shared.bus import Ack, Position, StoredHead
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

    async def consumer_backlog_ms(
        self, durable: Durable, subjects: Sequence[str] | None = None
    ) -> int:
        """Age in ms of the oldest message (of *subjects*) not acknowledged; 0 when there is none."""
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


Records = Mapping[str, Record]


class Copy(Protocol):
    """This worker's own copy of BLOCKLIST, in memory."""

    @property
    def epoch(self) -> str:
        """Of which stream it is; "" before it has been read."""
        ...

    @property
    def seq(self) -> int:
        """Everything up to this sequence is in it."""
        ...

    @property
    def readings(self) -> int:
        """How often it was read anew: what one began to go through before is no longer it."""
        ...

    def staleness_seconds(self) -> float:
        """How long ago it was proven complete; infinite without a proof."""
        ...

    def take_changes(self) -> Records | None:
        """What has changed since the last call; None when nobody can say, as after reading it anew."""
        ...

    def batches(self, size: int) -> Iterator[Sequence[tuple[str, Record]]]:
        """All of it, *size* records at a time; what is there throughout is in it at least once."""
        ...


class SnapshotSource(Protocol):
    """This worker's own copy of BLOCKLIST, as a whole."""

    def __len__(self) -> int:
        """How many records there are."""
        ...

    @property
    def epoch(self) -> str:
        """Of which stream it is; "" before it has been read."""
        ...

    @property
    def seq(self) -> int:
        """Everything up to this sequence is in it."""
        ...

    @property
    def readings(self) -> int:
        """How often it was read anew: what one began to go through before is no longer it."""
        ...

    def staleness_seconds(self) -> float:
        """How long ago it was proven complete; infinite without a proof."""
        ...

    def parts(self) -> Iterator[bytes]:
        """All of it in the parts of a snapshot; what is there throughout is in one at least."""
        ...


class Snapshots(Protocol):
    """Where snapshots are stored. Raises `shared.bus.BusUnavailableError`."""

    async def head(self) -> StoredHead | None:
        """The newest head."""
        ...

    async def put_part(self, id_: str, number: int, body: bytes) -> None:
        """Store one part for an hour."""
        ...

    async def put_head(self, body: bytes, *, expected_seq: int) -> bool:
        """Store a head if the last one is still *expected_seq* (0: none); whether it was."""
        ...


class Beats(Protocol):
    """Where the last beat outlives the workers. Raises `shared.bus.BusUnavailableError`."""

    async def beat(self) -> int:
        """The last one that was stored, by whichever worker; 0 for none."""
        ...

    async def put_beat(self, beat: int) -> None:
        """Store *beat*."""
        ...


class Projection(Protocol):
    """A copy of BLOCKLIST that others read. Raises `ProjectionUnavailableError`."""

    async def condition(self) -> Condition:
        """Who the store is, and whether it may drop what it was given."""
        ...

    async def begin(self, run: str, *, beat: int) -> Begun:
        """Open *run*; *beat* is the last number this worker was given, 0 for none.

        Where the store has forgotten that number it is a copy from the past: it stops saying that it can be
        trusted, and notes the instant before which nothing single-use in it counts.
        """
        ...

    async def distrust(self, *, forget: bool) -> None:
        """Stop saying that it can be trusted; with *forget*, drop the mark as well."""
        ...

    async def write(self, records: Sequence[tuple[str, Record]]) -> None:
        """Merge *records*; repeating or reordering them changes nothing."""
        ...

    async def finish(self, run: str, reached: Mark, *, trust_ms: int) -> bool:
        """Move the mark on, and say "trusted" for *trust_ms* (0: leave that as it is).

        Returns False, and does nothing, when the copy was emptied since *run* began.
        """
        ...
