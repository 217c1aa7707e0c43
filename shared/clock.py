"""Time, injected: the only module that may read a clock.

Domain functions take ``now_ms``; everything else takes a ``Clock``.
"""

import time
from typing import Protocol

from latchwire._clock import monotonic


class Clock(Protocol):
    """Wall time in Unix milliseconds and monotonic time in seconds."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back, nor stops while the machine sleeps, from any start."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return monotonic()
