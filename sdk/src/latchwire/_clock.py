"""Elapsed time that goes on while the machine sleeps.

Linux stops CLOCK_MONOTONIC, which Python's ``time.monotonic`` reads, during a suspend: what was fresh would
still look fresh on waking. CLOCK_BOOTTIME counts the sleep; where it is missing (macOS), CLOCK_MONOTONIC does.
"""

import time
from collections.abc import Callable
from functools import partial


def _choose() -> Callable[[], float]:
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        if hasattr(time, name):
            return partial(time.clock_gettime, getattr(time, name))
    return time.monotonic


# Seconds on a clock that never goes back; only differences mean anything.
monotonic: Callable[[], float] = _choose()
