"""Waiting on a condition with a deadline: what tests do instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL = 0.01  # seconds between looks
# A bound that is no promise: it only ends a test that has failed, however busy the machine is.
PATIENCE = 20.0  # seconds


async def eventually(
    predicate: Callable[[], T | Awaitable[T]], *, within: float = PATIENCE, message: str = ""
) -> T:
    """The first truthy answer of *predicate*; AssertionError after *within* seconds."""
    deadline = time.monotonic() + within
    never = asyncio.Event()
    while True:
        found = predicate()
        answer = await found if inspect.isawaitable(found) else found
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(message or f"not within {within} s: {predicate}")
        try:
            await asyncio.wait_for(never.wait(), POLL)
        except TimeoutError:
            continue
