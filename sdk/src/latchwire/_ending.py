"""End a task of ours, for certain."""

import asyncio
from typing import Any, Final

AGAIN_SECONDS: Final = 0.5


async def end(task: "asyncio.Task[Any]") -> None:
    """Cancel *task* until it is done; what it failed with is raised.

    Once is not enough: in Python 3.11 a wait_for whose answer comes in the same turn loses the cancellation.
    A cancellation of whoever waits here goes its own way.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=AGAIN_SECONDS)
    if not task.cancelled():
        task.result()
