"""Whether Redis's clock can be believed: asked each second, so that /ready says it before people do."""

import asyncio
import contextlib

import structlog

from services.auth.adapters.redis_scripts import CLOCK, Scripts
from services.auth.domain.clock import REASONS, judge_clock
from shared.redis import StoreUnavailableError, translate_redis_errors

log = structlog.get_logger()

EVERY_SECONDS = 1.0


class ClockWatch:
    """Compares TIME with our own clock, and the floor with TIME."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._skew = ""

    def not_ready(self) -> str | None:
        """For /ready: None, or which clock is wrong."""
        return REASONS.get(self._skew)

    async def run(self, stopping: asyncio.Event) -> None:
        """Look each second until *stopping*."""
        while not stopping.is_set():
            with contextlib.suppress(StoreUnavailableError):  # every request that needs it says so
                await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY_SECONDS)

    async def look(self) -> None:
        """One comparison. Raises: StoreUnavailableError."""
        redis = self._scripts.redis
        with translate_redis_errors():
            floor = int(await redis.get(CLOCK) or 0)
            seconds, micros = await redis.time()
        now, own = seconds * 1000 + micros // 1000, self._scripts.clock.now_ms()
        skew = judge_clock(own, now, floor)
        if skew:
            log.error("clock.skewed", reason=skew, redis_ms=now, own_ms=own, floor_ms=floor)
        elif self._skew:
            log.info("clock.trusted")
        self._skew = skew
