"""aiohttp's side of a connection that has left the short way, where it ends after some answers.

For it cannot go back: what aiohttp's parser holds is not known. The proxy opens a fresh one in its place, which
is short again. The last answer says so, and none is the last while anything behind its request has been read.
"""

import asyncio
from typing import Any, Final, cast

from aiohttp import web

from services.edge.http.answers import Answer
from services.edge.http.doors import Doors
from services.edge.http.plain import END

# A fresh connection costs what this way costs more in a dozen checks: few enough that one odd request is soon
# past, and so many that a proxy which sends nothing else hardly notices.
ANSWERS: Final = 64
SWEEPS: Final = 12  # of the idle connections, in the time that one may be idle


class Behind(web.RequestHandler):
    """One connection. *answers* so far; *idle_sweeps* since the last one."""

    __slots__ = ("_end", "answers", "idle_sweeps")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._end = b""
        self.answers = 0
        self.idle_sweeps = 0

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come behind the request that is being answered, not a part of another one either.

        Where a body came last it is not known, and not believed.
        """
        return not (self._messages or self._message_tail) and self._end == END

    def data_received(self, data: bytes) -> None:
        """Also what aiohttp's parser keeps to itself is remembered to have come: its last bytes tell."""
        self._end = (self._end + data[-len(END) :])[-len(END) :]
        super().data_received(data)


class BehindServer(web.Server):
    """Makes them; *answers*: from so many on, the first that nothing stands behind is the last one."""

    def __init__(self, doors: Doors, *, answers: int = ANSWERS, **options: Any) -> None:
        super().__init__(self._answer, **options)
        self._doors = doors
        self._enough = answers

    def __call__(self) -> Behind:
        """A connection that nobody is connected to yet."""
        return Behind(self, loop=self._loop, **self._kwargs)

    def close_idle(self) -> None:
        """Also those that aiohttp has closed, and whose peer never reads what it was told."""
        connections = cast("dict[Behind, asyncio.Transport]", self._connections)
        for connection, transport in tuple(connections.items()):
            if connection.idle_sweeps >= SWEEPS:
                transport.abort()
            connection.idle_sweeps += 1

    async def _answer(self, request: web.BaseRequest) -> Answer:
        answer = await self._doors(request)
        connection = cast("Behind", request.protocol)
        connection.answers += 1
        connection.idle_sweeps = 0
        answer.is_last = connection.answers >= self._enough and connection.is_quiet
        return answer
