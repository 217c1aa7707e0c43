"""The feed: a complete copy of the blocklist that keeps itself current and says how current it is.

        async with RevocationFeed(nc, hash_key=key) as feed:
            await feed.wait_ready(10)
            feed.blocklist.find(feed.blocklist.fingerprint(claims), now_ms)

How it replicates is written in `latchwire._replica`.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from latchwire._companion import Companion
from latchwire._replica import FeedClosedError, Replica
from latchwire._stream import FeedReadError, Freshness

__all__ = ["Companion", "FeedClosedError", "FeedReadError", "Freshness", "RevocationFeed"]


class RevocationFeed(Replica):
    """Keeps `blocklist` equal to the stream BLOCKLIST and knows how stale it may be.

    The arguments are `Replica`'s. Either use it as ``async with``, which runs it in the background, or call
    `start`, await `run` in a task of your own, and call `stop`.
    """

    _task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether a complete list has been read; how fresh it is says `staleness_seconds`."""
        return self.loaded.is_set()

    async def wait_ready(self, timeout: float) -> None:
        """Return once a complete list has been read.

        Raises:
            TimeoutError: it was not within *timeout* seconds.
        """
        async with asyncio.timeout(timeout):
            await self.loaded.wait()

    async def stop(self) -> None:
        """End the background task of ``async with`` and the subscriptions."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError, FeedClosedError):
                await self._task
        await super().stop()

    async def __aenter__(self) -> Self:
        await self.start()
        self._task = asyncio.create_task(self.run(), name="latchwire-feed")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
