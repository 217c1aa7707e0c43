"""What a request gets that aiohttp cannot read: an answer of ours instead of aiohttp's.

aiohttp's own tells the library's version and repeats a part of what it could not read, which may be a
credential: a header of more than 8190 bytes is enough. Anybody can send such a thing, and for ever: so many
lines a second are written about it and no more.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError

from shared.clock import Clock
from shared.line_budget import LineBudget

log = structlog.get_logger()


class LastAnswer(web.StreamResponse):
    """An answer with exactly these headers, sent as it is; the connection ends with it."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        super().__init__(status=status)
        fields = {**headers, "Content-Length": str(len(body)), "Connection": "close"}
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self._whole = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it."""
        if request.transport is not None:
            request.transport.write(self._whole)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""


Refuse = Callable[[int], LastAnswer]


def refuse_plainly(status: int) -> LastAnswer:
    """The *status* and nothing about the request."""
    return LastAnswer(status, {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


def refuse_by(server: web.Server, refuse: Refuse, clock: Clock) -> None:
    """From now on *server* answers with *refuse* where aiohttp would with a text of its own.

    A server that hands what it cannot read to another one names that as *behind*.
    """
    server = getattr(server, "behind", server)
    budget = LineBudget(clock)

    def handle_error(
        connection: web.RequestHandler,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG001 - it quotes the request
    ) -> web.StreamResponse:
        if isinstance(exc, HttpProcessingError):
            if (withheld := budget.spend()) is not None:
                log.info("request.unreadable", withheld=withheld)
        else:
            connection.log_exception("Error handling request", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        return refuse(status)

    make, kinds = type(server).__call__, dict[type, type]()
    own = {"__slots__": (), "handle_error": handle_error}

    def call(server: web.Server) -> Any:
        # aiohttp has no setting for the class of a connection, and makes it nowhere else.
        connection = make(server)
        kind = type(connection)
        if kind not in kinds:
            kinds[kind] = type("Connection", (kind,), own)
        connection.__class__ = kinds[kind]
        return connection

    server.__class__ = type("Server", (type(server),), {"__call__": call})
