"""The end of a worker: nothing that is slow to hear of it keeps the process."""

import asyncio
import contextlib
from contextlib import AsyncExitStack

from shared.lifecycle import Runtime


async def deaf_once(heard: asyncio.Event) -> None:
    """Loses the first cancellation, as a wait_for of Python 3.11 may."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    heard.set()
    await asyncio.Event().wait()


async def test_a_part_that_loses_its_cancellation_is_cancelled_again() -> None:
    """The worker ends all the same, instead of waiting to be killed."""
    lost = asyncio.Event()
    async with AsyncExitStack() as stack, asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        runtime = Runtime(tasks, stack)
        runtime.spawn("deaf", deaf_once(lost), drains=False)
        await asyncio.sleep(0)
        runtime.stop("test over")
        await runtime.drain(0.1)

    assert lost.is_set()
