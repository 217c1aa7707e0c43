"""Merge one revocation into BLOCKLIST: take the greater of each field, compare and set, again if lost.

Most revocations are the first of their key, and reading before writing would cost each a round trip. So what
the worker's own copy does not know is taken to be absent, and the leader refuses where that is wrong:
the copy is a hint, the compare-and-set is the truth.
"""

from dataclasses import dataclass, field

from latchwire.records import Record, is_foreign, record_key
from services.revocation.domain.clock import Times
from services.revocation.domain.records import Revocation, revocation_of
from services.revocation.ports import BlocklistState, KnownKeys, StoreClock
from shared.clock import Clock
from shared.messages import TokenRevoked

MERGE_TRIES = 32  # each lost try means that another worker's merge was stored

NOTHING_KNOWN: KnownKeys = frozenset()


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
    known_keys: KnownKeys = NOTHING_KNOWN

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
        return Lapsed() if revocation is None else await self._merge(revocation)

    async def _merge(self, revocation: Revocation) -> Outcome:
        key = record_key(self.hash_key, revocation.scope, revocation.identifier)
        found = await self.blocklist.get_state(key) if key in self.known_keys else None
        for _ in range(MERGE_TRIES):
            outcome = await self._try(key, revocation.record, found)
            if outcome is not None:
                return outcome
            found = await self.blocklist.get_state(key)
        raise ContendedError

    async def _try(
        self, key: str, record: Record, found: tuple[bytes, int] | None
    ) -> Outcome | None:
        """None when *found* is not what is there."""
        body, seq = found or (None, 0)
        known = None if body is None or is_foreign(body) else Record.unpack(body)
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
