"""A Redis that was emptied, restored or told to evict, while people are signed in.

Auth says 503 until a revocation worker vouches for it again, nobody loses a cookie or is told that the session
is over meanwhile, and no edge notices.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiohttp import ClientResponse
from redis.asyncio import Redis

from shared.contract import OP_REVOCATION_MATCH, OP_USERS_SET
from shared.messages import MatchRequest, SetUser
from tests.support.auth_workers import ORIGIN, bearer
from tests.support.credentials import ACCESS, ADDRESSES, SAME_ORIGIN, Held, sign_in
from tests.support.house import SHOP, House, basic, running_house
from tests.support.trust import TRUSTED, vouched_for
from tests.support.waiting import eventually

BEAT = "lw:life:beat"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all; every test leaves it trusted."""
    async with running_house(tmp_path_factory.mktemp("house")) as running:
        yield running


@asynccontextmanager
async def doubted(house: House) -> AsyncIterator[None]:
    """A Redis that is told to evict: what it holds may be gone at any moment."""
    await house.redis.config_set("maxmemory-policy", "allkeys-lru")

    async def withdrawn() -> bool:
        return not await house.redis.exists(TRUSTED)

    await eventually(withdrawn)
    try:
        yield
    finally:
        await house.redis.config_set("maxmemory-policy", "noeviction")
        await vouched_for(house.redis_server.url)


async def renew(house: House, held: Held) -> tuple[int, str, int]:
    """A refresh by cookie: status, code, and how many cookies it sets or clears."""
    answer = await house.auth.call("POST", "/auth/refresh", headers=ORIGIN, cookies=held.cookies)
    body = json.loads(await answer.text())
    return answer.status, str(body.get("code", "")), len(answer.cookies)


async def copy_of(redis: Redis) -> dict[bytes, bytes]:
    """What a backup holds of Redis; whoever vouches for it now no longer does when it is old."""
    keys = [key async for key in redis.scan_iter("*") if key != TRUSTED.encode()]
    return {key: dumped for key in keys if (dumped := await redis.dump(key))}


async def restore(redis: Redis, copy: dict[bytes, bytes]) -> None:
    """Redis as of that copy, in one step: nobody sees it half done."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.flushall()
        for key, dumped in copy.items():
            pipe.restore(key, 60_000, dumped)
        await pipe.execute()


async def test_nothing_begins_and_nobody_is_signed_out_while_nobody_vouches_for_redis(
    house: House,
) -> None:
    """503, a stable code and Retry-After for all that opens, renews or lists; cookies stay as they are."""
    held, link = await sign_in(house), next(ADDRESSES)
    token = house.auth.token_of(await house.auth.ask(link), link)
    call = house.auth.call
    body = {"token": token, "cookies": True}
    forged = token[:-1] + ("B" if token.endswith("A") else "A")
    async with doubted(house):
        answers = [
            await call("POST", "/auth/login", {"email": link}),
            await call("POST", "/auth/link", body, headers=ORIGIN),
            await call("POST", "/auth/link/inspect", {"token": forged}),
            await call("POST", "/auth/refresh", headers=ORIGIN, cookies=held.cookies),
            await call("POST", "/auth/refresh", {"refresh_token": held.refresh[0]}),
            await call("GET", "/auth/sessions", headers=bearer(held.access[-1])),
        ]
        pages = [
            await call("GET", path, headers=SAME_ORIGIN, cookies=held.cookies)
            for path in ("/auth/continue?next=/", "/auth/account")
        ]
        me = await call("GET", "/auth/me", headers=bearer(held.access[-1]))
        counted = await house.bus.ask(OP_REVOCATION_MATCH, MatchRequest(scope="subject", id=link))
        assert await house.edge_accepts(token=held.access[-1])
        assert house.sdk_accepts(held.access[-1])

    codes = [json.loads(await answer.text())["code"] for answer in answers if answer.status == 503]
    assert ["store_unsettled"] * (len(answers) - 1) == codes
    assert all(a.headers["Retry-After"] for a in answers if a.status == 503)
    assert [503, 503] == [page.status for page in pages]
    assert "store_unsettled" in await pages[0].text()
    assert not any(answer.cookies.keys() & {ACCESS} for answer in [*answers, *pages])
    assert 200 == me.status
    assert not counted.counted
    assert (200, "", 3) == await renew(house, held)
    assert 200 == (await call("POST", "/auth/link", body, headers=ORIGIN)).status


async def test_whoever_wants_out_gets_out_of_a_redis_nobody_vouches_for(house: House) -> None:
    """Logout, sign out everywhere, revoke and block: 2xx, and refused at the edge."""
    one, two, three, four = [await sign_in(house) for _ in range(4)]
    call = house.auth.call
    async with doubted(house):
        out = [
            await call("POST", "/auth/logout", headers=ORIGIN, cookies=one.cookies),
            await call("DELETE", "/auth/sessions", headers=bearer(two.access[-1])),
            await call("POST", "/auth/revoke", data={"token": three.refresh[-1]}),
        ]
        blocked = await house.bus.ask(OP_USERS_SET, SetUser(email=four.email, action="block"))

        assert [204, 204, 200] == [answer.status for answer in out]
        assert blocked.blocked
        for held in (one, two, three, four):
            await eventually(lambda held=held: refused(house, held))  # type: ignore[misc]

    assert {401} == {(await renew(house, held))[0] for held in (one, two, three, four)}


async def refused(house: House, held: Held) -> bool:
    """At the edge."""
    return not await house.edge_accepts(token=held.access[-1])


async def test_a_flushed_redis_signs_nobody_out_until_it_is_known_to_be_empty(
    house: House,
) -> None:
    """First 503, then people sign in again; access tokens count on, and a logout by one is a logout."""
    held, leaving = await sign_in(house), await sign_in(house)
    await house.redis.flushall()

    first = await renew(house, held)
    gone = await house.auth.call("POST", "/auth/logout", headers=ORIGIN, cookies=leaving.cookies)

    assert first[0] == 401 or first == (503, "store_unsettled", 0)
    assert 204 == gone.status
    await eventually(lambda: refused(house, leaving))
    await vouched_for(house.redis_server.url)
    assert (401, "refresh_invalid") == (await renew(house, held))[:2]
    assert await house.edge_accepts(token=held.access[-1])
    assert house.sdk_accepts(held.access[-1])
    assert await house.auth.sign_in(held.email)


async def test_an_emptied_redis_is_not_read_before_the_worker_has_seen_it(house: House) -> None:
    """While the worker cannot vouch for it, the missing session is no reason to say that it is over."""
    held = await sign_in(house)
    async with doubted(house):
        await house.redis.flushall()
        assert (503, "store_unsettled", 0) == await renew(house, held)
        told = await house.auth.call(
            "POST", "/auth/introspect", data={"token": held.refresh[-1]}, headers=basic(SHOP)
        )
        assert 503 == told.status
        assert await house.edge_accepts(token=held.access[-1])


async def test_what_was_used_ended_or_revoked_stays_so_in_a_redis_from_the_past(
    house: House,
) -> None:
    """A used link of the copy opens nothing, an ended session of it renews nothing; a living one ends."""
    link = next(ADDRESSES)
    used = house.auth.token_of(await house.auth.ask(link), link)
    ended, living = await sign_in(house), await sign_in(house)
    copy = await copy_of(house.redis)
    assert 200 == (await house.auth.call("POST", "/auth/link", {"token": used})).status
    await house.auth.call("POST", "/auth/logout", headers=ORIGIN, cookies=ended.cookies)
    assert (200, "", 3) == await renew(house, living)
    await eventually(lambda: refused(house, ended))

    beat = await house.redis.get(BEAT)

    async def has_gone_round() -> (
        bool
    ):  # a copy younger than the worker's last round looks like the present
        return await house.redis.get(BEAT) != beat

    await eventually(has_gone_round)
    await restore(house.redis, copy)
    await vouched_for(house.redis_server.url)

    assert 410 == (await house.auth.call("POST", "/auth/link", {"token": used})).status
    assert 401 == (await renew(house, ended))[0]
    assert not await house.edge_accepts(token=ended.access[-1])
    assert await house.edge_accepts(token=living.access[-1])
    assert await house.auth.sign_in(link)


async def test_what_cannot_be_proven_for_now_is_not_called_inactive(house: House) -> None:
    """Introspection: 503 and Retry-After, so that nobody is logged out for it; garbage is garbage."""
    held = await sign_in(house)
    async with doubted(house):
        for token in (held.access[-1], held.refresh[-1]):
            answer = await ask(house, token)
            assert (503, "temporarily_unavailable") == (
                answer.status,
                (await answer.json())["error"],
            )
            assert "store_unsettled" == answer.headers["X-Latchwire-Reason"]
            assert answer.headers["Retry-After"]
        assert {"active": False} == await (await ask(house, "garbage")).json()

    assert (await (await ask(house, held.access[-1])).json())["active"]


async def ask(house: House, token: str) -> ClientResponse:
    """Introspect as a configured client."""
    form = {"token": token}
    return await house.auth.call("POST", "/auth/introspect", data=form, headers=basic(SHOP))
