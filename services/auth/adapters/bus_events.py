"""The bus as the flows speak on it: with as much patience as a person has who waits for the answer."""

from typing import TypeVar

from prometheus_client import Counter

from shared.bus import Bus
from shared.contract import Subject
from shared.messages import LoginFailed, LoginSucceeded, Message

WITHIN = 3.0  # seconds; a broker that is there answers within milliseconds, an election takes about this long
LOGINS = Counter(
    "latchwire_logins", "Logins that ended, by method and outcome", ["method", "outcome"]
)

M = TypeVar("M", bound=Message)


class BusEvents:
    """`services.auth.ports.Events`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(
        self, subject: Subject[M], message: M, *, msg_id: str | None = None
    ) -> object:
        if isinstance(message, (LoginSucceeded, LoginFailed)):
            outcome = "succeeded" if isinstance(message, LoginSucceeded) else "failed"
            LOGINS.labels(message.method, outcome).inc()
        return await self._bus.publish(subject, message, msg_id=msg_id, within=WITHIN)
