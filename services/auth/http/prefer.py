"""``Prefer: wait=N`` (RFC 7240 §4.3): answer when the revocation is at every edge, or after N seconds.

    POST /auth/logout                      200 {"edges": 3, "confirmed": 3, "complete": true,
    Prefer: wait=1                              "safe_everywhere_at": "2026-11-22T10:00:00.000Z"}
                                           Preference-Applied: wait=1

202 instead of 200 when not every edge has confirmed in time: the revocation is stored all the same, and
*safe_everywhere_at* says from when on no edge can let it through (null: nobody could say).
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiohttp import web

from services.auth.domain.reach import MAX_WAIT_SECONDS, Reached
from services.auth.http.context import context_of
from services.auth.ports import NOBODY, Watch
from shared.messages.base import MAX_TIME_MS

_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?', re.ASCII | re.IGNORECASE)


def read_wait(request: web.Request) -> int:
    """The seconds the client would wait, at most five; 0: it would not, or says so in no way we know.

    The first of several counts (RFC 7240 §2); parameters and other preferences are skipped.
    """
    for line in request.headers.getall("Prefer", []):
        for preference in line.split(","):
            match = _WAIT.fullmatch(preference.partition(";")[0].strip())
            if match:
                return min(int(match[1]), MAX_WAIT_SECONDS)
    return 0


async def end_and_wait(
    request: web.Request, end: Callable[[Watch], Awaitable[None]], *, otherwise: web.Response
) -> web.Response:
    """Await *end*, then answer *otherwise*; with the preference, say how far the revocation has come."""
    seconds, watching = read_wait(request), context_of(request).watching
    if not seconds or not watching.room.is_left:
        await end(NOBODY)
        return otherwise
    async with watching.begin(seconds) as watch:
        await end(watch)
        return _answer(await watch.reached(), seconds)


def _answer(reached: Reached, seconds: int) -> web.Response:
    body = {
        "edges": reached.edges,
        "confirmed": reached.confirmed,
        "complete": reached.complete,
        "safe_everywhere_at": _utc(reached.safe_at_ms),
    }
    status = 200 if reached.complete else 202
    return web.json_response(body, status=status, headers={"Preference-Applied": f"wait={seconds}"})


def _utc(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    # An answer from elsewhere is in it: whatever number that was, the logout is done and is answered.
    at = datetime.fromtimestamp(min(max(at_ms, 0), MAX_TIME_MS) / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
