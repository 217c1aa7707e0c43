"""The bus as the flows speak on it: with as much patience as a person has who waits for the answer."""

from typing import TypeVar

from shared.bus import Bus
from shared.contract import Subject
from shared.messages import Message

WITHIN = 3.0  # seconds; a broker that is there answers within milliseconds, an election takes about this long

M = TypeVar("M", bound=Message)


class BusEvents:
    """`services.auth.ports.Events`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(
        self, subject: Subject[M], message: M, *, msg_id: str | None = None
    ) -> object:
        return await self._bus.publish(subject, message, msg_id=msg_id, within=WITHIN)
