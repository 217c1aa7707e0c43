"""Waiting for a service token at the edges: how many may, how often they ask, what cannot go wrong in it."""

import asyncio
import math
from typing import Any, cast

import pytest

from services.auth.domain.reach import Reached
from services.auth.flows.token_reach import AT_ONCE, NOBODY_TOLD, TokenReach
from services.auth.ports import BusUnavailableError, NoAnswerError, Signals
from shared.clock import SystemClock
from shared.messages import EdgeList
from tests.support.fakes.clock import FakeClock

MINUTE = 60.0


class Worker:
    """Answers *now*, the next answer or an error, however often it is asked; or not before *open*."""

    def __init__(self, now: EdgeList | Exception) -> None:
        self.now, self.asked, self.open = now, 0, asyncio.Event()
        self.open.set()

    async def ask(self, *_question: Any, **_timeout: float) -> EdgeList:
        self.asked += 1
        await self.open.wait()
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


def reach_of(worker: Worker) -> TokenReach:
    """With the machine's clock."""
    return TokenReach(cast("Signals", worker), SystemClock())


EVERYWHERE, BEHIND = EdgeList(whole=True), EdgeList(whole=False)


async def test_who_waits_long_asks_ever_more_seldom() -> None:
    """Who makes tokens in a row with an edge away would ask the worker twenty times a second for each."""
    worker, clock, pauses = Worker(BEHIND), FakeClock(), list[int]()

    async def pause(seconds: float) -> None:
        pauses.append(math.ceil(seconds * 1000))
        clock.advance(pauses[-1])

    told = await TokenReach(cast("Signals", worker), clock, pause).reached(1, 3.0)
    assert not told.complete
    assert pauses[:-1] == [50, 100, 200, 400, 800, 800]  # ms
    assert 2950 <= sum(pauses) <= 2951  # fifty are kept for the last answer
    assert worker.asked == len(pauses) + 1


async def test_who_comes_on_top_of_many_is_not_kept_waiting_and_there_is_room_again() -> None:
    """Open requests are bounded, as those that wait for a revocation are; a refused one gives its room back."""
    worker = Worker(EVERYWHERE)
    reach = reach_of(worker)
    worker.open.clear()
    async with asyncio.TaskGroup() as waiting:
        for _ in range(AT_ONCE):
            assert reach.room.is_left
            waiting.create_task(reach.reached(1, MINUTE))
            await asyncio.sleep(0)
        assert not reach.room.is_left
        worker.open.set()
    assert reach.room.is_left


@pytest.mark.parametrize(
    "error", [BusUnavailableError(), NoAnswerError(), ValueError("no JSON"), RuntimeError()]
)
async def test_whatever_goes_wrong_in_the_wait_the_token_is_shown(error: Exception) -> None:
    """It is made, and shown this once: an error would lose it."""
    assert await reach_of(Worker(error)).reached(1, 0.01) == NOBODY_TOLD


async def test_as_soon_as_every_edge_has_it_nobody_waits() -> None:
    """One question."""
    worker = Worker(EVERYWHERE)
    assert await reach_of(worker).reached(1, MINUTE) == Reached(0, 0, True, None)
    assert worker.asked == 1
