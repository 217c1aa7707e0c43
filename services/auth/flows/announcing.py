"""Publish the ends that could not be published when they were made: by any process of auth, after any crash."""

import asyncio
from dataclasses import dataclass, field

import structlog

from services.auth.domain.ending import PendingEnd
from services.auth.flows.ending import Ending
from services.auth.ports import (
    BusUnavailableError,
    Sessions,
    StoreUnavailableError,
)
from shared.pauses import pause

log = structlog.get_logger()

EVERY_SECONDS = 1.0


@dataclass
class Announcer:
    """Looks once a second. Whoever ends a session publishes it first: only what is still there at the

    next look is published here.
    """

    sessions: Sessions
    ending: Ending
    _seen: frozenset[PendingEnd] = field(default=frozenset(), init=False)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until *stopping*."""
        while not stopping.is_set():
            await self.look()
            await pause(EVERY_SECONDS, stopping)

    async def look(self) -> None:
        """One round; whatever is away is tried again in the next."""
        left: list[PendingEnd] = []
        try:
            found = await self.sessions.unannounced()
            left = [end for end in found if end in self._seen]
            self._seen = frozenset(found)
            for end in left:
                await self._announce(end)
        except BusUnavailableError:
            log.warning("ends.unannounced", at_least=len(left))
        except StoreUnavailableError:
            return  # every request that needs it says so

    async def _announce(self, end: PendingEnd) -> None:
        try:
            await self.ending.announce(end)
        except StoreUnavailableError:
            # Everybody else knows by now, but the owner's mail could not be made: that must hold up no other.
            log.info("end.announced_again_later", scope=end.scope)
