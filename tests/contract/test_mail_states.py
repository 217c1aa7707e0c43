"""What every `MailStates` promises, shown on the fake and on a real Redis."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from services.mailer.adapters.redis_states import RedisMailStates
from services.mailer.domain.attempt import (
    Busy,
    Claim,
    Claimed,
    Record,
    Settled,
    State,
    Timing,
    Verdict,
)
from services.mailer.ports import MailStates
from shared.redis import StoreUnavailableError, connect_redis
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.mail_states import FakeMailStates
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

KEY = "01JD7Z0000ABCDEFGHJKMNPQRS"
LONG_MS = 60_000
SHORT_MS = 40
SENT = Verdict(State.SENT, 1, 250)
FAILED = Verdict(State.FAILED, 1, 550, "recipient_refused")


@dataclass
class Store:
    """A store under test, and how its time passes."""

    states: MailStates
    pass_ms: Callable[[int], None]

    async def claim(self, lease_ms: int = LONG_MS) -> Claim:
        return await self.states.claim(KEY, lease_ms=lease_ms)

    async def claim_after_lease(self) -> Claimed:
        """The claim that follows a lease of SHORT_MS."""
        self.pass_ms(SHORT_MS)

        async def claimed() -> Claimed | None:
            claim = await self.claim()
            return claim if isinstance(claim, Claimed) else None

        found = await eventually(claimed)
        assert found is not None
        return found


@pytest.fixture(params=["fake", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Each implementation in turn."""
    if request.param == "fake":
        clock = FakeClock()
        yield Store(FakeMailStates(clock), clock.advance)
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    async with connect_redis(server.url) as client:
        yield Store(RedisMailStates(client, Timing()), lambda _ms: None)


async def test_only_one_try_is_made_at_a_time(store: Store) -> None:
    """A second mailer that gets the same message is told how long the first one has."""
    first = await store.claim()
    second = await store.claim()

    assert first == Claimed(1)
    assert isinstance(second, Busy)
    assert LONG_MS / 2 < second.for_ms <= LONG_MS


async def test_a_crashed_try_is_taken_over_after_its_lease(store: Store) -> None:
    """The new claim knows that the old one never said how it ended."""
    await store.claim(SHORT_MS)

    assert await store.claim_after_lease() == Claimed(2, resumed=True)


async def test_a_released_try_may_be_claimed_at_once(store: Store) -> None:
    """Nothing was sent: the next try does not wait for the lease, and knows nothing is unknown."""
    await store.claim()
    await store.states.release(KEY, 1)

    assert await store.claim() == Claimed(2)


async def test_refusals_of_the_text_are_counted(store: Store) -> None:
    """Only those that were counted as such."""
    await store.claim()
    await store.states.release(KEY, 1, refused=True)
    await store.claim()
    await store.states.release(KEY, 2)

    assert await store.claim() == Claimed(3, refusals=1)


async def test_a_settled_mail_is_never_tried_again(store: Store) -> None:
    """Redelivery finds what became of it, for as long as the stream can redeliver."""
    await store.claim()

    record = await store.states.settle(KEY, 1, SENT)

    assert isinstance(record, Record)
    assert (record.state, record.attempts, record.smtp_code) == (State.SENT, 1, 250)
    assert await store.claim() == Settled(record)


async def test_the_first_terminal_state_stands(store: Store) -> None:
    """Never two verdicts for one mail."""
    await store.claim()
    first = await store.states.settle(KEY, 1, FAILED)

    assert await store.states.settle(KEY, 1, SENT) == first
    assert first is not None
    assert (first.state, first.smtp_code, first.reason) == (
        State.FAILED,
        550,
        "recipient_refused",
    )


async def test_a_try_whose_lease_ran_out_cannot_fail_the_mail_of_its_successor(
    store: Store,
) -> None:
    """The fence: only the newest claim may say that nothing was sent."""
    await store.claim(SHORT_MS)
    await store.claim_after_lease()

    assert await store.states.settle(KEY, 1, FAILED) is None
    await store.states.release(KEY, 1)
    assert isinstance(await store.claim(), Busy)


async def test_a_late_250_counts_whoever_is_at_work_now(store: Store) -> None:
    """A mail the server took is sent, even when its try was thought dead."""
    await store.claim(SHORT_MS)
    await store.claim_after_lease()

    record = await store.states.settle(KEY, 1, SENT)

    assert record is not None
    assert record.state is State.SENT
    assert await store.states.settle(KEY, 2, FAILED) == record


async def test_mails_do_not_meet(store: Store) -> None:
    """One key, one mail."""
    await store.claim()

    assert await store.states.claim(f"{KEY}.new_browser", lease_ms=LONG_MS) == Claimed(1)


async def test_a_redis_that_is_away_is_said_so(redis_server: RedisServer) -> None:
    """Its own errors never leave the adapter."""
    async with connect_redis(redis_server.url) as client:
        states = RedisMailStates(client, Timing())
        redis_server.kill()

        with pytest.raises(StoreUnavailableError):
            await states.claim(KEY, lease_ms=LONG_MS)


async def test_what_rests_in_redis_ends_by_itself_and_names_nobody(
    redis_server: RedisServer,
) -> None:
    """Two hours, and neither address nor link in key or value."""
    async with connect_redis(redis_server.url) as client:
        states = RedisMailStates(client, Timing())
        await states.claim(KEY, lease_ms=LONG_MS)
        await states.settle(KEY, 1, SENT)

        fields = await client.hgetall(f"lw:mail:{KEY}")
        expiry = await client.pttl(f"lw:mail:{KEY}")

    assert set(fields) == {b"state", b"fence", b"lease", b"attempts", b"code", b"reason", b"at"}
    assert 0 < expiry <= 7_200_000
