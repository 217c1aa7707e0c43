"""Single SELECTs, each a step of its own, on connections that stay open and out of any transaction.

Every renewal of a session asks one. To take a connection out of SQLAlchemy's pool, set it to autocommit and
reset it afterwards costs more than twice what the SELECT itself does. And each call of SQLite's driver for
asyncio is a thread's turn, four for one SELECT: here a thread does all of it in one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Values = Mapping[str, Any]
Rows = Sequence[Any]


class Asker(Protocol):
    """Who waits for a turn longer than the patience given to the implementation gets a TimeoutError."""

    async def ask(self, statement: Executable, values: Values | None = None) -> Rows:
        """All rows of a SELECT. Raises: TimeoutError, and what SQLAlchemy raises."""
        ...

    async def close(self) -> None:
        """Give back what nobody uses now."""
        ...


class ServerAsker:
    """`Asker` for a server: at most *count* connections of *engine*."""

    def __init__(self, engine: AsyncEngine, count: int, wait: float) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._room = asyncio.Semaphore(count)
        self._wait = wait
        self._idle: list[AsyncConnection] = []

    async def ask(self, statement: Executable, values: Values | None = None) -> Rows:
        async with asyncio.timeout(self._wait):
            await self._room.acquire()
        try:
            connection = self._idle.pop() if self._idle else await self._engine.connect()
            try:
                rows = (await connection.execute(statement, values)).all()
            except BaseException:  # also a cancellation: it is left in the middle of an answer
                # Broken or not, what else is idle may have lost the same server.
                self._idle.append(connection)
                await self.close()
                raise
            self._idle.append(connection)
            return rows
        finally:
            self._room.release()

    async def close(self) -> None:
        while self._idle:
            # As leaving `async with` does: finished even where this task is being cancelled.
            await self._idle.pop().__aexit__(None, None, None)


class FileAsker:
    """`Asker` for a file of this machine: *count* threads, each with a connection of *engine*."""

    def __init__(self, engine: Engine, count: int, wait: float) -> None:
        self._made = engine
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._threads = ThreadPoolExecutor(count, "ask")
        self._wait = wait
        self._idle: list[Connection] = []

    async def ask(self, statement: Executable, values: Values | None = None) -> Rows:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._wait):
            return await loop.run_in_executor(self._threads, self._ask, statement, values)

    def _ask(self, statement: Executable, values: Values | None) -> Rows:
        connection = self._idle.pop() if self._idle else self._engine.connect()
        try:
            rows = connection.execute(statement, values).all()
        except BaseException:  # also a cancellation: it is not used again
            connection.close()
            raise
        self._idle.append(connection)
        return rows

    async def close(self) -> None:
        # What runs is one SELECT, which does not wait for writers.
        self._threads.shutdown(cancel_futures=True)
        while self._idle:
            self._idle.pop().close()
        self._made.dispose()
