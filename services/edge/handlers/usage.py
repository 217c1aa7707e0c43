"""``edge.usage.<edge_id>``: which service tokens were used, and when last."""

import asyncio

from services.edge.flows.usage import TokenUse
from shared.bus import Bus
from shared.clock import Clock
from shared.contract import EDGE_USAGE
from shared.messages import TokensUsed

LOOK_SECONDS = 1.0


async def tell_usage(bus: Bus, *, edge_id: str, usage: TokenUse, clock: Clock) -> None:
    """Tell until cancelled; what is told while there is no connection is lost."""
    subject = EDGE_USAGE.of(edge_id)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        used = usage.due(clock.now_ms())
        if used:
            await bus.signal(subject, TokensUsed(edge_id=edge_id, used=used))
