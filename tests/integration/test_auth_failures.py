"""Auth while a store or the bus is away: nothing is lost, nobody is logged out, nothing is pretended."""

from collections.abc import AsyncIterator

import pytest

from shared.contract import (
    LOGIN_FAILED,
    LOGIN_REQUESTED,
    OP_USERS_SET,
    OP_USERS_SHOW,
    TOKEN_REVOKED,
    stream_of,
)
from shared.messages import SetUser, ShowUser, UserState
from tests.support.auth_workers import ADA, ORIGIN, AuthWorkers, bearer, running_workers
from tests.support.servers import NatsServer, RedisServer, start_in_thread
from tests.support.waiting import eventually

ACCESS, REFRESH, CSRF = "latchwire-dev", "latchwire-dev-refresh", "latchwire-dev-csrf"


@pytest.fixture
async def auth(nats_server: NatsServer, redis_server: RedisServer) -> AsyncIterator[AuthWorkers]:
    """One auth worker with patience for a paused broker."""
    secrets_dir = nats_server.secrets_dir
    async with running_workers(
        nats_server, redis_server, secrets_dir, doors=1, max_staleness=60.0
    ) as workers:
        yield workers


async def test_without_redis_nothing_begins_and_nobody_is_logged_out(
    auth: AuthWorkers, redis_server: RedisServer
) -> None:
    """503 with Retry-After for login, exchange and refresh; cookies stay; then it heals by itself."""
    cookies, tokens = await auth.sign_in_with_cookies(), await auth.sign_in()
    link = auth.token_of(await auth.ask())
    redis_server.kill()

    login = await auth.call("POST", "/auth/login", {"email": ADA})
    exchange = await auth.call("POST", "/auth/link", {"token": link})
    refresh = await auth.call("POST", "/auth/refresh", headers=ORIGIN, cookies=cookies)
    me = await auth.call("GET", "/auth/me", headers=bearer(tokens["access_token"]))

    assert [503, 503, 503, 200] == [r.status for r in (login, exchange, refresh, me)]
    assert "store" == (await refresh.json())["missing"]
    assert refresh.headers["Retry-After"]
    assert not refresh.cookies
    assert not login.cookies

    await start_in_thread(redis_server)

    async def renews() -> bool:
        answer = await auth.call("POST", "/auth/refresh", headers=ORIGIN, cookies=cookies)
        return answer.status == 200

    async def opens() -> bool:
        """The link, unused until it opens: a worker may doubt a store that was restarted for a moment."""
        return (await auth.call("POST", "/auth/link", {"token": link})).status == 200

    await eventually(renews)
    await eventually(opens)


async def test_without_redis_a_logout_still_reaches_the_edges(
    auth: AuthWorkers, redis_server: RedisServer
) -> None:
    """The answer is 503, because the end is not complete; the revocation is out all the same."""
    tokens = await auth.sign_in()
    redis_server.kill()

    answer = await auth.call("POST", "/auth/logout", headers=bearer(tokens["access_token"]))

    assert 503 == answer.status
    assert ["logout"] == [event.reason for event in await auth.hears(TOKEN_REVOKED, 1)]


async def test_without_redis_a_browsers_logout_still_reaches_the_edges(
    auth: AuthWorkers, redis_server: RedisServer
) -> None:
    """Its refresh cookie cannot be proven without the store; its access cookie can."""
    cookies = await auth.sign_in_with_cookies()
    redis_server.kill()

    answer = await auth.call("POST", "/auth/logout", headers=ORIGIN, cookies=cookies)

    assert 503 == answer.status
    assert ["logout"] == [event.reason for event in await auth.hears(TOKEN_REVOKED, 1)]


async def test_without_nats_a_logout_is_503_and_its_repetition_succeeds(
    auth: AuthWorkers, nats_server: NatsServer
) -> None:
    """The cookies go at once; the fact is published when somebody asks again."""
    cookies, tokens = await auth.sign_in_with_cookies(), await auth.sign_in()
    nats_server.kill()

    by_cookie = await auth.call("POST", "/auth/logout", headers=ORIGIN, cookies=cookies)
    by_bearer = await auth.call("POST", "/auth/logout", headers=bearer(tokens["access_token"]))

    assert [503, 503] == [by_cookie.status, by_bearer.status]
    assert {"0"} == {by_cookie.cookies[name]["max-age"] for name in (ACCESS, REFRESH, CSRF)}
    refresh = {"refresh_token": tokens["refresh_token"]}
    assert 401 == (await auth.call("POST", "/auth/refresh", refresh)).status

    await start_in_thread(nats_server)

    async def logged_out() -> bool:
        answer = await auth.call("POST", "/auth/logout", headers=bearer(tokens["access_token"]))
        return answer.status == 204

    async def revoked() -> bool:
        answer = await auth.call("GET", "/auth/me", headers=bearer(tokens["access_token"]))
        return answer.status == 401

    await eventually(logged_out)
    await eventually(revoked)


async def test_without_nats_a_login_is_not_acknowledged(
    auth: AuthWorkers, nats_server: NatsServer
) -> None:
    """503 for everybody alike: an acknowledged request is one that the stream holds."""
    nats_server.kill()

    known = await auth.call("POST", "/auth/login", {"email": ADA})
    stranger = await auth.call("POST", "/auth/login", {"email": "x@evil.test"})

    assert [503, 503] == [known.status, stranger.status]
    assert "bus" == (await known.json())["missing"]
    assert not auth.said(LOGIN_REQUESTED)


async def test_a_stale_feed_refuses_sessions_but_keeps_the_cookies(
    nats_server: NatsServer, redis_server: RedisServer
) -> None:
    """What may have been revoked meanwhile is not renewed; nobody is logged out for it."""
    secrets_dir = nats_server.secrets_dir
    async with running_workers(
        nats_server, redis_server, secrets_dir, doors=1, max_staleness=4.0
    ) as auth:
        cookies = await auth.sign_in_with_cookies()
        link = auth.token_of(await auth.ask())
        auth.runtimes[0].stop("the only revocation worker goes away")
        await auth.runtimes[0].drain(0.1)
        nats_server.kill()
        await eventually(lambda: "feed" in auth.runtimes[1].health.problems())

        refresh = await auth.call("POST", "/auth/refresh", headers=ORIGIN, cookies=cookies)
        exchange = await auth.call("POST", "/auth/link", {"token": link})
        me = await auth.call("GET", "/auth/me", cookies=cookies)
        form = await auth.call("GET", "/auth/login", cookies=cookies)

    assert [503, 503, 503] == [r.status for r in (refresh, exchange, me)]
    assert 200 == form.status, "the form says nothing of who is logged in, and is there"
    assert "feed" == (await refresh.json())["missing"]
    assert not refresh.cookies


async def test_an_operator_blocks_and_unblocks_a_person(
    auth: AuthWorkers, nats_server: NatsServer
) -> None:
    """Sessions, unopened links and refresh tokens end; afterwards a new sign-in works."""
    tokens, link = await auth.sign_in(), auth.token_of(await auth.ask())
    async with nats_server.connect("operator") as bus:

        async def ask(action: str) -> UserState:
            email = "Ada@ACME.com"
            if action == "show":
                return await bus.ask(OP_USERS_SHOW, ShowUser(email=email))
            request = SetUser(email=email, action=action, reason="left", actor="root")
            return await bus.ask(OP_USERS_SET, request)

        async def users(action: str) -> tuple[bool, int]:
            state = await ask(action)
            assert ADA == state.sub
            return state.blocked, state.sessions

        assert (False, 1) == await users("show")
        assert (True, 0) == await users("block")
        body = {"refresh_token": tokens["refresh_token"]}
        assert 401 == (await auth.call("POST", "/auth/refresh", body)).status
        assert 410 == (await auth.call("POST", "/auth/link", {"token": link})).status
        revoked = (await auth.hears(TOKEN_REVOKED, 1))[0]
        assert ("subject", ADA, "left", "root") == (
            revoked.scope,
            revoked.sub,
            revoked.reason,
            revoked.actor,
        )
        assert (False, 0) == await users("unblock")

    assert await auth.sign_in()


async def test_an_operator_who_mistypes_an_address_hears_it(
    auth: AuthWorkers, nats_server: NatsServer
) -> None:
    """An answer, not a time-out."""
    async with nats_server.connect("operator") as bus:
        state = await bus.ask(OP_USERS_SET, SetUser(email="ada", action="block"))
        shown = await bus.ask(OP_USERS_SHOW, ShowUser(email="ada"))

    assert "invalid_email: at_sign" == state.error == shown.error
    assert not state.blocked


async def test_a_flood_of_refused_requests_keeps_nobody_from_signing_in(
    auth: AuthWorkers, nats_server: NatsServer
) -> None:
    """What strangers can make without bound has a small place of its own, and forgets its oldest."""
    stream = stream_of(LOGIN_FAILED)
    assert stream is not None
    async with nats_server.connect("provisioner") as bus:
        config = (await bus.js.stream_info(stream.name)).config
        await bus.js.update_stream(config.evolve(max_bytes=2000))

        statuses = [
            (await auth.call("POST", "/auth/login", {"email": f"x{n}@evil.test"})).status
            for n in range(30)
        ]
        held = (await bus.js.stream_info(stream.name)).state

    assert {202} == set(statuses)
    assert held.messages < 30
    assert await auth.sign_in()
