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

    @property
    def waited(self) -> bool:
        """Whether the event lay about: a worker was away, or TOKEN is being replayed.

        Never asked of Redis's clock: one that runs ahead would make every event look old.
        """
        return self.now_ms - self.stored_at_ms > LATE_MS

    @property
    def store_ahead_ms(self) -> int:
        """How far the clock that stamps sessions runs ahead of this worker's."""
        return 0 if self.store_ms is None else max(0, self.store_ms - self.now_ms)


def ceiling_ms(times: Times) -> int:
    """The latest watermark an event may name: the present, of whichever clock may have stamped a session.

    A watermark from the future would lock its person out.
    """
    stored = times.stored_at_ms + MAX_SKEW_MS
    if times.store_ms is not None:
        return max(times.store_ms, stored)
    return max(times.now_ms + MAX_SKEW_MS, stored)


def stamp_ms(times: Times) -> int:
    """The watermark of an event that names none: no session begun before it was stored survives it.

    An event that waited must not end sessions begun since, so it gets the broker's time of storing it,
    what that clock may be behind, and what Redis's is ahead.
    """
    stored = times.stored_at_ms + MAX_SKEW_MS
    if times.waited:
        return stored + times.store_ahead_ms
    return stored if times.store_ms is None else max(stored, times.store_ms)


def watermark_ms(before: int | None, times: Times) -> int:
    """The watermark to write for an event that names *before*, or none."""
    return stamp_ms(times) if before is None else min(before, ceiling_ms(times))
