"""How far a new service token has come, for who asked to wait for it (``Prefer: wait``, RFC 7240 §4.3)."""

import asyncio
from dataclasses import dataclass

from services.auth.domain.reach import Reached
from services.auth.ports import BusUnavailableError, NoAnswerError, Signals
from shared.clock import Clock
from shared.contract import OP_EDGES_LIST
from shared.messages import EdgeList, ListEdges

LOOK_AGAIN_SECONDS = 0.05
NOBODY_TOLD = Reached(0, 0, complete=False, safe_at_ms=None)


@dataclass(frozen=True)
class TokenReach:
    """Asks the revocation worker, which hears all edges."""

    signals: Signals
    clock: Clock

    async def reached(self, generation: int, seconds: float) -> Reached:
        """Which live edges have *generation* of the tokens: as soon as all have, or after so many *seconds*."""
        deadline = self.clock.monotonic() + seconds
        while True:
            left = deadline - self.clock.monotonic()
            found = await self._look(generation, max(0.01, left))
            if found.complete or left <= LOOK_AGAIN_SECONDS:
                return found
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _look(self, generation: int, patience: float) -> Reached:
        try:
            listed = await self.signals.ask(OP_EDGES_LIST, ListEdges(), timeout=patience)
        except (BusUnavailableError, NoAnswerError):
            return NOBODY_TOLD
        return has(listed, generation)


def has(listed: EdgeList, generation: int) -> Reached:
    """How many of the edges *listed* go by *generation* of the tokens, or by a later one."""
    confirmed = sum(edge.beat.tokens_generation >= generation for edge in listed.edges)
    complete = listed.whole and confirmed == len(listed.edges)
    return Reached(len(listed.edges), confirmed, complete, safe_at_ms=None)
