"""How much room BLOCKLIST has left, and whether something lies in it that is no record.

NATS checks who may publish, not where an answer is sent: a stolen credential beside the workers can have some
stored under any ``bl.<name>``, where they stay for ever. Readers pass over them; but a full BLOCKLIST takes no
revocation, so an operator is told long before.
"""

from typing import Protocol

import structlog
from prometheus_client import Gauge

from services.revocation.ports import SnapshotSource
from shared import contract
from shared.bus import Position

log = structlog.get_logger()

HALF = contract.BLOCKLIST.max_bytes // 2
FRESH_SECONDS = 10.0  # an older copy may lack records
SOME = 10  # fewer may be records that lapse at this moment

BYTES = Gauge("latchwire_blocklist_bytes", "What BLOCKLIST takes, of 2 GiB.")
FOREIGN = Gauge("latchwire_blocklist_foreign", "Messages in BLOCKLIST that are no record.")


class Leader(Protocol):
    """Raises `shared.bus.BusUnavailableError`."""

    async def stream_position(self, stream: contract.Stream) -> Position:
        """What the leader says of *stream*."""
        ...


class Room:
    """Compares BLOCKLIST with this worker's own copy of it."""

    def __init__(self, leader: Leader, copy: SnapshotSource) -> None:
        self._leader = leader
        self._copy = copy
        self._last_foreign = 0
        self._trouble: str | None = None

    def trouble(self) -> str | None:
        """What an operator has to look at, for the notes of ``/ready``."""
        return self._trouble

    async def look(self) -> None:
        """Look again. Raises: BusUnavailableError: the leader did not answer."""
        position = await self._leader.stream_position(contract.BLOCKLIST)
        foreign = self._foreign(position)
        BYTES.set(position.bytes)
        FOREIGN.set(foreign)
        trouble = None
        if position.bytes >= HALF:
            trouble = "BLOCKLIST is more than half full"
        elif foreign >= SOME:
            trouble = "BLOCKLIST holds messages that are no records"
        if trouble is not None and trouble != self._trouble:
            log.warning("blocklist.crowded", bytes=position.bytes, foreign=foreign, reason=trouble)
        self._trouble = trouble

    def _foreign(self, position: Position) -> int:
        """How many there were both times: what lapses leaves the copy a moment before the stream."""
        if self._copy.staleness_seconds() > FRESH_SECONDS or self._copy.epoch != position.epoch:
            return 0
        now = max(0, position.messages - len(self._copy))
        before, self._last_foreign = self._last_foreign, now
        return min(now, before)
