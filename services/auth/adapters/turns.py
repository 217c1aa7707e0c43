"""Take turns before a connection is taken: what waits for one row must not hold what all others need."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from services.auth.ports.accounts import AccountsUnavailableError

AT_ONCE = 2  # of each key, of the ten connections that transactions of one process share
WAIT_SECONDS = 3.0


class Turns:
    """At most `AT_ONCE` at a time for each key, in this process."""

    def __init__(self) -> None:
        self._gates: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """One's turn.

        Raises:
            AccountsUnavailableError: it has not come within `WAIT_SECONDS`.
        """
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await gate.acquire()
        except TimeoutError:
            raise AccountsUnavailableError("turn") from None
        try:
            yield
        finally:
            gate.release()
