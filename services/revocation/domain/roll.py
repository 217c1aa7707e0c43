"""When an edge counts as live: until it has had the time to close by itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.messages import Heartbeat

MARGIN_MS = 2_000  # a heartbeat's way here, and that edges beat once a second


@dataclass(frozen=True, slots=True)
class Heard:
    """An edge's last heartbeat, and when it came (monotonic seconds of this worker)."""

    beat: Heartbeat
    at: float

    def age_ms(self, now: float) -> int:
        """How long ago that was, at *now*."""
        return round((now - self.at) * 1000)

    def is_live(self, now: float) -> bool:
        """Whether it may still let somebody in: no longer than its patience after it was last heard."""
        return self.age_ms(now) <= self.beat.max_staleness_ms + MARGIN_MS


def window_ms(usual_ms: int, heard: Iterable[Heard]) -> int:
    """How long one has to have listened to know of each live edge.

    *usual_ms* is the installation's ``max_staleness``; a route of a known edge may allow more.
    """
    return max([usual_ms, *(h.beat.max_staleness_ms for h in heard)]) + MARGIN_MS
