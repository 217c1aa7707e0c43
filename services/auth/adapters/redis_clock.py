"""Whether Redis and its clock can be believed: asked each second, so that /ready says it before people do."""

import asyncio

import structlog

from services.auth.adapters.redis_scripts import CLOCK, TRUSTED, Scripts
from services.auth.domain.clock import REASONS, judge_clock
from shared.pauses import pause
from shared.redis import StoreUnavailableError, translate_redis_errors

log = structlog.get_logger()

EVERY_SECONDS = 1.0
UNVOUCHED = "no revocation worker vouches for Redis (lw:bl:trusted is not there)"
SILENT = "Redis does not answer: nobody can sign in or renew"


class ClockWatch:
    """Compares TIME with our own clock, and the floor with TIME; looks whether the store is vouched for."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._skew = ""
        self._unsettled: str | None = UNVOUCHED

    def unsettled(self) -> str | None:
        """For /ready: None, or that nobody can sign in or renew for now."""
        return self._unsettled

    def not_ready(self) -> str | None:
        """For /ready: None, or which clock is wrong."""
        return REASONS.get(self._skew)

    async def run(self, stopping: asyncio.Event) -> None:
        """Look each second until *stopping*."""
        while not stopping.is_set():
            try:
                await self.look()
            except StoreUnavailableError:
                self._note_trust(SILENT)
            await pause(EVERY_SECONDS, stopping)

    async def look(self) -> None:
        """One comparison. Raises: StoreUnavailableError."""
        redis = self._scripts.redis
        with translate_redis_errors():
            told, trusted = await redis.mget(CLOCK, TRUSTED)
            seconds, micros = await redis.time()
        self._note_trust(None if trusted is not None else UNVOUCHED)
        floor = int(told or 0)
        now, own = seconds * 1000 + micros // 1000, self._scripts.clock.now_ms()
        skew = judge_clock(own, now, floor)
        if skew:
            log.error("clock.skewed", reason=skew, redis_ms=now, own_ms=own, floor_ms=floor)
        elif self._skew:
            log.info("clock.trusted")
        self._skew = skew

    def _note_trust(self, unsettled: str | None) -> None:
        if unsettled != self._unsettled:
            log.warning("store.unsettled", why=unsettled) if unsettled else log.info(
                "store.settled"
            )
        self._unsettled = unsettled
