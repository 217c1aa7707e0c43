"""What is forgotten of a deleted person: the same on the fake and on a real Redis."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from services.auth.adapters.redis_attempts import RedisAttempts
from services.auth.adapters.redis_memory import RedisMemory
from services.auth.adapters.redis_scripts import Scripts
from services.auth.adapters.redis_sessions import RedisSessions
from services.auth.domain.limits import Rate
from services.auth.domain.link import Attempt
from services.auth.ports import Attempts, Exchange, Exchanged, NotExchanged, Opened, Sessions
from services.auth.ports.deletions import Memory
from shared.clock import SystemClock
from shared.redis import connect_redis
from tests.contract.test_auth_stores import TTL, budgets, new_attempt, new_session
from tests.support.fakes.auth_memory import FakeMemory
from tests.support.fakes.auth_store import FakeAttempts, FakeAuthStore, FakeSessions
from tests.support.trust import vouch_for
from tests.support.waiting import eventually

SUB, ADA, BOB = "01J00000000000000000000ADA", "ada@acme.com", "bob@acme.com"


@dataclass
class Stores:
    attempts: Attempts
    sessions: Sessions
    memory: Memory

    async def asked(self, email: str = ADA, **changes: object) -> Attempt:
        """An attempt of *email*, from its usual browser."""
        attempt = new_attempt(email, **changes)
        opened = await self.attempts.open(attempt, TTL, budgets(email=email))
        assert isinstance(opened, Opened)
        return replace(attempt, requested_at_ms=opened.at_ms)

    async def signed_in(self, email: str = ADA, sub: str = SUB) -> tuple[Attempt, str]:
        """The attempt that was used, and the session."""
        attempt = await self.asked(email)
        session = replace(new_session(sub), email=email)
        result = await self.attempts.exchange(
            Exchange(attempt, by_code=False, right=True, watermark=0, session=session,
                     session_ms=60_000, browser="b", browser_ms=60_000)
        )  # fmt: skip
        assert isinstance(result, Exchanged), result
        return attempt, session.sid

    async def notice(self, sid: str) -> Attempt:
        attempt = new_attempt(ADA, purpose="notice", sid=sid)
        await self.attempts.open_notice(attempt, TTL)
        return attempt

    async def end(self, sub: str = SUB, email: str = ADA) -> None:
        """Everything of *sub*; returns a millisecond later, so that whatever comes is later."""
        end = await self.sessions.end_all(sub, email, "account_deleted", "user")
        await eventually(lambda: SystemClock().now_ms() > end.at_ms)

    async def knows(self, attempt: Attempt) -> bool:
        return await self.attempts.find(attempt.login_id) is not None


@pytest.fixture(params=["fake", "redis"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """Both implementations."""
    if request.param == "fake":
        store = FakeAuthStore(SystemClock())
        yield Stores(FakeAttempts(store), FakeSessions(store), FakeMemory(store))
        return
    async with connect_redis(request.getfixturevalue("redis_server").url) as redis:
        await vouch_for(redis)
        scripts = Scripts(redis, b"i" * 32, SystemClock())
        yield Stores(RedisAttempts(scripts), RedisSessions(scripts), RedisMemory(scripts))


async def test_everything_that_names_the_person_is_forgotten(stores: Stores) -> None:
    """Links used, open and void, notices, browsers; another person keeps all of it. Twice is no more."""
    used, sid = await stores.signed_in()
    bobs, _ = await stores.signed_in(BOB, "bob")
    unopened, notice = await stores.asked(), await stores.notice(sid)
    reset = await stores.asked(purpose="reset_password")
    assert await stores.attempts.remembers(ADA)

    await stores.end()
    for _ in range(2):
        await stores.memory.forget(SUB, ADA)

    for attempt in (used, unopened, notice, reset):
        assert not await stores.knows(attempt), attempt.purpose
    assert not await stores.attempts.remembers(ADA)
    assert await stores.sessions.of(SUB) == []
    assert await stores.knows(bobs)
    assert await stores.attempts.remembers(BOB)
    assert len(await stores.sessions.of("bob")) == 1


async def test_who_comes_back_before_it_is_done_loses_nothing(stores: Stores) -> None:
    """What began after the end of the old account belongs to somebody else."""
    await stores.signed_in()
    await stores.end()
    new, sid = await stores.signed_in(sub="new")
    waiting = await stores.asked()

    await stores.memory.forget(SUB, ADA)

    assert await stores.knows(new)
    assert await stores.knows(waiting)
    assert await stores.attempts.remembers(ADA)
    assert [session.sid for session in await stores.sessions.of("new")] == [sid]


async def test_the_end_itself_is_remembered(stores: Stores) -> None:
    """A login that was proven before it and comes late opens nothing."""
    late = await stores.asked()
    await stores.end()
    await stores.memory.forget(SUB, ADA)
    session = replace(new_session(SUB), email=ADA)

    result = await stores.attempts.exchange(
        Exchange(late, by_code=False, right=True, watermark=0, session=session,
                 session_ms=60_000, browser="b", browser_ms=60_000)
    )  # fmt: skip

    assert isinstance(result, NotExchanged)
    assert await stores.sessions.of(SUB) == []


async def test_in_a_store_that_forgot_the_end_everything_of_the_person_goes(stores: Stores) -> None:
    """Better a link too many than an address that stays."""
    used, _ = await stores.signed_in()

    await stores.memory.forget(SUB, ADA)

    assert not await stores.knows(used)
    assert await stores.sessions.of(SUB) == []


async def test_the_count_of_mails_begins_anew(stores: Stores) -> None:
    """Two an hour, both used; after the deletion there is room again."""
    two = budgets(address=Rate(2, 3_600_000), email=ADA)
    muted = []
    for n in range(4):
        if n == 3:
            await stores.end()
            await stores.memory.forget(SUB, ADA)
        opened = await stores.attempts.open(new_attempt(browser=f"other-{n}"), TTL, two)
        assert isinstance(opened, Opened)
        muted.append(opened.muted)

    assert muted == ["", "", "address_limit", ""]
