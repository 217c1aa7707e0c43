"""The one way to reach Redis: bounded waits, and its errors translated to one of ours."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from redis.asyncio import Redis
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

CONNECT_TIMEOUT = 1.0  # seconds
COMMAND_TIMEOUT = 2.0  # seconds; a script of ours takes well under a millisecond
POOL_SIZE = 32
POOL_WAIT = 1.0  # seconds to wait for a free connection


class StoreUnavailableError(Exception):
    """Redis did not answer, or answered that it cannot."""


@asynccontextmanager
async def connect_redis(url: str) -> AsyncIterator[Redis]:
    """A client whose every wait is bounded; bytes in and out. Connects on first use."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=POOL_SIZE,
        timeout=POOL_WAIT,
        socket_connect_timeout=CONNECT_TIMEOUT,
        socket_timeout=COMMAND_TIMEOUT,
        # One new try on a connection the server closed meanwhile. Our writes are idempotent scripts.
        retry=Retry(NoBackoff(), 1),
        health_check_interval=0,
    )
    client = Redis(connection_pool=pool)
    try:
        yield client
    finally:
        await client.aclose()
        await pool.aclose()


@contextmanager
def translate_redis_errors() -> Iterator[None]:
    """Turn whatever redis-py raises into `StoreUnavailableError`."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailableError(type(error).__name__) from error
