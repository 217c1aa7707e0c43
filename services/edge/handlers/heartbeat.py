"""``edge.heartbeat.<edge_id>``: how far this edge has applied, each second and, while it applies, at once.

Receipts of revocations are read from these, so one follows each applied record after 10 ms. In a burst it
covers many, and there is one after 70 ms at most.
"""

import asyncio
from contextlib import suppress

from latchwire import __version__
from services.edge.flows.check import Checker
from services.edge.ports import Revocations
from shared.bus import Bus
from shared.clock import Clock
from shared.contract import EDGE_HEARTBEAT
from shared.messages import Heartbeat

EVERY_SECONDS = 1.0
AFTER_THE_OTHERS_SECONDS = 0.010
IN_A_BURST_SECONDS = 0.050
NEVER_MS = 2**31 - 1  # staleness before the first proof


def staleness_ms(revocations: Revocations) -> int:
    """The staleness in whole milliseconds, bounded."""
    return int(min(revocations.staleness_seconds() * 1000, NEVER_MS))


async def beat(
    bus: Bus,
    *,
    edge_id: str,
    revocations: Revocations,
    checker: Checker,
    applied: asyncio.Event,
    clock: Clock,
) -> None:
    """Send heartbeats until cancelled; *applied* is set whenever a record or document was."""
    subject = EDGE_HEARTBEAT.of(edge_id)
    started_at = clock.now_ms()
    while True:
        applied.clear()
        heartbeat = Heartbeat(
            edge_id=edge_id,
            at=clock.now_ms(),
            epoch=revocations.epoch,
            seq=revocations.seq,
            ready=not checker.is_stale(),
            staleness_ms=staleness_ms(revocations),
            blocklist_size=revocations.size,
            version=__version__,
            started_at=started_at,
            max_staleness_ms=int(checker.longest_staleness * 1000),
            keys_generation=checker.keys_generation,
            catalogue_generation=checker.catalogue_generation,
            edges_generation=checker.passing.generation,
            tokens_generation=checker.tokens_generation,
        )
        await bus.signal(subject, heartbeat)
        await _until_due(applied)


async def _until_due(applied: asyncio.Event) -> None:
    """Return a second from now, or before that when something was applied and the burst has paused."""
    with suppress(TimeoutError):
        async with asyncio.timeout(EVERY_SECONDS):
            await applied.wait()
    # Not at once: the same record is on its way to the other edges, and receipts of those that have it
    # would take the processor, and the bus, from those that do not (adr/0016).
    waited, pause = 0.0, AFTER_THE_OTHERS_SECONDS
    while waited < IN_A_BURST_SECONDS:
        applied.clear()
        await asyncio.sleep(pause)
        if not applied.is_set():
            break
        waited, pause = waited + pause, 2 * pause
