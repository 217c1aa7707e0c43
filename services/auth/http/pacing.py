"""Answer a request for a link only when nobody can tell any more how much work it was.

For an address that may sign in one event is published, for another one a different event: the commands are
the same, but their time differs by about a millisecond, which a few hundred requests show. So the answer
leaves at a fixed time after the work began, or at the next multiple of it.
"""

import asyncio
import math

from aiohttp import web

from services.auth.domain.link import LinkAsk, LinkSent, TooManyRequests
from services.auth.http.context import context_of

# The work takes 3 to 10 ms, an fsync on a busy disk 50; nobody who waits for a mail notices this.
FLOOR_SECONDS = 0.060
# What is left after the floor (a timer's and a loop's delays) drowns in this.
JITTER_SECONDS = 0.020


async def ask_for_link(request: web.Request, ask: LinkAsk) -> LinkSent | TooManyRequests:
    """`Asking.ask`, and wait. A refused network need not: it is refused for every address.

    The time counts from here and not from the first byte: a client that sends its body slowly could
    otherwise choose where in the floor the work begins.
    """
    context = context_of(request)
    began = context.clock.monotonic()
    result = await context.asking.ask(ask)
    if isinstance(result, LinkSent):
        elapsed = context.clock.monotonic() - began
        await asyncio.sleep(seconds_left(elapsed, context.ids.random()))
    return result


def seconds_left(elapsed: float, chance: float) -> float:
    """How long to wait after *elapsed* seconds of work; *chance* in [0, 1) picks the jitter."""
    floors = max(1, math.ceil(elapsed / FLOOR_SECONDS))
    return floors * FLOOR_SECONDS - elapsed + chance * JITTER_SECONDS
