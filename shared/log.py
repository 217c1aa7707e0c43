"""Logs: one line per event, JSON in production, columns at a terminal; never locals, never inputs.

Rules: static dotted names (``session.opened``), ids instead of objects, no address, token, code, cookie or
key. As a second fence, fields with a telling name are blotted out whatever they hold.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from structlog.tracebacks import ExceptionDictTransformer

from shared.trace import current_trace

BLOTTED = ("token", "secret", "password", "cookie", "authorization", "seed", "code", "email")
ALLOWED = frozenset({"smtp_code", "reason_code", "exit_code", "status_code"})


class _WithoutRequest(logging.Filter):
    """aiohttp logs the bytes that it could not parse, and they may be a token: say only that it happened."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            record.msg, record.args = "request.unreadable", ()
            record.exc_info, record.exc_text = None, None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


_without_request = _WithoutRequest()


def configure_logging(*, worker: str, level: str, fmt: str) -> None:
    """Send our own and the libraries' records to standard output in one format."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_trace,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        blot,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(worker=worker)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(fmt),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiohttp.server").addFilter(_without_request)
    # The access log would print request lines; the client libraries' debug output prints frames.
    # That of a database prints every value of every row.
    quiet = (
        "aiohttp.access",
        "nats",
        "asyncio",
        "aiosmtplib",
        "mail.log",
        "aiosqlite",
        "sqlalchemy",
        "alembic",  # it tells of each part of it that is imported, and of each look at the version
    )
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)


def add_trace(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Say which trace and request the line is about; a line that says so itself is left as it is."""
    trace = current_trace()
    if trace is not None:
        event.setdefault("trace_id", trace.trace_id)
        if trace.request_id:
            event.setdefault("request_id", trace.request_id)
    return event


def blot(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace the value of any field whose name tells of a secret or an address."""
    for name in event:
        if name not in ALLOWED and name != "event" and any(word in name for word in BLOTTED):
            event[name] = "[blotted]"
    return event


def _renderers(fmt: str) -> list[structlog.typing.Processor]:
    if fmt == "console":
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    without_locals = ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(without_locals),
        structlog.processors.JSONRenderer(),
    ]
