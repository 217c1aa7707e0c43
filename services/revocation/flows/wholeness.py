"""Does BLOCKLIST still hold what it must? One that was purged, or put back from a backup, looks like any other.

No credential of ours can do that to it, but an administrator, a restore and a broken disk can. Nobody tells the
workers; a proof they went on giving would let edges accept what was revoked. So before the first proof, after
each new connection to the bus and whenever BLOCKLIST holds less than it did, some of the acknowledged
revocations are looked up in it (adr/0015).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from pydantic import ValidationError

from latchwire.records import record_key
from services.revocation.domain.clock import Times
from services.revocation.domain.records import Revocation, revocation_of
from services.revocation.ports import Link
from shared import contract
from shared.bus import BusUnavailableError, Position
from shared.bus.state import StoredMessage
from shared.clock import Clock
from shared.emails import InvalidEmailError

log = structlog.get_logger()

SAMPLE = 20  # the latest acknowledged revocations that are looked up; of older ones ever fewer
LOOK_AGAIN_SECONDS = 1.0  # what lacked something then and does not now was read in a bad moment
CATCH_UP_SECONDS = (
    5.0  # a leader that was just elected may be behind; who is for longer has lost records
)
SOON_MS = 60_000  # a record that lapses this soon may be gone by the server's clock


class BrokerPast(Protocol):
    """What was acknowledged, and what is in BLOCKLIST. Raises `shared.bus.BusUnavailableError`."""

    async def acknowledged(self, durable: contract.Durable, most: int) -> list[StoredMessage]:
        """The latest *most* messages that *durable* has acknowledged and ever fewer of older ones."""
        ...

    async def get_each(self, keys: Sequence[str]) -> Sequence[tuple[bytes, int] | None]:
        """The packed records under *keys* and their sequences, from the stream leader."""
        ...

    async def stored_at(self, seq: int) -> str | None:
        """When BLOCKLIST's message *seq* was stored, as `Position.last_ts`; None: it is there no more."""
        ...


class BlocklistLostError(BusUnavailableError):
    """BLOCKLIST lacks acknowledged revocations: `latchwire streams apply --restored` replays them."""


class BlocklistDoubtedError(BusUnavailableError):
    """BLOCKLIST seems to lack acknowledged revocations: it is looked at again in a second."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Since when (monotonic seconds), and of what: the connection and the epoch."""

    at: float
    place: tuple[int, str]


class Wholeness:
    """Watches one BLOCKLIST; once it was found to lack something, only another epoch counts."""

    def __init__(self, broker: BrokerPast, link: Link, clock: Clock, hash_key: bytes) -> None:
        self._broker = broker
        self._link = link
        self._clock = clock
        self._hash_key = hash_key
        self._seen: Position | None = None
        self._seen_over: int | None = None  # which connection
        self._lost: str | None = None
        self._doubted: _Doubt | None = None

    def trouble(self) -> str | None:
        """What is wrong with it, for ``/ready``."""
        return None if self._lost is None else str(BlocklistLostError.__doc__)

    async def check(self, position: Position) -> None:
        """Return when nothing is known to be missing at *position*.

        Raises:
            BlocklistLostError: something is, also after a pause.
            BlocklistDoubtedError: so it seems; no proof until it was looked at again.
            BusUnavailableError: a leader did not answer.
        """
        if position.epoch == self._lost:
            raise BlocklistLostError(BlocklistLostError.__doc__)
        connection = self._link.reconnections
        if self._doubted is not None and self._doubted.place != (connection, position.epoch):
            self._doubted = None  # two bad moments are one only where nothing was between them
        # What was put back while nobody was connected need not hold less than this worker last saw of it.
        if connection != self._seen_over or self._doubted is not None or self._holds_less(position):
            await self._look(position, connection)
        self._seen, self._lost, self._doubted = position, None, None
        self._seen_over = connection

    def unseen(self) -> None:
        """A leader did not answer: what comes after that is looked over like what was put back."""
        self._seen_over = self._doubted = None

    async def _look(self, position: Position, connection: int) -> None:
        now = self._clock.monotonic()
        if self._doubted is not None and now < self._doubted.at + LOOK_AGAIN_SECONDS:
            raise BlocklistDoubtedError(BlocklistDoubtedError.__doc__)
        if not await self._is_damaged(position):
            return
        if self._doubted is None:
            self._doubted = _Doubt(now, (connection, position.epoch))
            log.warning("blocklist.doubted", epoch=position.epoch)
        patience = CATCH_UP_SECONDS if self._ends_earlier(position) else LOOK_AGAIN_SECONDS
        if now < self._doubted.at + patience:
            raise BlocklistDoubtedError(BlocklistDoubtedError.__doc__)
        self._lost = position.epoch
        log.error("blocklist.lost", cure="latchwire streams apply --restored")
        raise BlocklistLostError(BlocklistLostError.__doc__)

    async def _is_damaged(self, position: Position) -> bool:
        if self._ends_earlier(position):
            return True
        try:
            return await self._is_another(position) or await self._lacks_something()
        except BusUnavailableError:
            self.unseen()
            raise

    def _holds_less(self, position: Position) -> bool:
        seen = self._seen
        return (
            seen is None
            or position.epoch != seen.epoch
            or self._ends_earlier(position)
            or position.messages < _expected(seen, position)
        )

    def _ends_earlier(self, position: Position) -> bool:
        """Than this worker saw: what it lacks may be what services revoked, which is not looked up."""
        seen = self._seen
        return (
            seen is not None and position.epoch == seen.epoch and position.last_seq < seen.last_seq
        )

    async def _is_another(self, position: Position) -> bool:
        """Whether at the end that this worker saw something else is stored: it ended earlier, and has grown."""
        seen = self._seen
        if seen is None or position.epoch != seen.epoch or not seen.last_seq:
            return False
        stored_at = await self._broker.stored_at(seen.last_seq)
        return stored_at is not None and stored_at != seen.last_ts

    async def _lacks_something(self) -> bool:
        # Not TOKEN_BY: whether a service was allowed what it said then, nobody knows now.
        messages = await self._broker.acknowledged(contract.REVOCATION, SAMPLE)
        revocations = [self._read(message) for message in messages]
        found = await self._broker.get_each(
            [record_key(self._hash_key, r.scope, r.identifier) for r in revocations if r]
        )
        return None in found

    def _read(self, message: StoredMessage) -> Revocation | None:
        """What *message* made of BLOCKLIST, or None when it need not be there."""
        times = Times(self._clock.now_ms() + SOON_MS, message.stored_at_ms, None)
        try:
            return revocation_of(contract.TOKEN_REVOKED.decode(message.data), times)
        except (ValidationError, ValueError, InvalidEmailError):
            return None  # it became a dead letter


def _expected(seen: Position, position: Position) -> int:
    """How many messages at least, if nothing was lost.

    While records are written others lapse, all the time; a purge leaves only what came after it.
    """
    return seen.messages if position.last_seq == seen.last_seq else seen.messages // 2
