"""Merge one revocation into BLOCKLIST: read, take the greater of each field, compare and set, again if lost."""

from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter, Histogram

from latchwire.records import Record, record_key
from services.revocation.domain.clock import Times
from services.revocation.domain.records import Revocation, revocation_of
from services.revocation.ports import BlocklistState, StoreClock
from shared.clock import Clock
from shared.messages import TokenRevoked

log = structlog.get_logger()

MERGE_TRIES = 32  # each lost try means that another worker's merge was stored

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


class ContendedError(Exception):
    """Other workers kept changing this record; try again."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The record is in BLOCKLIST under *key*, at *seq*."""

    key: str
    seq: int


@dataclass(frozen=True, slots=True)
class Known:
    """BLOCKLIST already refused all of it, since *seq*."""

    key: str
    seq: int


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Nothing the event could hit is alive any more; nothing was written."""


Outcome = Stored | Known | Lapsed


@dataclass(frozen=True)
class Revoker:
    """Applies revocations; any number of processes may, at once and repeatedly."""

    blocklist: BlocklistState
    store_clock: StoreClock
    clock: Clock
    hash_key: bytes = field(repr=False)

    async def revoke(self, event: TokenRevoked, *, stored_at_ms: int) -> Outcome:
        """Make *event* true in BLOCKLIST.

        Raises:
            BusUnavailableError: BLOCKLIST did not answer; it may or may not be stored.
            ContendedError: lost the race too often.
            InvalidEmailError: it names somebody as nobody can be named.
            RecordError: what is stored there was written by a version this one cannot read, and must
                not be overwritten.
        """
        times = Times(self.clock.now_ms(), stored_at_ms, self.store_clock.now_ms())
        revocation = revocation_of(event, times)
        outcome: Outcome = Lapsed() if revocation is None else await self._merge(revocation)
        self._tell(event, outcome, stored_at_ms)
        return outcome

    async def _merge(self, revocation: Revocation) -> Outcome:
        key = record_key(self.hash_key, revocation.scope, revocation.identifier)
        for _ in range(MERGE_TRIES):
            outcome = await self._try(key, revocation.record)
            if outcome is not None:
                return outcome
        raise ContendedError

    async def _try(self, key: str, record: Record) -> Outcome | None:
        found = await self.blocklist.get_state(key)
        body, seq = found or (None, 0)
        known = None if body is None else Record.unpack(body)
        merged = record if known is None else known.merged(record)
        if merged == known:
            return Known(key, seq)
        ack = await self.blocklist.put_state(
            key,
            merged.pack(),
            expected_seq=seq,
            ttl_seconds=(merged.until_ms - self.clock.now_ms()) / 1000,
        )
        return None if ack is None else Stored(key, ack.seq)

    def _tell(self, event: TokenRevoked, outcome: Outcome, stored_at_ms: int) -> None:
        name = type(outcome).__name__.lower()
        REVOCATIONS.labels(event.scope, name).inc()
        if isinstance(outcome, Lapsed):
            log.info("revocation.lapsed", scope=event.scope)
            return
        LAG.observe(max(0, self.clock.now_ms() - stored_at_ms) / 1000)
        log.info(
            "revocation.applied", scope=event.scope, outcome=name, key=outcome.key, seq=outcome.seq
        )
