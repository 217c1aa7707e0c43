"""Looks after the snapshots of BLOCKLIST, every few seconds."""

import asyncio
import contextlib

import structlog

from services.revocation.flows.snapshot import SnapshotWriter
from shared.bus import BusUnavailableError
from shared.ids import Ids

log = structlog.get_logger()

LOOK_SECONDS = 5.0  # and up to as much again, so that two workers do not write the same one


async def keep_snapshots(writer: SnapshotWriter, ids: Ids, stopping: asyncio.Event) -> None:
    """Look until *stopping*."""
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS * (1 + ids.random())):
                await stopping.wait()
                return
        try:
            await writer.look()
        except BusUnavailableError as error:
            log.warning("snapshot.not_written", error=str(error))
