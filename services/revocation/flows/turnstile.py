"""How much of what services say is read, applied and kept: one name must not make everybody's proof old.

What waits in TOKEN_BY counts in each proof, because an acknowledged revocation must be covered by its bound.
So what may not count has to be gone faster than it can be stored: a name without a row is not read at all, one
with a row has so many dead letters and so many revocations as here, and the rest is refused and counted.

Revocations are counted by the time at which the broker stored them. So neither a backlog nor a replay of
eight days refuses what was said at a lawful pace.
"""

from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter

from shared.bus import Delivery
from shared.clock import Clock
from shared.revokers import MayRevoke

log = structlog.get_logger()

PER_SECOND, AT_ONCE = 200, 2_000  # revocations of one name that are applied
LETTERS_PER_SECOND, LETTERS_AT_ONCE = 10, 100  # of one name's refused messages that are kept

TURNED_AWAY = Counter(
    "latchwire_revocations_turned_away_total",
    "What services said and nobody kept: without a row, or refused and too many to keep.",
    ["why"],
)


@dataclass
class Bucket:
    """*rate* a second, and *size* at once."""

    rate: float
    size: float
    _left: float = 0.0
    _at_ms: int = -1

    def take(self, at_ms: int) -> bool:
        """Whether there is one more at *at_ms*. Time that goes back is another passage: it begins full."""
        if self._at_ms < 0 or at_ms < self._at_ms:
            self._left = self.size
        else:
            more = (at_ms - self._at_ms) / 1000 * self.rate
            self._left = min(self.size, self._left + more)
        self._at_ms = at_ms
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass
class Turnstile:
    """The gate of TOKEN_BY."""

    revokers: MayRevoke
    clock: Clock
    _applied: dict[str, Bucket] = field(default_factory=dict)
    _letters: dict[str, Bucket] = field(default_factory=dict)
    _said: dict[str, int] = field(default_factory=dict)

    def turns_away(self, delivery: Delivery) -> bool:
        """Whether its name may revoke nothing at all: the subject says so, the body is not read."""
        name = speaker(delivery)
        if name in self.revokers.names():
            return False
        # Anybody who may ask JetStream a question can have it answered under any name.
        self._note("no_row", "", name)
        return True

    def keeps(self, delivery: Delivery) -> bool:
        """Whether this refused message becomes a dead letter."""
        name = speaker(delivery)
        bucket = self._letters.setdefault(name, Bucket(LETTERS_PER_SECOND, LETTERS_AT_ONCE))
        if bucket.take(self.clock.now_ms()):
            return True
        self._note("refused", name, name)
        return False

    def too_many(self, delivery: Delivery) -> bool:
        """Whether its name has revoked too much already; what was delivered before was counted then."""
        if delivery.deliveries > 1:
            return False
        name = speaker(delivery)
        bucket = self._applied.setdefault(name, Bucket(PER_SECOND, AT_ONCE))
        return not bucket.take(delivery.stored_at_ms)

    def _note(self, why: str, key: str, name: str) -> None:
        """Count it; one line a second for all without a row, and for each other name."""
        TURNED_AWAY.labels(why).inc()
        second = self.clock.now_ms() // 1000
        if self._said.get(key) != second:
            self._said[key] = second
            log.warning("revocation.turned_away", why=why, service=name[:40])


def speaker(delivery: Delivery) -> str:
    """The name under which it was said: NATS binds it to the credential."""
    return delivery.subject.rsplit(".", 1)[1]
