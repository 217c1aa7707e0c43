"""How Redis is set, for an operator's ``doctor``: does it evict, and what is on disk when it answers?"""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.clock import Clock
from shared.messages import RedisFacts
from shared.redis import StoreUnavailableError, translate_redis_errors


async def redis_facts(redis: Redis, clock: Clock) -> RedisFacts:
    """What it tells of itself; a Redis that is away is a fact like any other."""
    try:
        with translate_redis_errors():
            return await _look(redis, clock)
    except StoreUnavailableError as error:
        return RedisFacts(problem=f"no answer: {error}"[:255])


async def _look(redis: Redis, clock: Clock) -> RedisFacts:
    info = await redis.info()
    asked = clock.now_ms()
    seconds, micros = await redis.time()
    middle = (asked + clock.now_ms()) // 2
    bound, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    return RedisFacts(
        eviction=str(info.get("maxmemory_policy", "")),
        append_only=_flag(info.get("aof_enabled")),
        fsync=await _setting(redis, "appendfsync"),
        last_write_ok=info.get("aof_last_write_status", "ok") == "ok",
        bounded=bound > 0,
        used=round(used / bound, 3) if bound else 0.0,
        evicted=int(info.get("evicted_keys", 0)),
        ahead_ms=seconds * 1000 + micros // 1000 - middle,
    )


async def _setting(redis: Redis, name: str) -> str:
    """One setting of the server's; "" where it does not tell (hosted ones forbid ``CONFIG``)."""
    try:
        found: dict[Any, Any] = await redis.config_get(name)
    except ResponseError:
        return ""
    value = next(iter(found.values()), "")
    return value.decode() if isinstance(value, bytes) else str(value)


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(int(value))
