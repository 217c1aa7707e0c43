"""The one way to reach Redis: bounded waits, and its errors translated to one of ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

CONNECT_TIMEOUT = 1.5  # seconds, each of two tries
COMMAND_TIMEOUT = (
    4.0  # seconds, a second try included; a script of ours takes well under a millisecond
)
POOL_SIZE = 32
POOL_WAIT = 3.0  # seconds to wait for a free connection: a crowd that comes at once takes turns


class StoreUnavailableError(Exception):
    """Redis did not answer, or answered that it cannot."""


class BoundedRedis(Redis):
    """A client that waits once for a connection and once for an answer, each with a bound.

    The library's own pool and timeouts make two tasks and a lock of every command, which is half of what one
    costs. Pipelines and subscriptions are not bounded here.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        super().__init__(connection_pool=pool)
        self._turns = asyncio.Semaphore(POOL_SIZE)
        self._unused: list[Connection] = []

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and read its answer.

        Raises:
            TimeoutError, RedisError.
        """
        if self._turns.locked():
            async with asyncio.timeout(POOL_WAIT):
                await self._turns.acquire()
        else:
            await self._turns.acquire()
        connection = self._unused.pop() if self._unused else self._connection()
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                return await self._ask(connection, args, options)
        finally:
            # What was given up in the middle has closed its socket, and connects when it is used again.
            self._unused.append(connection)
            self._turns.release()

    def _connection(self) -> Connection:
        made: Connection = self.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        return made

    async def _ask(
        self, connection: Connection, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        try:
            await connection.send_command(*args)
            return await self.parse_response(connection, args[0], **options)
        except (RedisConnectionError, RedisTimeoutError):
            # One new try on a connection the server closed meanwhile. Our writes are idempotent scripts.
            await connection.disconnect()
        await connection.send_command(*args)
        return await self.parse_response(connection, args[0], **options)

    async def disconnect(self) -> None:
        """Close what nobody uses now."""
        while self._unused:
            await self._unused.pop().disconnect()


@asynccontextmanager
async def connect_redis(url: str) -> AsyncIterator[Redis]:
    """A client whose every wait is bounded; bytes in and out. Connects on first use."""
    pool = ConnectionPool.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT,
        retry=Retry(NoBackoff(), 1),  # of connecting
        health_check_interval=0,
    )
    client = BoundedRedis(pool)
    try:
        yield client
    finally:
        await client.disconnect()
        await client.aclose()
        await pool.aclose()


@contextmanager
def translate_redis_errors() -> Iterator[None]:
    """Turn whatever redis-py raises into `StoreUnavailableError`."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailableError(type(error).__name__) from error
