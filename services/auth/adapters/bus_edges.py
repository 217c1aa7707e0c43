"""The live edges, as the revocation worker hears them."""

from services.auth.domain.rollout import Roll
from shared.bus import Bus, BusUnavailableError, NoAnswerError
from shared.contract import OP_EDGES_LIST
from shared.messages import ListEdges

PATIENCE_SECONDS = 0.5  # the gateway asks again by itself


class BusEdges:
    """`services.auth.ports.gateway.Edges`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def roll(self) -> Roll | None:
        try:
            found = await self._bus.ask(OP_EDGES_LIST, ListEdges(), timeout=PATIENCE_SECONDS)
        except (BusUnavailableError, NoAnswerError):
            return None
        return Roll(tuple(e.beat.catalogue_generation for e in found.edges), found.whole)
