"""What the edges say of themselves, heard for a while: who is there, and how far each has come."""

import asyncio
import contextlib
from dataclasses import dataclass, field

from shared.bus import Bus
from shared.clock import Clock
from shared.contract import EDGE_HEARTBEAT
from shared.messages import Heartbeat

ROLL_CALL_SECONDS = 1.5  # edges beat once a second


@dataclass
class HeardEdge:
    """One edge: its *last* word, and when (monotonic seconds) it had first come how far."""

    last: Heartbeat
    progress: list[tuple[float, str, int]] = field(default_factory=list)

    def reached(self, epoch: str, seq: int) -> float | None:
        """When it was first heard to have applied *seq* of *epoch*, or None."""
        return next((at for at, e, s in self.progress if e == epoch and s >= seq), None)


class RollCall:
    """Listens to heartbeats from the moment it is started."""

    def __init__(self, clock: Clock) -> None:
        self.edges: dict[str, HeardEdge] = {}
        self._clock = clock
        self._heard = asyncio.Event()

    async def start(self, bus: Bus) -> None:
        """Begin to listen."""
        await bus.listen(EDGE_HEARTBEAT, self._on_heartbeat)

    async def more(self, seconds: float) -> None:
        """Wait for the next heartbeat, at most *seconds*."""
        self._heard.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), seconds)

    async def complete(self, seconds: float = ROLL_CALL_SECONDS) -> None:
        """Listen for *seconds*: long enough that each live edge has spoken."""
        await asyncio.sleep(seconds)

    async def _on_heartbeat(self, beat: Heartbeat) -> None:
        edge = self.edges.setdefault(beat.edge_id, HeardEdge(beat))
        if not edge.progress or edge.progress[-1][1:] != (beat.epoch, beat.seq):
            edge.progress.append((self._clock.monotonic(), beat.epoch, beat.seq))
        edge.last = beat
        self._heard.set()
