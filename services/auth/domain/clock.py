"""Clocks that cannot be right: Redis's is the one clock, and auth's own bears witness against it."""

from typing import Literal

APART_MS = 10_000
AHEAD_MS = 2_000

Skew = Literal["", "apart", "ahead"]
REASONS = {
    "apart": "the clocks of Redis and of auth are more than 10 s apart",
    "ahead": "lw:clock is more than 2 s ahead of Redis's clock",
    "watermark": "a revocation is from the future",
}


def judge_clock(own_ms: int, redis_ms: int, floor_ms: int) -> Skew:
    """What is wrong, "" when nothing is. The same rule as `read_clock` in adapters/lua/clock.lua.

    *floor_ms* is the greatest time ever given out: while it leads by less than two seconds tokens are issued
    at it (every verifier has more leeway), beyond that they would be from the future.
    """
    if abs(redis_ms - own_ms) > APART_MS:
        return "apart"
    return "ahead" if floor_ms > redis_ms + AHEAD_MS else ""
