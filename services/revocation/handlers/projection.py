"""The projection's rounds: soon after a change, and each second to notice what became of the store."""

import asyncio
import contextlib

import structlog

from services.revocation.flows.project import (
    AheadError,
    BeatUnknownError,
    EmptiedError,
    EvictingError,
    NotReadError,
    Projector,
)
from services.revocation.ports import ProjectionUnavailableError
from shared.pauses import pause

log = structlog.get_logger()

ROUND_SECONDS = 1.0
AGAIN_SECONDS = 0.2  # after a round that could not be: logins wait for the next one that can
GATHER_SECONDS = 0.05  # what changes meanwhile is one round
NOT_NOW = (
    ProjectionUnavailableError,
    EmptiedError,
    EvictingError,
    NotReadError,
    BeatUnknownError,
    AheadError,
)


class Rounds:
    """Runs the projector; *changed* is set when there is something to write."""

    def __init__(self, projector: Projector, changed: asyncio.Event) -> None:
        self._projector = projector
        self._changed = changed
        self._trouble = _reason(NotReadError())  # how each worker begins: nothing to warn of

    def trouble(self) -> str | None:
        """Why the projection is not kept up just now, or None."""
        return self._trouble or None

    async def run(self, stopping: asyncio.Event) -> None:
        """One round after the other until *stopping*."""
        while not stopping.is_set():
            self._changed.clear()
            trouble = await self._round()
            if trouble != self._trouble:
                self._say(trouble)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS if trouble else ROUND_SECONDS):
                    await (stopping if trouble else self._changed).wait()
            await pause(GATHER_SECONDS, stopping)

    async def keep_beat(self, stopping: asyncio.Event) -> None:
        """Keep the last beat known until *stopping*; apart, because NATS may take its time."""
        while not stopping.is_set():
            await self._projector.keep_beat()
            await pause(ROUND_SECONDS, stopping)

    async def _round(self) -> str:
        try:
            await self._projector.round()
        except NOT_NOW as error:
            return _reason(error)
        return ""

    def _say(self, trouble: str) -> None:
        if trouble:
            log.warning("projection.stalled", reason=trouble)
        else:
            log.info("projection.resumed")
        self._trouble = trouble


def _reason(error: Exception) -> str:
    """The error's own words, without what follows a colon."""
    return (type(error).__doc__ or "").partition(":")[0].rstrip(".")
