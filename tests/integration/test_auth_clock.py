"""Redis's clock is wrong: auth refuses for that long, leaves nothing behind, and says why."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from structlog.testing import capture_logs

from ctl.parts import ask_parts
from services.auth.adapters.redis_attempts import RedisAttempts
from services.auth.adapters.redis_clock import SILENT, ClockWatch
from services.auth.adapters.redis_scripts import _LUA, CLOCK, Scripts
from services.auth.adapters.redis_sessions import RedisSessions
from services.auth.domain.clock import AHEAD_MS, APART_MS, REASONS
from services.auth.domain.link import Attempt
from services.auth.domain.session import Session
from services.auth.ports import ClockSkewedError
from shared.clock import SystemClock
from shared.contract import Role
from shared.ids import SystemIds
from shared.redis import connect_redis
from tests.support.auth_workers import ADA, running_workers
from tests.support.fakes.clock import FakeClock
from tests.support.operators import session_of
from tests.support.servers import NatsServer, RedisServer, start_in_thread
from tests.support.trust import vouch_for
from tests.support.waiting import eventually

TTL, GRACE = 600_000, 10_000
INDEX = b"i" * 32


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """A client of a Redis of this test's own."""
    async with connect_redis(redis_server.url) as client:
        yield client


async def redis_ms(redis: Redis) -> int:
    seconds, micros = await redis.time()
    return int(seconds * 1000 + micros // 1000)


def notice() -> Attempt:
    login_id = SystemIds().ulid(SystemClock().now_ms())
    return Attempt(login_id, ADA, "notice", 0, 0, "kid", sid="s")


@pytest.mark.parametrize("ahead_ms", [11_000, -20_000, 10**9])
async def test_a_clock_far_from_auths_own_is_never_written_down(
    redis: Redis, ahead_ms: int
) -> None:
    """One call while Redis stands in the future must not leave that time behind."""
    clock = FakeClock(await redis_ms(redis) - ahead_ms)
    scripts = Scripts(redis, INDEX, clock)

    with capture_logs() as lines, pytest.raises(ClockSkewedError):
        await RedisAttempts(scripts).open_notice(notice(), TTL)

    assert await redis.get(CLOCK) is None
    assert [("clock.skewed", "apart")] == [(line["event"], line["reason"]) for line in lines]
    clock.advance(ahead_ms)
    await RedisAttempts(scripts).open_notice(notice(), TTL)


async def test_a_floor_from_the_future_is_refused_and_a_near_one_holds(redis: Redis) -> None:
    """Within two seconds time stands still; beyond that nothing is issued from the future."""
    attempts = RedisAttempts(Scripts(redis, INDEX, SystemClock()))

    async def stands_still() -> bool:
        """Once more where this machine paused for as long."""
        near = await redis_ms(redis) + AHEAD_MS - 500
        await redis.set(CLOCK, near)
        return (await attempts.open_notice(notice(), TTL)).at_ms == near

    await eventually(stands_still)
    far = await redis_ms(redis) + 60_000
    await redis.set(CLOCK, far)
    with pytest.raises(ClockSkewedError):
        await attempts.open_notice(notice(), TTL)
    assert far == int(await redis.get(CLOCK))


async def test_one_persons_watermark_from_the_future_stops_nobody_else(redis: Redis) -> None:
    """The floor does not follow it, and the session is as it was."""
    scripts = Scripts(redis, INDEX, SystemClock())
    now, sid = await redis_ms(redis), SystemIds().ulid(SystemClock().now_ms())
    session = Session(sid, ADA, ADA, now, now + 60_000, 1, now, "secret")
    fields = {"sst": now, "expires_at": now + 60_000, "counter": 1, "advanced_at": now}
    await redis.hset(f"lw:session:{sid}", mapping=fields)

    await vouch_for(redis)
    with pytest.raises(ClockSkewedError):
        await RedisSessions(scripts).advance(session, 1, GRACE, after_ms=now + 30_000)

    assert int(await redis.get(CLOCK)) < now + 2_000
    assert b"1" == await redis.hget(f"lw:session:{sid}", "counter")


async def test_ready_says_which_clock_is_wrong_until_it_is_right(redis: Redis) -> None:
    """Nobody has to log in for the operator to hear of it."""
    clock = FakeClock(await redis_ms(redis) - 20_000)
    watch = ClockWatch(Scripts(redis, INDEX, clock))
    seen = []
    with capture_logs() as lines:
        await watch.look()
        seen.append(watch.not_ready())
        clock.advance(20_000)
        await redis.set(CLOCK, clock.now_ms() + 5_000)
        await watch.look()
        seen.append(watch.not_ready())
        await redis.delete(CLOCK)
        await watch.look()
        seen.append(watch.not_ready())

    assert [REASONS["apart"], REASONS["ahead"], None] == seen
    assert ["clock.skewed", "clock.skewed", "clock.trusted"] == [line["event"] for line in lines]


async def test_ready_says_that_redis_is_away_until_it_is_back(
    redis: Redis, redis_server: RedisServer
) -> None:
    """Nobody can log in meanwhile: what was seen before it died does not count."""
    watch, stopping = ClockWatch(Scripts(redis, INDEX, SystemClock())), asyncio.Event()
    await vouch_for(redis)
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.run(stopping))
        await eventually(lambda: watch.unsettled() is None)
        redis_server.kill()
        await eventually(lambda: watch.unsettled() == SILENT)
        await start_in_thread(redis_server)
        await eventually(lambda: watch.unsettled() != SILENT)
        stopping.set()


def logins_and_refusals() -> tuple[float, float, float]:
    """What auth's ``/metrics`` counted up to now: logins by link, 503s, and 404s."""
    how = {"method": "link", "outcome": "succeeded"}
    logins = REGISTRY.get_sample_value("latchwire_logins_total", how) or 0.0
    name, codes = "latchwire_auth_refusals_total", ("unavailable", "not_found")
    away, missing = (REGISTRY.get_sample_value(name, {"code": code}) for code in codes)
    assert away is not None, "a rate would miss the first"
    assert missing is not None
    return logins, away, missing


async def test_while_the_clock_is_wrong_people_are_told_to_try_again(
    nats_server: NatsServer, redis: Redis, redis_server: RedisServer
) -> None:
    """503 and nobody logged out; afterwards everything goes on."""
    async with running_workers(nats_server, redis_server, nats_server.secrets_dir, doors=1) as auth:
        logins, refusals, pages = logins_and_refusals()
        tokens = await auth.sign_in()
        before = await redis.get(CLOCK)
        await redis.set(CLOCK, await redis_ms(redis) + 3_600_000)
        refresh = {"refresh_token": tokens["refresh_token"]}
        answers = [
            await auth.call("POST", "/auth/login", {"email": ADA}),
            await auth.call("POST", "/auth/refresh", refresh),
        ]
        await eventually(lambda: "clock" in auth.runtimes[1].health.problems())
        async with nats_server.connect("operator") as operator:
            (told,) = await ask_parts(session_of(operator, nats_server), Role.AUTH)
        assert any(f": clock: {REASONS['ahead']}" in problem for problem in told.problems)
        await auth.call("GET", "/auth/nothing", headers={"Accept": "text/html"})
        await redis.set(CLOCK, before)
        again = await auth.call("POST", "/auth/refresh", refresh)
        await eventually(lambda: "clock" not in auth.runtimes[1].health.problems())

    assert (logins + 1, refusals + 2, pages + 1) == logins_and_refusals()
    assert [503, 503, 200] == [answer.status for answer in [*answers, again]]
    assert ["clock", "clock"] == [json.loads(await a.text())["missing"] for a in answers]


def test_the_script_and_the_watch_have_the_same_limits() -> None:
    """The rule stands in two languages."""

    text = (_LUA / "clock.lua").read_text()
    assert f"local APART, AHEAD = {APART_MS}, {AHEAD_MS}\n" in text
