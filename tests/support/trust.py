"""What the revocation worker says about Redis, for tests that run without one, or wait for it."""

from redis.asyncio import Redis

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
