"""Connections for single SELECTs, kept open and out of any transaction between two of them.

Every renewal of a session asks one. To take a connection out of SQLAlchemy's pool, set it to autocommit and
reset it afterwards costs more than twice what the SELECT itself does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class Askers:
    """At most *count* connections of *engine*, in autocommit; who waits more than *wait* seconds is refused."""

    def __init__(self, engine: AsyncEngine, count: int, wait: float) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._room = asyncio.Semaphore(count)
        self._wait = wait
        self._idle: list[AsyncConnection] = []

    @asynccontextmanager
    async def take(self) -> AsyncIterator[AsyncConnection]:
        """A connection for the block. Raises: TimeoutError."""
        async with asyncio.timeout(self._wait):
            await self._room.acquire()
        try:
            connection = self._idle.pop() if self._idle else await self._engine.connect()
            try:
                yield connection
            except BaseException:
                # Broken, or left in the middle: what else is idle may have lost the same server.
                self._idle.append(connection)
                await self.close()
                raise
            self._idle.append(connection)
        finally:
            self._room.release()

    async def close(self) -> None:
        """Give back what nobody uses now."""
        while self._idle:
            # As leaving `async with` does: finished even where this task is being cancelled.
            await self._idle.pop().__aexit__(None, None, None)
