"""What is counted and logged of each revocation. Many at once are one line a second: the streams keep each."""

from functools import cache

import structlog
from prometheus_client import Counter, Histogram

from services.revocation.flows.revoke import Lapsed, Outcome
from shared.clock import Clock
from shared.messages import TokenRevoked

log = structlog.get_logger()

LINES_A_SECOND = 20

REVOCATIONS = Counter(
    "latchwire_revocations_total",
    "Revocations, by scope and outcome (stored, known, lapsed).",
    ["scope", "outcome"],
)
LAG = Histogram(
    "latchwire_revocation_lag_seconds",
    "From the broker's storing token.revoked to its record being in BLOCKLIST.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30, 300),
)


@cache
def counter_of(scope: str, outcome: str) -> Counter:
    """The counter of one scope and outcome: looking it up takes as long as a record's hash."""
    return REVOCATIONS.labels(scope, outcome)


class Journal:
    """Notes outcomes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = 0
        self._lines = 0
        self._unsaid = 0

    def note(
        self, event: TokenRevoked, outcome: Outcome, *, token_seq: int, stored_at_ms: int
    ) -> None:
        """*event*, stored as *token_seq* at *stored_at_ms*, became *outcome*."""
        name = type(outcome).__name__.lower()
        counter_of(event.scope, name).inc()
        now_ms = self._clock.now_ms()
        if not isinstance(outcome, Lapsed):
            LAG.observe(max(0, now_ms - stored_at_ms) / 1000)
        if not self._may_speak(now_ms // 1000):
            self._unsaid += 1
        elif isinstance(outcome, Lapsed):
            log.info("revocation.lapsed", scope=event.scope, event_seq=token_seq)
        else:
            log.info(
                "revocation.applied",
                scope=event.scope,
                outcome=name,
                key=outcome.key,
                seq=outcome.seq,
                event_seq=token_seq,
            )

    def _may_speak(self, second: int) -> bool:
        if second != self._second:
            if self._unsaid:
                log.info("revocation.many_applied", more=self._unsaid)
            self._second, self._lines, self._unsaid = second, 0, 0
        self._lines += 1
        return self._lines <= LINES_A_SECOND
