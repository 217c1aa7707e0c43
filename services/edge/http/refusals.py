"""One readable line per refusal, at most so many a second: a flood of refusals must not become one of logs."""

import structlog

from services.edge.domain.decision import Code
from shared.clock import Clock

LINES_PER_SECOND = 20

log = structlog.get_logger()


class RefusalLog:
    """Says reason, service and outcome; never a token, a path or a person."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = 0
        self._lines = 0
        self._withheld = 0

    def write(self, *, reason: Code, service: str, outcome: str, detail: str) -> None:
        """Log the refusal, or count it when this second has had its share."""
        second = int(self._clock.monotonic())
        if second != self._second:
            self._say_withheld()
            self._second, self._lines = second, 0
        if self._lines >= LINES_PER_SECOND:
            self._withheld += 1
            return
        self._lines += 1
        log.info("check.refused", reason=reason, service=service, outcome=outcome, detail=detail)

    def _say_withheld(self) -> None:
        if self._withheld:
            log.warning("check.refusals_withheld", count=self._withheld)
            self._withheld = 0
