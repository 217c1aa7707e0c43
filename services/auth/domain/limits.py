"""Limits: "30/5m" means at most 30 in any five minutes."""

import math
import re
from collections import OrderedDict
from dataclasses import dataclass

_RATE = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,4})?(s|m|h|d)", re.ASCII)
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True)
class Rate:
    """At most *count* in any window of *window_ms*."""

    count: int
    window_ms: int


def parse_rate(text: str) -> Rate:
    """A rate such as ``5/h``, ``30/5m`` or ``1000/m``.

    Raises:
        ValueError: the text is none.
    """
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError("write a rate such as 5/h, 30/5m or 1000/m")
    count, many, unit = match.groups()
    return Rate(int(count), int(many or 1) * _UNIT_MS[unit])


def network_rates(rate: Rate) -> tuple[Rate, Rate, Rate]:
    """What a /64, a /56 and a /48 may ask for when *rate* is one network's.

    A household has a /56 and a company a /48: with *rate* for each of their 256 or 65,536 networks there
    would be no limit. So much more than one network's, because many people may stand behind either.
    """
    return rate, Rate(3 * rate.count, rate.window_ms), Rate(10 * rate.count, rate.window_ms)


def retry_after(wait_ms: int) -> int:
    """Whole seconds for a Retry-After header, at least one."""
    return max(1, -(-wait_ms // 1000))


class Throttle:
    """At most *rate* for each key, counted in this process alone: no store on the way of the answer.

    Keeps one number for each of the `MANY` keys seen last (GCRA): who is forgotten begins anew.
    """

    MANY = 10_000

    def __init__(self, rate: Rate) -> None:
        self._step = rate.window_ms / rate.count
        self._window = rate.window_ms
        self._due: OrderedDict[str, float] = OrderedDict()

    def wait_ms(self, key: str, now_ms: float) -> int:
        """Count one for *key*; 0, or how long to wait because there is no room (then nothing is counted)."""
        due = max(self._due.get(key, 0.0), now_ms)
        wait = due + self._step - self._window - now_ms
        if wait > 0:
            return math.ceil(wait)
        self._due[key] = due + self._step
        self._due.move_to_end(key)
        if len(self._due) > self.MANY:
            self._due.popitem(last=False)
        return 0
