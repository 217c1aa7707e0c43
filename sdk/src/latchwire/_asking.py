"""Waiting for an answer over a connection that may be lost, from somebody who may hang."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final, TypeVar

from nats.aio.client import Client

T = TypeVar("T")

LOOK_SECONDS: Final = 0.05  # how soon a lost connection is seen
LOOKS_TO_REPEAT: Final = 6  # a question that is not answered by then is put again


class LineLostError(Exception):
    """The question went down with its connection."""

    def __str__(self) -> str:
        return "the connection was lost"


async def answered(
    client: Client, done: "asyncio.Future[T]", ask: Callable[[], Awaitable[None]] | None
) -> T:
    """What *done* brings; *ask* puts the question again, where that is of use.

    Raises:
        LineLostError: the question went down with its connection.
    """
    asked_over = client.stats["reconnects"]
    for look in count(1):
        await asyncio.wait((done,), timeout=LOOK_SECONDS)
        if done.done():
            break
        if not client.is_connected or client.stats["reconnects"] != asked_over:
            raise LineLostError
        if ask is not None and look % LOOKS_TO_REPEAT == 0:
            await ask()
    return done.result()
