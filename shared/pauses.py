"""Between two looks: a wait that the end of the process cuts short."""

import asyncio
import contextlib


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Return after *seconds*, or as soon as *stopping* is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()
