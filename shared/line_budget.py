"""So many lines a second and no more: what strangers can cause must not fill a disk."""

from typing import Final

from shared.clock import Clock

LINES_PER_SECOND: Final = 20


class LineBudget:
    """Lines of one kind; those beyond the budget are counted."""

    def __init__(self, clock: Clock, lines_per_second: int = LINES_PER_SECOND) -> None:
        self._clock = clock
        self._share = lines_per_second
        self._second = -1
        self._spent = 0
        self._withheld = 0

    def spend(self) -> int | None:
        """None: this second has had its share. Else how many lines were withheld since the last one."""
        second = int(self._clock.monotonic())
        if second != self._second:
            self._second, self._spent = second, 0
        if self._spent >= self._share:
            self._withheld += 1
            return None
        self._spent += 1
        withheld, self._withheld = self._withheld, 0
        return withheld
