"""One readable line per refusal, at most so many a second: a flood of refusals must not become one of logs."""

import structlog

from services.edge.domain.decision import Code
from shared.clock import Clock
from shared.line_budget import LineBudget
from shared.trace import parse_traceparent

log = structlog.get_logger()


class RefusalLog:
    """Says reason, service and outcome; never a token, a path or a person."""

    def __init__(self, clock: Clock) -> None:
        self._budget = LineBudget(clock)

    def write(
        self,
        *,
        reason: Code,
        service: str,
        outcome: str,
        detail: str,
        request_id: bytes = b"",
        traceparent: bytes = b"",
    ) -> None:
        """Log the refusal, or count it when this second has had its share.

        *request_id* is one that the answer carries, *traceparent* what the check came with, whatever it is.
        """
        if not self.may_write():
            return
        trace = parse_traceparent(traceparent.decode("latin-1"))
        log.info(
            "check.refused",
            reason=reason,
            service=service,
            outcome=outcome,
            detail=detail,
            request_id=request_id.decode("ascii"),
            **({"trace_id": trace.trace_id} if trace is not None else {}),
        )

    def may_write(self) -> bool:
        """Whether one more line is within the budget; if not, it is counted."""
        withheld = self._budget.spend()
        if withheld:
            log.warning("check.refusals_withheld", count=withheld)
        return withheld is not None
