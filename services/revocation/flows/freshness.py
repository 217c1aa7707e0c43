"""The answer to ``revocation.probe``: how far must an edge be, and how far are we behind ourselves.

Askers that arrive together share one answer, but only one whose questions to the leaders were put after the
asker had asked; otherwise a proof would claim more than it knows.
"""

import asyncio
from dataclasses import dataclass

from prometheus_client import Gauge

from services.revocation.flows.wholeness import Wholeness
from services.revocation.ports import BrokerFacts
from shared import contract
from shared.bus import BusUnavailableError, Position
from shared.messages import Freshness, Probe
from shared.revokers import MayRevoke, Revokers

BACKLOG = Gauge(
    "latchwire_revocation_backlog_seconds",
    "Age of the oldest acknowledged revocation that is not in BLOCKLIST yet.",
)
NOBODY = Revokers()
CAUGHT_UP_MS = 1_000  # a replay of TOKEN is behind by more until it is through


class BlocklistRefillingError(BusUnavailableError):
    """TOKEN is being replayed into this BLOCKLIST: nothing is proven of it before that has caught up."""


@dataclass(frozen=True, slots=True)
class _Flight:
    """One round of questions, numbered by its start, and what came of it."""

    number: int
    result: Freshness | BusUnavailableError


class FreshnessDesk:
    """Answers probes."""

    def __init__(
        self,
        broker: BrokerFacts,
        wholeness: Wholeness | None = None,
        revokers: MayRevoke = NOBODY,
    ) -> None:
        self._revokers = revokers
        self._broker = broker
        self._wholeness = wholeness
        self._lock = asyncio.Lock()
        self._begun = 0
        self._last: _Flight | None = None
        self._caught_up: Position | None = None  # of the BLOCKLIST that has had all of TOKEN once

    async def answer(self, _probe: Probe) -> Freshness:
        """Freshness as of some instant after this call.

        Raises:
            BusUnavailableError: a leader did not answer; the asker gets no proof.
        """
        begun = self._begun
        async with self._lock:
            if self._last is None or self._last.number <= begun:
                self._last = await self._fly()
            result = self._last.result
        if isinstance(result, BusUnavailableError):
            raise result
        return result

    async def _fly(self) -> _Flight:
        self._begun += 1
        number = self._begun
        try:
            return _Flight(number, await self._ask())
        except BusUnavailableError as error:
            return _Flight(number, error)

    async def _ask(self) -> Freshness:
        # The backlog first: what it does not count was in BLOCKLIST before the position is read. The
        # other way round, an event applied between the two would be in neither.
        backlog_ms = await self._backlog_ms()
        position = await self._position()
        if self._wholeness is not None:
            await self._wholeness.check(position)
        if not self._knows(position):
            # Once more: a replay may have begun between the two, and it begins before there is a new epoch.
            backlog_ms = max(backlog_ms, await self._backlog_ms())
            if backlog_ms > CAUGHT_UP_MS:
                raise BlocklistRefillingError(BlocklistRefillingError.__doc__)
        self._caught_up = position
        documents = await self._broker.stream_position(contract.DOCUMENT)
        BACKLOG.set(backlog_ms / 1000)
        return Freshness(
            epoch=position.epoch,
            last_seq=position.last_seq,
            backlog_ms=backlog_ms,
            documents_seq=documents.last_seq,
        )

    async def _position(self) -> Position:
        """BLOCKLIST's; where it was away for a moment, it may be another when it is back."""
        try:
            return await self._broker.stream_position(contract.BLOCKLIST)
        except BusUnavailableError:
            if self._wholeness is not None:
                self._wholeness.unseen()
            raise

    async def _backlog_ms(self) -> int:
        """Age of the oldest acknowledged revocation that may not be in BLOCKLIST."""
        return max(
            await self._broker.consumer_backlog_ms(contract.REVOCATION),
            await self._broker.consumer_backlog_ms(contract.REVOCATION_BY, self._subjects()),
        )

    def _knows(self, position: Position) -> bool:
        """Whether this is the BLOCKLIST that was caught up once, and holds no less.

        An edge that begins anew drops what it refused: its proof must not be dated back over a replay.
        """
        known = self._caught_up
        return (
            known is not None
            and position.epoch == known.epoch
            and position.last_seq >= known.last_seq
        )

    def _subjects(self) -> list[str]:
        """Whose revocations count beside those of auth and operators: of services that may revoke now.

        What another name said will never be applied, so its waiting hides nothing.
        """
        return [contract.TOKEN_REVOKED_BY.of(name).name for name in self._revokers.names()]
