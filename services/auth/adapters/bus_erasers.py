"""Services asked over the bus, each on its own subject."""

from services.auth.ports import NoAnswerError
from shared.bus import Bus
from shared.contract import USER_ERASE
from shared.messages import EraseAnswer, EraseUser

PATIENCE = 5.0  # seconds; the ledger's shortest delay between two questions is longer


class BusErasers:
    """`services.auth.ports.deletions.Erasers`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def ask(self, service: str, request: EraseUser) -> EraseAnswer | None:
        try:
            return await self._bus.ask(USER_ERASE.of(service), request, timeout=PATIENCE)
        except NoAnswerError:
            return None
