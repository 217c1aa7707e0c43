"""How long a client may wait, where several revocations are all true, and how often anybody may ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from services.auth.domain.limits import Rate, Throttle
from services.auth.domain.reach import Place, Reached, furthest
from services.auth.flows.reach import AT_ONCE, Watching
from services.auth.http.prefer import _answer, read_wait
from services.auth.ports import Signals
from shared.contract import REVOCATION_RECEIPTS
from shared.messages import EdgeReceipt, Freshness, ReceiptsAnswer, RevocationApplied
from shared.messages.revocation import AppliedOutcome
from tests.support.fakes.clock import FakeClock


def said(outcome: AppliedOutcome, seq: int = 0) -> RevocationApplied:
    """What a worker says of one event."""
    return RevocationApplied(event="e", token_seq=1, outcome=outcome, epoch="a", seq=seq)


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([], 0),
        (["wait=1"], 1),
        (["WAIT = 2"], 2),
        (['wait="3"'], 3),
        (["respond-async, wait=4; x=y"], 4),
        (["respond-async", "wait=2, wait=5"], 2),
        (["wait=6"], 5),
        (["wait=999999999"], 5),
        (["wait=0"], 0),
        (["wait"], 0),
        (["wait=-1"], 0),
        (["wait=1.5"], 0),
        (["wait=٣"], 0),
        (["wait=" + "9" * 400], 0),
        (["waits=1"], 0),
        (["x=wait=1"], 0),
    ],
)
def test_a_preference_is_read_as_the_rfc_says_and_bounded(lines: list[str], seconds: int) -> None:
    """RFC 7240 §2: the first counts, what is not understood is ignored; nobody waits longer than five."""
    headers = CIMultiDict([("Prefer", line) for line in lines])

    assert seconds == read_wait(make_mocked_request("POST", "/auth/logout", headers=headers))


def test_several_are_everywhere_when_the_last_of_them_is() -> None:
    """What hits nothing alive needs no edge."""
    assert furthest([]) is None
    assert furthest([said("lapsed")]) is None
    assert furthest([said("stored", 4), said("lapsed"), said("known", 9)]) == Place("a", 9)


def test_what_was_put_aside_is_never_called_true() -> None:
    """Whatever became of the others."""
    with pytest.raises(ValueError, match="refused"):
        furthest([said("stored", 4), said("refused")])


@given(st.integers(1, 50), st.integers(1, 100_000), st.lists(st.integers(0, 5_000), max_size=200))
def test_never_more_than_the_rate_in_any_window(count: int, window: int, pauses: list[int]) -> None:
    """Twice the rate over any two halves, which is what a bucket promises; and each wait is long enough."""
    throttle, now, let_in = Throttle(Rate(count, window)), 1_000, []
    for pause in pauses:
        now += pause
        wait = throttle.wait_ms("a", now)
        if wait == 0:
            let_in.append(now)
        else:
            assert throttle.wait_ms("a", now + wait) == 0
            let_in.append(now + wait)
            now += wait

    for start in let_in:
        assert sum(start <= at < start + window for at in let_in) <= 2 * count


def test_each_key_has_room_of_its_own_and_the_oldest_is_forgotten() -> None:
    """Memory is bounded: who is forgotten begins anew."""
    throttle = Throttle(Rate(1, 60_000))
    assert 0 == throttle.wait_ms("first", 1_000)
    assert throttle.wait_ms("first", 1_000) > 0
    for n in range(Throttle.MANY):
        assert 0 == throttle.wait_ms(f"key {n}", 1_000)

    assert 0 == throttle.wait_ms("first", 1_000)


async def test_who_comes_on_top_of_many_is_served_without_waiting() -> None:
    """Open requests are bounded; when one is through there is room again."""
    watching = Watching(cast("Signals", None), FakeClock())
    async with AsyncExitStack() as stack:
        for _ in range(AT_ONCE):
            assert watching.room.is_left
            await stack.enter_async_context(watching.begin(1))
        assert not watching.room.is_left

    assert watching.room.is_left


@pytest.mark.parametrize("safe_at_ms", [10**18, -(10**18), 1 << 70])
def test_no_time_that_somebody_said_turns_a_logout_into_an_error(safe_at_ms: int) -> None:
    """A stolen edge's patience came into it: the answer is 202 all the same."""
    answer = _answer(Reached(1, 0, complete=False, safe_at_ms=safe_at_ms), 1)

    assert answer.status == 202


async def test_whatever_goes_wrong_in_the_wait_the_client_is_told_that_nobody_can_say() -> None:
    """The revocation is stored already; here the signals are no signals at all."""
    watching = Watching(cast("Signals", None), FakeClock())
    async with watching.begin(1) as watch:
        assert await watch.reached() == Reached(
            0, 0, complete=True, safe_at_ms=FakeClock().now_ms()
        )
        watch._expected = 1
        assert await watch.reached() == Reached(0, 0, complete=False, safe_at_ms=None)


class Forged:
    """Somebody else's event has our id; the probe and the receipts are an honest worker's."""

    @asynccontextmanager
    async def hear_once(
        self, _subject: object
    ) -> "AsyncIterator[asyncio.Future[RevocationApplied]]":
        word: asyncio.Future[RevocationApplied] = asyncio.get_running_loop().create_future()
        word.set_result(
            RevocationApplied(event="e", token_seq=1, outcome="lapsed", stream="TOKEN_BY")
        )
        yield word

    async def ask(self, question: object, _message: object, *, timeout: float) -> object:
        assert timeout > 0
        if question is REVOCATION_RECEIPTS:
            return ReceiptsAnswer(edges=(EdgeReceipt(edge_id="edge-1", confirmed=False),))
        return Freshness(epoch="a", last_seq=7, backlog_ms=0)


async def test_a_services_word_under_our_id_is_not_taken_for_ours() -> None:
    """It may choose any id for its events: "nothing alive" about its own must not end our wait."""
    async with Watching(cast("Signals", Forged()), FakeClock()).begin(1) as watch:
        await watch.expect("01J00000000000000000000S1D")

        assert not (await watch.reached()).complete
