"""Ending a task of the SDK's own."""

import asyncio
import contextlib

import pytest

from latchwire._ending import end


async def deaf_once() -> None:
    """Loses its first cancellation, as a wait_for of Python 3.11 may."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def test_a_task_that_loses_its_cancellation_is_ended_all_the_same() -> None:
    """Leaving a feed or a socket never hangs."""
    task = asyncio.create_task(deaf_once())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end(task)

    assert task.cancelled()


async def test_a_failure_of_the_task_is_not_hidden() -> None:
    """Whoever ends it hears of it."""

    async def fails() -> None:
        raise OSError("gone")

    task = asyncio.create_task(fails())
    await asyncio.wait((task,))

    with pytest.raises(OSError, match="gone"):
        await end(task)
