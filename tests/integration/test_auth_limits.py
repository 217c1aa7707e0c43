"""Limits and blocks that are to hit an attacker and nobody else, on real NATS and Redis."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from services.auth.http.pacing import FLOOR_SECONDS
from shared.contract import LOGIN_FAILED, LOGIN_REQUESTED, OP_USERS_SET, OP_USERS_SHOW
from shared.messages import SetUser, ShowUser
from tests.support.auth_workers import ADA, ORIGIN, AuthWorkers, running_workers
from tests.support.servers import NatsServer, RedisServer

BROWSER = "latchwire-dev-login"


@pytest.fixture
async def auth(nats_server: NatsServer, redis_server: RedisServer) -> AsyncIterator[AuthWorkers]:
    """One auth worker that lets three requests of one network pass in five minutes."""
    secrets_dir = nats_server.secrets_dir
    async with running_workers(
        nats_server, redis_server, secrets_dir, doors=1, limit_address="2/h", limit_network="20/5m"
    ) as workers:
        yield workers


async def browser_of(auth: AuthWorkers) -> dict[str, str]:
    """The pre-login cookie of a browser in which Ada signs in."""
    asked = await auth.call("POST", "/auth/login", {"email": ADA})
    login = {BROWSER: asked.cookies[BROWSER].value}
    body = {"token": auth.token_of((await asked.json())["login_id"]), "cookies": True}
    answer = await auth.call("POST", "/auth/link", body, headers=ORIGIN, cookies=login)
    assert 200 == answer.status
    return login


async def test_nobody_can_keep_a_person_from_the_mail_in_their_own_browser(
    auth: AuthWorkers,
) -> None:
    """The address's budget is used up by strangers; a browser that was there before has its own."""
    own, stranger = await browser_of(auth), {BROWSER: "A" * 43}
    for _ in range(3):
        await auth.ask(ADA, cookies=stranger)
    flooded = len(await auth.hears(LOGIN_FAILED, 2))
    mailed = len(auth.said(LOGIN_REQUESTED))
    for _ in range(3):
        await auth.ask(ADA, cookies=own)

    assert (2, 2) == (flooded, mailed)
    assert ["address_limit"] * 3 == [e.reason for e in await auth.hears(LOGIN_FAILED, 3)]
    assert 4 == len(await auth.hears(LOGIN_REQUESTED, 4))


async def test_a_block_is_not_avoided_by_a_tag_and_a_tag_can_be_blocked(
    auth: AuthWorkers, nats_server: NatsServer
) -> None:
    """One mailbox, one block; lifted under any of its names."""
    tagged = "ada+1@acme.com"
    link = auth.token_of(await auth.ask(tagged), tagged)
    async with nats_server.connect("operator") as bus:
        for blocked, other in ((ADA, tagged), (tagged, ADA)):
            await bus.ask(OP_USERS_SET, SetUser(email=blocked, action="block", reason="left"))
            shown = await bus.ask(OP_USERS_SHOW, ShowUser(email=other))
            await auth.ask(other)
            lifted = await bus.ask(OP_USERS_SET, SetUser(email=blocked, action="unblock"))
            assert (True, False) == (shown.blocked, lifted.blocked)

    assert ["blocked"] * 2 == [e.reason for e in await auth.hears(LOGIN_FAILED, 2)]
    assert 410 == (await auth.call("POST", "/auth/link", {"token": link})).status


async def test_a_block_ends_an_unopened_link_of_another_tag(
    auth: AuthWorkers, nats_server: NatsServer
) -> None:
    """The mail is out already; it opens nothing while the mailbox is blocked."""
    tagged = "ada+1@acme.com"
    link = auth.token_of(await auth.ask(tagged), tagged)
    async with nats_server.connect("operator") as bus:
        await bus.ask(OP_USERS_SET, SetUser(email=ADA, action="block", reason="left"))

    assert 410 == (await auth.call("POST", "/auth/link", {"token": link})).status


async def from_networks(auth: AuthWorkers, networks: list[str]) -> list[int]:
    """The statuses when somebody in each of them asks for a link, all at once."""

    async def ask(number: int, network: str) -> int:
        body = {"email": f"p{number}@acme.com"}
        headers = {"X-Forwarded-For": f"{network}::1"}
        return (await auth.call("POST", "/auth/login", body, headers=headers)).status

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(n, network)) for n, network in enumerate(networks)]
    return [task.result() for task in asked]


async def test_the_many_networks_of_one_ipv6_site_are_limited_together(auth: AuthWorkers) -> None:
    """Each request from another /64: ten networks' worth for a /48, and another site goes on."""
    networks = [f"2001:db8:1:{n:x}00" for n in range(205)]

    assert [202] * 200 == await from_networks(auth, networks[:200])
    assert [429] * 5 == await from_networks(auth, networks[200:])
    assert await auth.ask(headers={"X-Forwarded-For": "2001:db8:2::1"})


async def test_the_networks_of_one_household_are_limited_together(auth: AuthWorkers) -> None:
    """A /56 gets three networks' worth."""
    networks = [f"2001:db8:1:{n:x}" for n in range(62)]

    assert [202] * 60 == await from_networks(auth, networks[:60])
    assert [429] * 2 == await from_networks(auth, networks[60:])


@pytest.mark.parametrize("email", [ADA, "x@evil.test"])
async def test_no_answer_leaves_before_the_floor(auth: AuthWorkers, email: str) -> None:
    """Neither for who may sign in nor for who may not, neither as JSON nor by the form."""
    loop = asyncio.get_running_loop()
    page = await auth.call("GET", "/auth/login")
    (token,) = re.findall(r'name="form_token" value="([^"]+)"', await page.text())
    form = {"form_token": token, "email": email, "next": ""}
    cookies = {BROWSER: page.cookies[BROWSER].value}
    began = loop.time()
    await auth.ask(email)
    between = loop.time()
    sent = await auth.call("POST", "/auth/form/login", data=form, headers=ORIGIN, cookies=cookies)
    took = (between - began, loop.time() - between)

    assert 303 == sent.status
    assert min(took) >= FLOOR_SECONDS
