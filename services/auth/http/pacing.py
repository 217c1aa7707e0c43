"""Answer only when nobody can tell any more how much work it was.

For an address that may sign in one event is published, for another one a different event: the commands are
the same, but their time differs by about a millisecond, which a few hundred requests show. An account that is
written, or not, differs by more. So the answer leaves at a fixed time after the work began, or at the next
multiple of it.
"""

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

from aiohttp import web

from services.auth.domain.link import LinkAsk, LinkSent, TooManyRequests
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.password_use import PasswordRefused
from services.auth.http.context import context_of

# The work takes 3 to 10 ms, an fsync on a busy disk 50; nobody who waits for a mail notices this.
FLOOR_SECONDS = 0.060
# The same with a password's hash in it, which takes 20 to 100 ms, two of them in a busy hour.
HASHED_SECONDS = 0.250
# What is left after the floor (a timer's and a loop's delays) drowns in this.
JITTER_SECONDS = 0.020

# The same for every address, or no secret to whoever hears it: these need not wait.
AT_ONCE = (TooManyRequests, PasswordRefused, SessionOpened)

T = TypeVar("T")


async def ask_for_link(request: web.Request, ask: LinkAsk) -> LinkSent | TooManyRequests:
    """`Asking.ask`, and wait."""
    return await paced(request, context_of(request).asking.ask(ask), FLOOR_SECONDS)


async def paced(request: web.Request, work: Awaitable[T], floor: float) -> T:
    """What *work* answers, at a multiple of *floor* seconds after it began, unless it is one of `AT_ONCE`.

    The time counts from here and not from the first byte: a client that sends its body slowly could
    otherwise choose where in the floor the work begins.
    """
    context = context_of(request)
    began = context.clock.monotonic()
    result = await work
    if not isinstance(result, AT_ONCE):
        elapsed = context.clock.monotonic() - began
        await asyncio.sleep(seconds_left(elapsed, context.ids.random(), floor))
    return result


def seconds_left(elapsed: float, chance: float, floor: float = FLOOR_SECONDS) -> float:
    """How long to wait after *elapsed* seconds of work; *chance* in [0, 1) picks the jitter."""
    floors = max(1, math.ceil(elapsed / floor))
    return floors * floor - elapsed + chance * JITTER_SECONDS
