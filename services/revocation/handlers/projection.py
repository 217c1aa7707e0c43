"""The projection's two drives: its own consumer of BLOCKLIST, and a round each second."""

import asyncio
import contextlib
from functools import partial

import structlog

from latchwire.records import RecordError
from services.revocation.flows.project import EmptiedError, Projector
from services.revocation.ports import ProjectionUnavailableError
from shared.bus import Bus, BusUnavailableError, Delivery, RawMessage, Retry
from shared.contract import PROJECTION
from shared.lifecycle import Runtime

log = structlog.get_logger()

CONCURRENCY = 4
RETRY_AFTER = 30.0  # seconds; the rounds catch up at once, this only acknowledges
ROUND_SECONDS = 1.0
NOT_NOW = (ProjectionUnavailableError, BusUnavailableError, EmptiedError, RecordError)


async def on_record(_message: RawMessage, delivery: Delivery, *, projector: Projector) -> None:
    """A record is in BLOCKLIST: have it in the projection before it is acknowledged.

    Raises:
        Retry: not now.
    """
    try:
        await projector.reach(delivery.sequence)
    except NOT_NOW as error:
        projector.missed()
        raise Retry(RETRY_AFTER, type(error).__name__) from error


async def renew_each_second(projector: Projector, stopping: asyncio.Event) -> None:
    """Notice an emptied, restored or foreign projection within a second, also without any event."""
    stalled = ""
    while not stopping.is_set():
        reason = await _renew(projector)
        if reason and not stalled:
            log.warning("projection.stalled", reason=reason)
        elif stalled and not reason:
            log.info("projection.resumed")
        stalled = reason
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), ROUND_SECONDS)


async def _renew(projector: Projector) -> str:
    try:
        await projector.renew()
    except NOT_NOW as error:
        projector.missed()
        return type(error).__name__
    return ""


def consume_records(bus: Bus, runtime: Runtime, projector: Projector) -> None:
    """Begin to project."""
    handler = partial(on_record, projector=projector)
    work = bus.consume_raw(PROJECTION, handler, concurrency=CONCURRENCY, stopping=runtime.stopping)
    runtime.spawn("projection", work)
    runtime.spawn("projection rounds", renew_each_second(projector, runtime.stopping))
