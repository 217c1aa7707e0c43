"""Redis ``TIME``, heard once a second and carried on by our monotonic clock.

A revocation must not wait for Redis, so no event asks it. The carried time is never early: a reading counts
from when it was asked for, so it is at most one round trip late.
"""

import asyncio
import contextlib

from redis.asyncio import Redis

from shared.clock import Clock
from shared.pauses import pause
from shared.redis import StoreUnavailableError, translate_redis_errors

EVERY_SECONDS = 1.0
# The greatest time auth ever gave a session (its one-clock scripts keep it): where Redis's own clock jumped
# back, a watermark below it would miss the sessions begun before the jump.
FLOOR_KEY = "lw:clock"
KEEPS_SECONDS = 5.0  # after that a reading is forgotten: Redis may have moved to another host


class RedisClock:
    """A `ports.StoreClock`."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        self._reading: tuple[int, float] | None = None

    def now_ms(self) -> int | None:
        """Redis's time in Unix ms, or None when it was not heard for five seconds."""
        if self._reading is None:
            return None
        told_ms, asked = self._reading
        age = self._clock.monotonic() - asked
        return told_ms + round(age * 1000) if age <= KEEPS_SECONDS else None

    async def read(self) -> None:
        """Ask once.

        Raises:
            StoreUnavailableError: no answer.
        """
        asked = self._clock.monotonic()
        with translate_redis_errors():
            seconds, micros = await self._redis.time()
            floor = int(await self._redis.get(FLOOR_KEY) or 0)
        self._reading = max(seconds * 1000 + micros // 1000, floor) + 1, asked

    async def run(self, stopping: asyncio.Event) -> None:
        """Ask each second until *stopping*."""
        while not stopping.is_set():
            with contextlib.suppress(StoreUnavailableError):
                await self.read()
            await pause(EVERY_SECONDS, stopping)
