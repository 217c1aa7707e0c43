"""How long checks take; a few integers, because a check is too short for a metrics library."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

# Seconds. A check waits for nothing, so what takes longer was held up by the loop or by the processor.
BOUNDS: Final = (0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05)

SHORTEST: Final = BOUNDS[0]  # which nearly all of them are


class CheckTimes:
    """A histogram that only ever grows; *seconds* is the sum of all."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """One more check took so long."""
        self._counts[0 if seconds <= SHORTEST else bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Upper bound (the last is infinite) and how many took at most that."""
        return zip((*BOUNDS, float("inf")), accumulate(self._counts), strict=True)
