"""BLOCKLIST in memory: compare-and-set per key, read in order, and a broker that can be made to stumble."""

from collections.abc import Sequence

from shared.bus import Ack, BusUnavailableError, Position, StateMessage
from shared.contract import BLOCKLIST, DOCUMENT, Durable, Stream


class FakeBlocklist:
    """What the revocation flows see of the bus."""

    def __init__(self, epoch: str = "epoch-1") -> None:
        self.epoch = epoch
        self.last_seq = 0
        self.documents_seq = 0
        self.backlog_ms = 0
        self.backlogs: dict[str, int] = {}  # of a durable by name, where it differs
        self.reads = 0
        self.away = False
        self.writes: list[tuple[str, int, bytes]] = []
        self._records: dict[str, tuple[bytes, int]] = {}

    async def get_state(self, key: str) -> tuple[bytes, int] | None:
        self._reached()
        self.reads += 1
        return self._records.get(key)

    async def put_state(
        self, key: str, body: bytes, *, expected_seq: int, ttl_seconds: float
    ) -> Ack | None:
        self._reached()
        if self._records.get(key, (b"", 0))[1] != expected_seq:
            return None
        self.last_seq += 1
        self._records[key] = body, self.last_seq
        self.writes.append((key, self.last_seq, body))
        return Ack(BLOCKLIST.name, self.last_seq, False)

    async def next_state(self, from_seq: int) -> StateMessage | None:
        self._reached()
        later = [(seq, key, body) for key, (body, seq) in self._records.items() if seq >= from_seq]
        return StateMessage(*min(later)) if later else None

    async def stream_position(self, stream: Stream) -> Position:
        self._reached()
        if stream is DOCUMENT:
            return Position("", 1, self.documents_seq)
        return Position(self.epoch, 1, self.last_seq)

    async def consumer_backlog_ms(
        self, durable: Durable, subjects: Sequence[str] | None = None
    ) -> int:
        self._reached()
        if subjects is not None:
            return max((self.backlogs.get(subject, 0) for subject in subjects), default=0)
        return self.backlogs.get(durable.name, self.backlog_ms)

    def expire(self, key: str) -> None:
        """As the server does when a record's time is over."""
        del self._records[key]

    def _reached(self) -> None:
        if self.away:
            raise BusUnavailableError("away")
