"""How far a new service token has come, for who asked to wait for it (``Prefer: wait``, RFC 7240 §4.3)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from services.auth.domain.reach import Reached
from services.auth.flows.room import Room
from services.auth.ports import BusUnavailableError, NoAnswerError, Signals
from shared.clock import Clock
from shared.contract import OP_EDGES_LIST
from shared.messages import EdgeList, ListEdges

log = structlog.get_logger()

# An edge tells at once that it has the token: the pauses are short at first, then each is twice the last.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.8
SPARE_SECONDS = 0.05  # of what is left, kept for the way of the last answer
AT_ONCE = 32  # waiting requests of one process
NOBODY_TOLD = Reached(0, 0, complete=False, safe_at_ms=None)


@dataclass
class TokenReach:
    """Asks the revocation worker, which hears all edges."""

    signals: Signals
    clock: Clock
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    room: Room = field(default_factory=lambda: Room(AT_ONCE))

    async def reached(self, generation: int, seconds: float) -> Reached:
        """Which live edges have *generation* of the tokens: as soon as all have, or after so many *seconds*."""
        with self.room.taken():
            return await self._reached(generation, self.clock.monotonic() + seconds)

    async def _reached(self, generation: int, deadline: float) -> Reached:
        pause = FIRST_PAUSE_SECONDS
        while True:
            found = await self._look(generation, deadline)
            left = deadline - self.clock.monotonic() - SPARE_SECONDS
            if found.complete or left <= 0:
                return found
            await self.pause(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _look(self, generation: int, deadline: float) -> Reached:
        patience = max(0.01, deadline - self.clock.monotonic())
        try:
            return has(
                await self.signals.ask(OP_EDGES_LIST, ListEdges(), timeout=patience), generation
            )
        except (BusUnavailableError, NoAnswerError):
            return NOBODY_TOLD
        except Exception:  # the token is made and shown this once: nothing may turn that into a 500
            log.exception("wait.failed")
            return NOBODY_TOLD


def has(listed: EdgeList, generation: int) -> Reached:
    """How many of the edges *listed* go by *generation* of the tokens, or by a later one."""
    confirmed = sum(edge.beat.tokens_generation >= generation for edge in listed.edges)
    complete = listed.whole and confirmed == len(listed.edges)
    return Reached(len(listed.edges), confirmed, complete, safe_at_ms=None)
