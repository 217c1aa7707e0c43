"""Follow a revocation to the edges, for a client that asked to wait for it (``Prefer: wait``, RFC 7240 §4.3).

The listening begins before the publishing; everything else happens after the PubAck, so that the wait can
neither delay nor endanger the revocation.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import structlog

from services.auth.domain.reach import Place, Reached, furthest
from services.auth.flows.room import Room
from services.auth.ports import BusUnavailableError, NoAnswerError, Signals
from shared.clock import Clock
from shared.contract import BLOCKLIST_PROBE, REVOCATION_APPLIED, REVOCATION_RECEIPTS, TOKEN_BY
from shared.messages import Probe, ReceiptsAnswer, ReceiptsRequest, RevocationApplied

log = structlog.get_logger()

SPARE_SECONDS = 0.1  # of what is left, kept for the way of an answer
UNKNOWN = Reached(0, 0, complete=False, safe_at_ms=None)
AT_ONCE = 256  # waiting requests of one process


@dataclass
class EdgeWatch:
    """`services.auth.ports.Watch` for one request; *deadline* in seconds of the monotonic clock."""

    signals: Signals
    clock: Clock
    deadline: float
    stack: AsyncExitStack
    _expected: int = field(default=0, init=False)
    _heard: list["asyncio.Future[RevocationApplied]"] = field(default_factory=list, init=False)

    async def expect(self, event_id: str) -> None:
        self._expected += 1
        try:
            hearing = self.signals.hear_once(REVOCATION_APPLIED.of(event_id))
            self._heard.append(await self.stack.enter_async_context(hearing))
        except BusUnavailableError:
            return  # the publishing will find that out for itself

    async def reached(self) -> Reached:
        """How far all that was expected has come: as soon as it is everywhere, or at the deadline."""
        try:
            place = await self._place()
            answer = await self._receipts(place) if place else None
        except (TimeoutError, BusUnavailableError, NoAnswerError, ValueError):
            return UNKNOWN
        except (
            Exception
        ):  # the revocation is stored: nothing about the wait may turn that into a 500
            log.exception("wait.failed")
            return UNKNOWN
        now_ms = self.clock.now_ms()
        if answer is None:
            return Reached(0, 0, complete=True, safe_at_ms=now_ms)
        return Reached(
            edges=len(answer.edges),
            confirmed=sum(edge.confirmed for edge in answer.edges),
            complete=answer.complete,
            safe_at_ms=now_ms if answer.complete else now_ms + answer.safe_in_ms,
        )

    async def _place(self) -> Place | None:
        """Where in BLOCKLIST it is; None when nothing that it could refuse is alive, or nothing was said."""
        try:
            async with asyncio.timeout(self._left() / 2):
                said = [await heard for heard in self._heard]
        except TimeoutError:
            # The signal was lost, or the event repeats one that was stored before and is not handled again.
            return await self._probed()
        # Another's word about an event of theirs under our id says nothing of ours.
        ours = [word for word in said if word.stream != TOKEN_BY.name]
        return furthest(ours) if len(ours) == self._expected else await self._probed()

    async def _probed(self) -> Place:
        freshness = await self.signals.ask(BLOCKLIST_PROBE, Probe(), timeout=self._left())
        if freshness.backlog_ms:
            raise TimeoutError
        return Place(freshness.epoch, freshness.last_seq)

    async def _receipts(self, place: Place) -> ReceiptsAnswer:
        left = self._left()
        wait_ms = round(max(0.0, left - SPARE_SECONDS) * 1000)
        request = ReceiptsRequest(epoch=place.epoch, seq=place.seq, wait_ms=wait_ms)
        return await self.signals.ask(REVOCATION_RECEIPTS, request, timeout=left)

    def _left(self) -> float:
        return max(0.01, self.deadline - self.clock.monotonic())


@dataclass
class Watching:
    """Begins watches, each in its place of the *room*."""

    signals: Signals
    clock: Clock
    room: Room = field(default_factory=lambda: Room(AT_ONCE))

    @asynccontextmanager
    async def begin(self, seconds: float) -> AsyncIterator[EdgeWatch]:
        """A watch that is over so many *seconds* from now."""
        deadline = self.clock.monotonic() + seconds
        with self.room.taken():
            async with AsyncExitStack() as stack:
                yield EdgeWatch(self.signals, self.clock, deadline, stack)
