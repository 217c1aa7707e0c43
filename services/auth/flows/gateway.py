"""The routes of the gateway, one generation after the other, none before the edges have it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from services.auth.domain.rollout import Rollout, Version
from services.auth.ports.gateway import Edges
from shared.catalogue import Catalogue

log = structlog.get_logger()

FIRST_WAITS_SECONDS = 3.0  # within the patience of who asks, 5 s by default
LOOK_AGAIN_SECONDS = 0.1


class GatewayRoutes:
    """*write* makes the routes of a catalogue; *is_current* False: a newer document may be unread yet."""

    def __init__(
        self, edges: Edges, write: Callable[[Catalogue], bytes], is_current: Callable[[], bool]
    ) -> None:
        self._edges = edges
        self._write = write
        self._is_current = is_current
        self._rollout = Rollout()

    @property
    def generation(self) -> int:
        """Of the routes that are served; -1 before the first."""
        return self._rollout.served.generation if self._rollout.served else -1

    def take(self, catalogue: Catalogue, generation: int) -> None:
        """Serve *catalogue* from when every live edge goes by *generation* or a later one."""
        self._rollout = self._rollout.with_new(Version(generation, self._write(catalogue)))

    async def routes(self) -> bytes | None:
        """What the gateway is to route by; None: nothing can be said yet, it keeps what it has.

        The first answer waits a little: a gateway that is refused asks again at longer and longer intervals.
        """
        await self._look()
        if self._rollout.served is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_WAITS_SECONDS):
                    while self._rollout.served is None:
                        await asyncio.sleep(LOOK_AGAIN_SECONDS)
                        await self._look()
        served = self._rollout.served
        return served.routes if served else None

    async def _look(self) -> None:
        if not self._rollout.waiting or not self._is_current():
            return
        roll = await self._edges.roll()
        if roll is not None:
            self._move_on(self._rollout.heard(roll))

    def _move_on(self, after: Rollout) -> None:
        before, self._rollout = self.generation, after
        if self.generation != before:
            log.info("gateway.routes_served", generation=self.generation)
