"""The low-level server around the doors: no router, no access log, no waiting for bodies."""

import logging
from typing import Any, Final

from aiohttp import web

from services.edge.http.behind import ANSWERS, BehindServer
from services.edge.http.doors import Doors
from services.edge.http.fast import FastServer
from services.edge.http.fields import MAX_FIELD_BYTES
from services.edge.http.refusals import RefusalLog

# Longer than a proxy keeps an idle connection (Go: 90 s), so that it never writes into a closing one.
KEEPALIVE_SECONDS: Final = 120.0
MAX_LINE_BYTES: Final = 16 * 1024


def make_server(
    doors: Doors,
    *,
    fast: bool = True,
    idle_seconds: float = KEEPALIVE_SECONDS,
    answers_behind: int = ANSWERS,
) -> web.Server:
    """A server for *doors*; *fast*: plain checks go past aiohttp.

    *answers_behind*: after so many by aiohttp a connection ends, for the next one may be fast again.
    """
    options: dict[str, Any] = {
        "access_log": None,
        "logger": _quiet_logger(doors.refusals),
        "keepalive_timeout": idle_seconds,
        "lingering_time": 0,
        "max_field_size": MAX_FIELD_BYTES,
        "max_line_size": MAX_LINE_BYTES,
    }
    if not fast:
        return web.Server(doors, **options)
    behind = BehindServer(doors, answers=answers_behind, **options)
    return FastServer(doors, behind, idle_seconds=idle_seconds)


def open_connections(server: web.Server) -> dict[str, int]:
    """How many are open on each way: ``plain``, where nothing else was heard yet, and ``aiohttp``."""
    if isinstance(server, FastServer):
        return {"plain": server.plain, "aiohttp": len(server.behind.connections)}
    return {"plain": 0, "aiohttp": len(server.connections)}


class _WithoutContent(logging.Filter):
    """aiohttp logs what it could not parse, which may be a token: say only that it happened, not always."""

    def __init__(self, refusals: RefusalLog) -> None:
        super().__init__()
        self._refusals = refusals

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = "request.unreadable", ()
        record.exc_info, record.exc_text = None, None
        record.levelno, record.levelname = logging.INFO, "INFO"
        return self._refusals.may_write()


def _quiet_logger(refusals: RefusalLog) -> logging.Logger:
    # This server's alone: its filter holds a budget. Debug lines tell of clients that went away.
    logger = logging.Logger("services.edge.http", logging.ERROR)  # noqa: LOG001 - not to be shared
    logger.parent = logging.getLogger()
    logger.addFilter(_WithoutContent(refusals))
    return logger
