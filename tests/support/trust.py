"""What the revocation worker says about Redis, for tests that run without one, or wait for it."""

from redis.asyncio import Redis

from services.revocation.flows.project import LOOK_SECONDS
from shared.clock import SystemClock
from shared.redis import connect_redis
from tests.support.waiting import eventually

TRUSTED = "lw:bl:trusted"
SINCE = "lw:life:since"


async def vouch_for(redis: Redis) -> None:
    """Say that this store has lost nothing, for as long as the test runs (a worker's word runs out)."""
    await redis.set(TRUSTED, "by the test")


async def withdraw(redis: Redis) -> None:
    """Say it no longer."""
    await redis.delete(TRUSTED)


async def vouched_for(url: str) -> None:
    """Return when a revocation worker has said it."""
    async with connect_redis(url) as redis:

        async def said() -> bool:
            return bool(await redis.exists(TRUSTED))

        await eventually(said, within=60)


async def vouched_for_anew(url: str) -> None:
    """Return when a revocation worker has looked at this store, which was started again, and vouches for it.

    What it said before may have been stored: when it looks, about once a second, it takes that back and
    rebuilds first. A word that it was asked for later than that rests on no look from before.
    """
    began = SystemClock().monotonic()
    asked = began
    while asked <= began + 2 * LOOK_SECONDS:
        asked = SystemClock().monotonic()
        async with connect_redis(url) as redis:
            await withdraw(redis)
        await vouched_for(url)
