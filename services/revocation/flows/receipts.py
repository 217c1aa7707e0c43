"""``revocation.receipts``: which live edges have applied a sequence, said as soon as all of them have."""

import asyncio
import contextlib
from dataclasses import dataclass, field

from services.revocation.domain.roll import Heard
from services.revocation.flows.roll import EdgeRoll
from shared.clock import Clock
from shared.messages import EdgeReceipt, Heartbeat, ReceiptsAnswer, ReceiptsRequest

MAX_WAIT_MS = 5_000
LOOK_SECONDS = 0.5  # an edge that has closed meanwhile says nothing, and is waited for no longer


@dataclass
class _Waiting:
    """An asker, woken by each edge that gets that far."""

    question: ReceiptsRequest
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class ReceiptsDesk:
    """Answers from the roll of edges; any number may wait."""

    def __init__(self, roll: EdgeRoll, clock: Clock) -> None:
        self._roll = roll
        self._clock = clock
        self._askers: dict[int, _Waiting] = {}
        roll.on_beat.append(self._heard)

    async def answer(self, question: ReceiptsRequest) -> ReceiptsAnswer:
        """The receipts, when they are complete, or after the question's *wait_ms* (at most five seconds)."""
        began = self._clock.monotonic()
        until = began + min(max(question.wait_ms, 0), MAX_WAIT_MS) / 1000
        asker = _Waiting(question)
        self._askers[id(asker)] = asker
        try:
            while True:
                asker.woken.clear()
                answer = self._look(question, began)
                left = until - self._clock.monotonic()
                if answer.complete or (answer.whole and not answer.edges) or left <= 0:
                    return answer
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, LOOK_SECONDS)):
                        await asker.woken.wait()
        finally:
            del self._askers[id(asker)]

    def _look(self, question: ReceiptsRequest, began: float) -> ReceiptsAnswer:
        live, whole = self._roll.live(), self._roll.whole()
        edges = tuple(
            EdgeReceipt(edge_id=name, confirmed=_reached(heard.beat, question))
            for name, heard in live.items()
        )
        answer = ReceiptsAnswer(edges=edges, whole=whole)
        if answer.complete:
            return answer
        waited_ms = round((self._clock.monotonic() - began) * 1000)
        safe_in_ms = max(0, self._roll.window_ms() - waited_ms)
        return answer.model_copy(update={"safe_in_ms": safe_in_ms})

    def _heard(self, before: Heard | None, beat: Heartbeat) -> None:
        for asker in self._askers.values():
            new = before is None or not _reached(before.beat, asker.question)
            if new and _reached(beat, asker.question):
                asker.woken.set()


def _reached(beat: Heartbeat, question: ReceiptsRequest) -> bool:
    return beat.epoch == question.epoch and beat.seq >= question.seq
