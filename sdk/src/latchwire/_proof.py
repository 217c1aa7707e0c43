"""The proof that a list is complete: how old it is, and whether it still means anything.

It dates from the moment the question was *sent*, less the age of what the workers had not yet written. It
is void once the wall clock has run ahead of the monotonic one: then the machine stood still (a paused
virtual machine), and nobody can say for how long the proof has been lying there. And it is void while the
wall clock stands before what the list was swept by: what was forgotten as lapsed is alive again then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

CLOCK_STEP_MS: Final = 2_000
NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Moment:
    """*at*: monotonic seconds; *offset_ms*: how far the wall clock was from it."""

    at: float
    offset_ms: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proof that waits until everything up to *last_seq* is applied."""

    proven: Moment
    last_seq: int


class Proof:
    """The last proof and the next; the clocks are *monotonic* (seconds) and *now_ms*."""

    def __init__(self, monotonic: Callable[[], float], now_ms: Callable[[], int]) -> None:
        self._monotonic = monotonic
        self._now_ms = now_ms
        self._proven = Moment(NEVER, 0.0)
        self._candidate: Candidate | None = None
        self._looked = now_ms(), monotonic()
        self.swept_until_ms = 0  # what lapsed before it is not in the list any more

    @property
    def waits(self) -> bool:
        """Whether a candidate waits for records."""
        return self._candidate is not None

    def now(self) -> Moment:
        """The present, on both clocks."""
        at = self._monotonic()
        return Moment(at, self._now_ms() - at * 1000)

    def clock_ran_ahead(self) -> bool:
        """Whether the wall clock went further since the last call than the other one, by what voids a proof."""
        now_ms, at = self._now_ms(), self._monotonic()
        (then_ms, then), self._looked = self._looked, (now_ms, at)
        return (now_ms - then_ms) - (at - then) * 1000 > CLOCK_STEP_MS

    def age_seconds(self) -> float:
        """The age of the last proof; infinite without one that still counts."""
        proven, at, now_ms = self._proven, self._monotonic(), self._now_ms()
        ahead_ms = now_ms - at * 1000 - proven.offset_ms
        if ahead_ms > CLOCK_STEP_MS or now_ms < self.swept_until_ms:
            return float("inf")
        return max(0.0, at - proven.at)

    def offer(self, sent: Moment, backlog_seconds: float, last_seq: int) -> None:
        """An answer to a question *sent* then."""
        self._candidate = Candidate(Moment(sent.at - backlog_seconds, sent.offset_ms), last_seq)

    def settle(self, seq: int) -> None:
        """Everything up to *seq* is applied."""
        candidate = self._candidate
        if candidate is None or seq < candidate.last_seq:
            return
        self._candidate = None
        if candidate.proven.at > self._proven.at or self.age_seconds() == float("inf"):
            self._proven = candidate.proven

    def drop(self) -> None:
        """Nothing is proven any more."""
        self._candidate, self._proven = None, Moment(NEVER, 0.0)

    def assume(self, seconds: float) -> None:
        """Take it as proven *seconds* ago: for tests and measurements without a server."""
        now = self.now()
        self._proven = Moment(now.at - seconds, now.offset_ms)
