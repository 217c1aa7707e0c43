"""Receipts from the roll of edges: complete at once, or what is there after the wait."""

import asyncio
from dataclasses import dataclass

from services.auth.flows.token_reach import has
from services.revocation.flows.receipts import MAX_WAIT_MS, ReceiptsDesk
from services.revocation.flows.roll import EdgeRoll
from shared.messages import Heartbeat, ListEdges, ReceiptsAnswer, ReceiptsRequest
from tests.support.fakes.clock import FakeClock
from tests.support.waiting import eventually

WINDOW_MS = 12_000  # max_staleness of 10 s and the margin
ASKED = ReceiptsRequest(epoch="e", seq=5, wait_ms=3_000)


@dataclass
class FakeLink:
    """A connection that stays."""

    reconnections: int = 0


class Desk:
    """A worker that has listened for long enough."""

    def __init__(self, *names: str, listened_ms: int = WINDOW_MS) -> None:
        self.clock = FakeClock()
        self.roll = EdgeRoll(self.clock, FakeLink(), usual_staleness=10.0, names=names)
        self.desk = ReceiptsDesk(self.roll, self.clock)
        self.clock.advance(listened_ms)

    async def hear(self, edge_id: str, seq: int, *, epoch: str = "e") -> None:
        """A heartbeat."""
        beat = Heartbeat(
            edge_id=edge_id,
            at=0,
            epoch=epoch,
            seq=seq,
            ready=True,
            staleness_ms=0,
            blocklist_size=0,
            tokens_generation=seq,
        )
        await self.roll.hear(beat)

    async def at_once(self, question: ReceiptsRequest = ASKED) -> ReceiptsAnswer:
        """The answer without waiting."""
        return await self.desk.answer(question.model_copy(update={"wait_ms": 0}))


def confirmed(answer: ReceiptsAnswer) -> dict[str, bool]:
    """Each edge of an answer."""
    return {edge.edge_id: edge.confirmed for edge in answer.edges}


async def test_edges_that_are_that_far_are_a_complete_answer_at_once() -> None:
    """Nobody waits, and everybody is safe now."""
    desk = Desk()
    await desk.hear("edge-1", 5)
    await desk.hear("edge-2", 9)

    answer = await desk.desk.answer(ASKED)

    assert confirmed(answer) == {"edge-1": True, "edge-2": True}
    assert answer.complete
    assert answer.safe_in_ms == 0


async def test_no_receipt_is_complete_while_an_edge_that_nobody_named_may_not_have_spoken() -> None:
    """A worker that has just begun to listen: two are as far, the third lives, lags, and speaks in a moment."""
    desk = Desk("edge-1", "edge-2", listened_ms=100)
    for name in ("edge-1", "edge-2"):
        await desk.hear(name, 5)
    early = await desk.at_once(), has(await desk.roll.answer(ListEdges()), 5)
    desk.clock.advance(1_000)
    await desk.hear("edge-3", 4)
    late = await desk.at_once(), has(await desk.roll.answer(ListEdges()), 5)

    assert [said.complete for said in (*early, *late)] == [False] * 4
    assert confirmed(late[0]) == {"edge-1": True, "edge-2": True, "edge-3": False}


async def test_the_last_edges_word_ends_the_wait() -> None:
    """The answer comes when it does, not when the time is up: the clock stands still here."""
    desk = Desk()
    await desk.hear("edge-1", 5)
    await desk.hear("edge-2", 4)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(desk.desk.answer(ASKED))
        await asyncio.sleep(0)
        await desk.hear("edge-2", 4)
        await asyncio.sleep(0)
        assert not waiting.done()
        await desk.hear("edge-2", 5)

    assert waiting.result().complete


async def test_a_silent_edge_is_named_with_the_time_at_which_it_has_closed() -> None:
    """Its patience and the margin, counted from the question."""
    desk = Desk()
    await desk.hear("edge-1", 5)
    await desk.hear("edge-2", 4)

    answer = await desk.at_once()

    assert confirmed(answer) == {"edge-1": True, "edge-2": False}
    assert not answer.complete
    assert answer.safe_in_ms == WINDOW_MS


async def test_what_was_waited_is_taken_off_the_time_until_all_are_safe() -> None:
    """Three seconds after the question there are nine left."""
    desk = Desk()
    async with asyncio.TaskGroup() as group:
        await desk.hear("edge-1", 4)
        waiting = group.create_task(desk.desk.answer(ASKED))
        await asyncio.sleep(0)
        desk.clock.advance(3_000)
        await eventually(waiting.done)

    assert waiting.result().safe_in_ms == WINDOW_MS - 3_000


async def test_the_same_number_in_another_epoch_confirms_nothing() -> None:
    """A sequence means something in its epoch only."""
    desk = Desk()
    await desk.hear("edge-1", 99, epoch="before")

    assert confirmed(await desk.at_once()) == {"edge-1": False}


async def test_who_has_listened_for_too_short_a_time_does_not_promise_that_these_are_all() -> None:
    """An edge that fell silent before may still let somebody in."""
    desk = Desk(listened_ms=WINDOW_MS - 1)
    await desk.hear("edge-1", 5)

    answer = await desk.at_once()

    assert not answer.whole
    assert not answer.complete
    assert answer.safe_in_ms == WINDOW_MS


async def test_without_any_edge_nobody_waits() -> None:
    """There is nobody to confirm."""
    answer = await Desk().desk.answer(ASKED)

    assert (answer.edges, answer.whole, answer.complete) == ((), True, False)


async def test_nobody_waits_for_longer_than_five_seconds() -> None:
    """Whatever was asked for."""
    desk = Desk()
    await desk.hear("edge-1", 4)
    async with asyncio.TaskGroup() as group:
        question = ASKED.model_copy(update={"wait_ms": 3_600_000})
        waiting = group.create_task(desk.desk.answer(question))
        await asyncio.sleep(0)
        desk.clock.advance(MAX_WAIT_MS)
        await eventually(waiting.done)

    assert not waiting.result().complete
