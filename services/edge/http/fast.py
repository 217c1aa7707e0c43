"""The short way of a check: a plain request that is here whole is answered at once, without aiohttp.

A connection of ours owns each fresh socket. As long as it hears plain requests, one after the other
(`services.edge.http.plain`), it asks the doors and writes what they say: no parser, no task, no request object.
With the first thing that is not one it makes aiohttp's own handler (`services.edge.http.behind`), gives it the
socket and all bytes that are not answered yet, and is out of it for good. Both ways end in `Doors.answer`.
"""

import asyncio
from typing import Final, cast

from aiohttp import web

from services.edge.http.answers import is_read, sent
from services.edge.http.behind import SWEEPS, BehindServer
from services.edge.http.doors import Check, Doors
from services.edge.http.plain import END, MAX_HEAD, PlainReader

# A head that came in pieces is waited for so long; a longer wait is aiohttp's.
WAIT_SECONDS: Final = 0.05


class FastServer(web.Server):
    """Answers plain checks by *doors* itself; *behind* gets the connections that bring anything else.

    A connection without a whole request for *idle_seconds* (and up to a twelfth more) is closed, on either way.
    """

    def __init__(self, doors: Doors, behind: BehindServer, *, idle_seconds: float) -> None:
        super().__init__(doors)
        self.doors = doors
        self.reader = PlainReader()
        self.behind = behind
        self.sweep = 0
        self._every = idle_seconds / SWEEPS
        self._open: set[FastConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> "FastConnection":  # type: ignore[override]  # a site only connects it
        return FastConnection(self)

    def begin(self, connection: "FastConnection") -> None:
        """Watch over it."""
        self._open.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(self._every, self._close_idle)

    def end(self, connection: "FastConnection") -> None:
        """It is closed, or belongs to *behind*."""
        self._open.discard(connection)

    @property
    def plain(self) -> int:
        """How many connections go the short way."""
        return len(self._open)

    def pre_shutdown(self) -> None:
        """Close what waits for a request: on this way all do, for answers take no time."""
        for connection in tuple(self._open):
            connection.close()
        self.behind.pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:
        """Wait for what *behind* has begun."""
        self.pre_shutdown()  # who came meanwhile
        if self._timer is not None:
            self._timer.cancel()
        await self.behind.shutdown(timeout)

    def _close_idle(self) -> None:
        self.sweep += 1
        for connection in tuple(self._open):
            if self.sweep - connection.active_in > SWEEPS:
                connection.abort()
        self.behind.close_idle()
        again = bool(self._open or self.behind.connections)
        self._timer = self._loop.call_later(self._every, self._close_idle) if again else None


class FastConnection(asyncio.Protocol):
    """One connection for as long as it is plain. *active_in*: the sweep before its last request."""

    __slots__ = ("_held", "_peer", "_server", "_timer", "_transport", "_unread", "active_in")
    _transport: asyncio.Transport

    def __init__(self, server: FastServer) -> None:
        self._server = server
        self._held = b""
        self._timer: asyncio.TimerHandle | None = None
        self._unread = False
        self.active_in = server.sweep

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance: a transport of uvloop is none of these by class.
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self._peer = str(name[0]) if isinstance(name, tuple) else None
        self._server.begin(self)

    def data_received(self, data: bytes) -> None:
        if self._timer is not None:
            data = self._release() + data
        check = self._server.reader.read(data, self._peer)
        if check is not None:
            self._answer(check)
        elif len(data) < MAX_HEAD and END not in data:
            self._held = data
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(WAIT_SECONDS, self._waited)
        else:
            self._hand_over(data)

    def pause_writing(self) -> None:
        self._unread = True

    def resume_writing(self) -> None:
        self._unread = False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._release()
        self._server.end(self)

    def close(self) -> None:
        """After what is written; half a request is nothing to answer."""
        self._release()
        self._transport.close()

    def abort(self) -> None:
        """At once, for who was idle so long does not read either."""
        self._release()
        self._transport.abort()

    def _answer(self, check: Check) -> None:
        self.active_in = self._server.sweep
        alive = is_read(self._transport)
        whole = self._server.doors.answer(check)
        self._transport.write(sent(whole, check.method, alive=alive))
        if not alive:
            self._transport.close()

    def _release(self) -> bytes:
        """The part of a request that was held, which nobody waits for now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held = self._held, b""
        return held

    def _waited(self) -> None:
        self._hand_over(self._release())

    def _hand_over(self, data: bytes) -> None:
        handler = self._server.behind()
        self._server.end(self)
        self._transport.set_protocol(handler)
        handler.connection_made(self._transport)
        if self._unread:
            handler.pause_writing()
        handler.data_received(data)
