"""Snapshots in memory, and a list to take them of."""

from collections.abc import Iterator

from latchwire.blocklist import Blocklist
from latchwire.snapshots import parts_of
from shared.bus import BusUnavailableError, StoredHead


class FakeSnapshots:
    """A `services.revocation.ports.Snapshots`, and a `Beats`."""

    def __init__(self) -> None:
        self.stored: StoredHead | None = None
        self.parts: dict[tuple[str, int], bytes] = {}
        self.questions = 0
        self.last_beat = 0
        self.away = False

    async def head(self) -> StoredHead | None:
        self._reached()
        self.questions += 1
        return self.stored

    async def put_part(self, id_: str, number: int, body: bytes) -> None:
        self._reached()
        self.parts[id_, number] = body

    async def put_head(self, body: bytes, *, expected_seq: int) -> bool:
        self._reached()
        last = self.stored.seq if self.stored else 0
        if last != expected_seq:
            return False
        self.stored = StoredHead(body, last + len(self.parts) + 1)
        return True

    async def beat(self) -> int:
        self._reached()
        return self.last_beat

    async def put_beat(self, beat: int) -> None:
        self._reached()
        self.last_beat = beat

    def _reached(self) -> None:
        if self.away:
            raise BusUnavailableError("away")


class FakeSource:
    """A `services.revocation.ports.SnapshotSource`; proven just now, until told otherwise."""

    def __init__(self, blocklist: Blocklist, seq: int, epoch: str = "epoch-1") -> None:
        self.blocklist = blocklist
        self.epoch = epoch
        self.seq = seq
        self.readings = 0
        self.staleness = 0.0

    def __len__(self) -> int:
        return len(self.blocklist)

    def staleness_seconds(self) -> float:
        return self.staleness

    def parts(self) -> Iterator[bytes]:
        return parts_of(self.blocklist)
