"""Which instants a revocation may name, and which one it gets when it names none.

Sessions are stamped with Redis ``TIME``, so a watermark has to come from the same clock: a watermark that is
early leaves the session alive that somebody wanted ended. Being late costs nobody anything, because auth
issues at one millisecond after the watermark.
"""

from dataclasses import dataclass

MAX_SKEW_MS = 2_000  # how far apart the clocks of two of our hosts may be
LATE_MS = 60_000  # an event that waited longer names the time it was stored, not the present


@dataclass(frozen=True, slots=True)
class Times:
    """The clocks at hand, in Unix ms: this worker's, the broker's when it stored the event, and Redis's

    now (None when Redis is away).
    """

    now_ms: int
    stored_at_ms: int
    store_ms: int | None


def ceiling_ms(times: Times) -> int:
    """The latest watermark that may be written: the present, of the clock that stamps sessions.

    A watermark from the future would lock its person out, so without that clock the ceiling is the
    later of the other two and what they may be behind.
    """
    if times.store_ms is not None:
        return times.store_ms
    return max(times.now_ms, times.stored_at_ms) + MAX_SKEW_MS


def stamp_ms(times: Times) -> int:
    """The watermark of an event that names none.

    An event that waited (a worker was away, TOKEN is being replayed) must not end sessions begun since,
    so it gets the broker's time of storing it and what that clock may be behind.
    """
    if times.store_ms is None or times.store_ms - times.stored_at_ms > LATE_MS:
        return times.stored_at_ms + MAX_SKEW_MS
    return times.store_ms


def watermark_ms(before: int | None, times: Times) -> int:
    """The watermark to write for an event that names *before*, or none."""
    return min(stamp_ms(times) if before is None else before, ceiling_ms(times))
