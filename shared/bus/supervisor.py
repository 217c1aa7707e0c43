"""One supervised connection: reconnects for ever with jitter; a closed one ends the process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Server

from latchwire._client import QuickClient
from shared.bus.connection import Bus
from shared.clock import Clock
from shared.contract import Role
from shared.ids import Ids

log = structlog.get_logger()

SAME_SECONDS = 1.0
PING_INTERVAL = 5  # seconds; two unanswered pings close a black-holed connection
# Seconds, drawn anew for each try: a fleet does not return at once, and an edge has to within a second.
RECONNECT_DELAY = (0.05, 0.5)


class _Supervisor:
    """The connection's callbacks: what is logged, and what ends the process."""

    def __init__(
        self, clock: Clock, on_closed: Callable[[], None], on_reconnected: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._said = ("", -SAME_SECONDS)
        self._on_closed = on_closed
        self._on_reconnected = on_reconnected
        self.closing = False

    async def closed(self) -> None:
        if not self.closing:
            log.error("bus.closed")
            self._on_closed()

    async def disconnected(self) -> None:
        if not self.closing:
            log.warning("bus.disconnected")

    async def reconnected(self) -> None:
        log.info("bus.reconnected")
        self._on_reconnected()

    async def failed(self, error: Exception) -> None:
        """One line a second of a kind: whoever floods a subscription makes one of each message."""
        kind, now = type(error).__name__, self._clock.monotonic()
        if not self.closing and (kind != self._said[0] or now >= self._said[1] + SAME_SECONDS):
            self._said = (kind, now)
            log.warning("bus.error", error=str(error) or kind)


def _nothing() -> None:
    """The default callback."""


def _jittered(ids: Ids) -> Callable[[list[Server], dict[str, Any]], tuple[Server, float]]:
    def choose(servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
        low, high = RECONNECT_DELAY
        return servers[int(ids.random() * len(servers))], low + (high - low) * ids.random()

    return choose


@asynccontextmanager
async def connect_bus(
    *,
    url: str,
    role: Role,
    name: str,
    seed: str,
    clock: Clock,
    ids: Ids,
    on_closed: Callable[[], None] = _nothing,
    on_reconnected: Callable[[], None] = _nothing,
) -> AsyncIterator[Bus]:
    """Connect and stay connected; blocks until a server is there.

    *on_closed* is called when the client gives up for good (an authorisation error after a reload): the
    worker then ends, because nats-py never leaves that state.
    """
    supervisor = _Supervisor(clock, on_closed, on_reconnected)
    client = QuickClient()
    await client.connect(
        url.split(","),
        name=f"latchwire-{name}",
        nkeys_seed_str=seed,
        inbox_prefix=f"_INBOX_{name}",
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.5,  # type: ignore[arg-type]  # annotated as whole seconds, and only slept
        ping_interval=PING_INTERVAL,
        reconnect_to_server_handler=_jittered(ids),
        closed_cb=supervisor.closed,
        disconnected_cb=supervisor.disconnected,
        reconnected_cb=supervisor.reconnected,
        error_cb=supervisor.failed,
    )
    bus = Bus(client, role, name, clock, ids)
    try:
        yield bus
    finally:
        supervisor.closing = True
        bus.stop_answering()
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            async with asyncio.timeout(3):
                await client.flush(timeout=1)
        with contextlib.suppress(OSError):  # the connection may be gone already
            await client.close()
