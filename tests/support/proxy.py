"""A TCP proxy that breaks as networks break: packets of either direction vanish, silently, until it heals.

No connection is reset meanwhile, as behind a firewall that drops: writers fill their buffers, readers wait, and
new connections come to nothing. Healed, TCP sends again what was lost, so it arrives, late.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Flag

CHUNK = (
    16 * 1024
)  # also the socket buffers: what an outage holds back is at the sender, not in here


class Lost(Flag):
    """Which direction is swallowed."""

    NOTHING = 0
    UP = 1  # from the client to the server
    DOWN = 2  # from the server to the client
    BOTH = UP | DOWN


@dataclass
class Proxy:
    """Listens on *port* and passes on to *target* (a port on loopback)."""

    target: int
    port: int = 0
    lost: Lost = Lost.NOTHING
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    def swallow(self, direction: Lost = Lost.BOTH) -> None:
        """From now on nothing that travels in *direction* arrives; no connection is closed."""
        self.lost = direction
        self._changed.set()

    def heal(self) -> None:
        """Pass everything on again, what was held back first."""
        self.swallow(Lost.NOTHING)

    def reset(self) -> None:
        """Reset every connection, as a load balancer that restarts."""
        for task in self._open:
            task.cancel()

    async def _passes(self, direction: Lost) -> None:
        while direction & self.lost:
            self._changed.clear()
            await self._changed.wait()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._passes(Lost.BOTH)
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the other side, or `reset`, ended it
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        above, beyond = await self._reach()
        try:
            pumps = {
                asyncio.create_task(self._pump(reader, beyond, Lost.UP)),
                asyncio.create_task(self._pump(above, writer, Lost.DOWN)),
            }
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.wait(pumps)
        finally:
            beyond.transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.target))
        except BaseException:  # a test that is cancelled leaves no socket either
            sock.close()
            raise
        return await asyncio.open_connection(sock=sock, limit=CHUNK)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Lost
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._passes(direction)
                writer.write(data)
                await writer.drain()
        # Also that one side has ended is not heard of at the other.
        await self._passes(direction)


@asynccontextmanager
async def proxy_to(target: int) -> AsyncIterator[Proxy]:
    """A proxy to *target* while the block runs."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy._accepted, "127.0.0.1", 0, limit=CHUNK)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.reset()
        await server.wait_closed()
