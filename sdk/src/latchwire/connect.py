"""A connection to NATS that lasts: what a feed needs and the client library does not do by itself.

By default nats-py gives up after sixty tries, takes minutes to notice a dead link, and prints its errors.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from nats.aio.client import Client, Server
from nats.errors import Error as NatsError

from latchwire._client import QuickClient
from latchwire._errors import LatchwireError

PING_SECONDS: Final = 5  # two unanswered pings close a connection that leads nowhere
RECONNECT_SECONDS: Final = (0.05, 0.5)  # drawn anew for each try: a fleet does not return at once

_log = logging.getLogger("latchwire.feed")


class FeedConnectError(LatchwireError):
    """No NATS server let this service in, in the time given."""


class _Log:
    """The connection's callbacks. What the last error was is worth telling when time is up."""

    def __init__(self) -> None:
        self.closing = False
        self.last_error = ""
        self._told: set[str] = set()  # since the last connection

    async def failed(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        # A server's word tells more than a socket that was lost.
        if isinstance(error, NatsError) or not self.last_error:
            self.last_error = text
        if text not in self._told:  # many tries a second may end alike
            self._told.add(text)
            self._warn("feed.connection_error %s", text)

    async def disconnected(self) -> None:
        self._warn("feed.disconnected")

    async def reconnected(self) -> None:
        self._told.clear()
        _log.info("feed.reconnected")

    async def closed(self) -> None:
        if not self.closing:
            _log.error("feed.connection_closed it will not come back by itself")

    def _warn(self, text: str, *values: str) -> None:
        if not self.closing:
            _log.warning(text, *values)


def _jittered(servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
    return random.choice(servers), random.uniform(*RECONNECT_SECONDS)  # noqa: S311  # no secret


@asynccontextmanager
async def connect(
    servers: str | Sequence[str],
    *,
    name: str,
    nkey_seed: str,
    tls: ssl.SSLContext | None = None,
    timeout: float | None = 10.0,
) -> AsyncIterator[Client]:
    """Connect as the credential *name* and stay connected; closed at the end.

    *servers* is an address (``nats://host:4222``, ``tls://…``), several with commas, or a list of them;
    *timeout* in seconds is for the first connection only, None waits for ever.

    Raises:
        FeedConnectError: there was none within *timeout*.
    """
    callbacks = _Log()
    client = QuickClient()
    addresses = servers.split(",") if isinstance(servers, str) else list(servers)
    try:
        try:
            async with asyncio.timeout(timeout):
                await client.connect(
                    addresses,
                    name=f"latchwire-{name}",
                    nkeys_seed_str=nkey_seed,
                    inbox_prefix=f"_INBOX_{name}",
                    tls=tls,
                    max_reconnect_attempts=-1,
                    ping_interval=PING_SECONDS,
                    reconnect_to_server_handler=_jittered,
                    error_cb=callbacks.failed,
                    disconnected_cb=callbacks.disconnected,
                    reconnected_cb=callbacks.reconnected,
                    closed_cb=callbacks.closed,
                )
        except TimeoutError as error:
            raise FeedConnectError(callbacks.last_error or "no answer") from error
        yield client
    finally:
        callbacks.closing = True
        with suppress(NatsError, OSError):  # the connection may be gone already
            await client.close()
