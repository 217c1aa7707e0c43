"""A part that stays away: what goes on, what is refused and how, and that nobody is logged out by it.

Nothing is restarted but the part itself. 503 says "not now" and keeps the cookies; 401 would log out.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import pytest

from shared.contract import TOKEN_REVOKED
from shared.messages import TokenRevoked
from tests.support.breakable import MAX_STALENESS, Breakable, Look, look, watching
from tests.support.visitor import Browser, Client, Page, code_in, open_browser, path_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOSED_WITHIN = 30.0  # seconds of patience until a check is refused as stale
HEALED_WITHIN = 60.0  # seconds of patience until everything answers again, without a restart
QUEUE = 10  # checks that wait at a stopped edge


async def test_without_nats_logins_are_503_checks_end_and_all_heals(
    house: Breakable, client: Client
) -> None:
    """Checks go on for `max_staleness`, then 503 and never 401; the browser keeps its cookies."""
    tokens = await house.log_in(client, "no-nats-api@example.com")
    access, refresh = tokens["access_token"], {"refresh_token": tokens["refresh_token"]}
    async with signed_in_browser(house, "no-nats@example.com") as browser:
        before, page = browser.cookies(), await browser.open("/auth/login")
        async with watching(client, access) as watch, asyncio.TaskGroup() as group:
            await house.lab.kill9("nats")
            gone = time.monotonic()
            body = {"email": "later@example.com"}
            asked = group.create_task(client.post("/auth/login", body))
            typed = group.create_task(browser.submit(page, "/auth/form/login", **body))
            await eventually(lambda: watch.looks[-1].status == 503, within=CLOSED_WITHIN)
            account = await eventually(partial(unavailable, browser, "/auth/account"))
            renewal, _ = await client.post("/auth/refresh", refresh)
            renewed = await browser.open("/auth/continue?next=/demo")

        status, problem = asked.result()
        assert (status, problem["code"], problem["missing"]) == (503, "unavailable", "bus")
        assert [typed.result().status, renewal, renewed.status, account.status] == [503] * 4
        assert browser.cookies() == before
        assert watch.accepted_since(gone), "checks did not go on"
        assert watch.accepted_since(gone + MAX_STALENESS) == []
        assert {(seen.status, seen.reason) for seen in watch.looks} == {(200, ""), (503, "stale")}

        await house.lab.start("nats")
        await eventually(lambda: is_accepted(client, access), within=HEALED_WITHIN)
        await eventually(lambda: asks(client, "again@example.com"), within=HEALED_WITHIN)
        await house.mail("again@example.com")
        await eventually(lambda: at_account(browser), within=HEALED_WITHIN)


async def test_a_logout_without_nats_is_said_to_be_unfinished_and_finished_by_itself(
    house: Breakable, client: Client
) -> None:
    """The session is over at once; edges hear of it when the bus is back, though nobody asks again."""
    tokens = await house.log_in(client, "unheard@example.com")
    access = tokens["access_token"]
    await house.lab.kill9("nats")

    status, _ = await client.post("/auth/logout", token=access)

    assert status == 503
    await house.lab.start("nats")
    async with watching(client, access) as watch:
        await eventually(
            lambda: watch.looks[-1:] and watch.looks[-1].reason == "token_revoked",
            within=HEALED_WITHIN,
        )
    assert await eventually(lambda: renew(client, tokens), within=HEALED_WITHIN) == 401


async def test_without_redis_logins_and_renewals_are_503_and_checks_and_revocations_go_on(
    house: Breakable, client: Client
) -> None:
    """No 401, no cookie lost; an operator's revocation takes effect at once, and is still there after."""
    stolen = await house.log_in(client, "stolen@example.com")
    kept = await house.log_in(client, "kept@example.com")
    async with signed_in_browser(house, "no-redis@example.com") as browser:
        before, page = browser.cookies(), await browser.open("/auth/login")
        await house.lab.kill9("redis")

        login, problem = await client.post("/auth/login", {"email": "later@example.com"})
        renewal, _ = await client.post("/auth/refresh", {"refresh_token": kept["refresh_token"]})
        form = await browser.submit(page, "/auth/form/login", email="later@example.com")
        renewed = await browser.open("/auth/continue?next=/demo")

        assert (login, problem["code"], problem["missing"]) == (503, "unavailable", "store")
        assert [renewal, form.status, renewed.status] == [503] * 3
        assert browser.cookies() == before
        assert path_of(await browser.open("/demo")) == "/demo"
        assert (await look(client, kept["access_token"])).status == 200

        await revoke(house, scope="subject", sub="stolen@example.com")
        refused = await eventually(lambda: refusal(client, stolen["access_token"]))
        assert (refused.status, refused.reason) == (401, "token_revoked")

        await house.lab.start("redis")
        assert await eventually(lambda: renew(client, kept), within=HEALED_WITHIN) == 200
        assert await eventually(lambda: renew(client, stolen), within=HEALED_WITHIN) == 401
        assert browser.cookies() == before


async def test_a_logout_without_redis_is_503_but_the_token_is_refused_and_the_cookies_are_gone(
    house: Breakable,
) -> None:
    """Half an end is said to be half; what could be ended is, and asking again ends the rest."""
    async with signed_in_browser(house, "half-out@example.com") as browser:
        held = browser.cookies()
        demo = await browser.open("/demo")
        await house.lab.kill9("redis")

        out = await browser.submit(demo, "/auth/form/logout")

        assert out.status == 503
        assert "latchwire-dev" not in browser.cookies()
        async with open_browser(house.url) as thief:
            api = Client(thief.session, house.url)
            await eventually(lambda: refusal(api, held["latchwire-dev"]))
            await house.lab.start("redis")
            body = {"refresh_token": held["latchwire-dev-refresh"]}
            assert await eventually(lambda: renew(api, body), within=HEALED_WITHIN) == 401


async def test_without_revocation_workers_the_edge_closes_and_nobody_is_logged_out(
    house: Breakable, client: Client
) -> None:
    """Longer than `max_staleness` without a proof: 503 for all; a logout meanwhile is kept and applied."""
    tokens = await house.log_in(client, "nobody-proves@example.com")
    leaving = (await house.log_in(client, "leaves-meanwhile@example.com"))["access_token"]
    access = tokens["access_token"]
    async with (
        signed_in_browser(house, "nobody-proves-browser@example.com") as browser,
        watching(client, access) as watch,
        watching(client, leaving) as left,
    ):
        before = browser.cookies()
        await house.lab.kill9("revocation")
        status, _ = await client.post("/auth/logout", token=leaving)
        acknowledged = time.monotonic()
        await eventually(lambda: watch.looks[-1].status == 503, within=CLOSED_WITHIN)
        shown = await browser.open("/demo")
        await eventually(partial(unavailable, browser, "/auth/account"))
        renewed = await browser.open("/auth/continue?next=/demo")

        assert status == 204
        assert [shown.status, renewed.status] == [503, 503]
        assert browser.cookies() == before

        await house.lab.start("revocation")
        await eventually(lambda: left.looks[-1].reason == "token_revoked", within=HEALED_WITHIN)
        await eventually(lambda: watch.looks[-1].status == 200, within=HEALED_WITHIN)
        assert await eventually(lambda: renew(client, tokens), within=HEALED_WITHIN) == 200

    assert watch.statuses == {200, 503}
    assert left.accepted_since(acknowledged + MAX_STALENESS) == []


async def test_of_two_revocation_workers_one_may_die_unnoticed(
    house: Breakable, client: Client
) -> None:
    """Why production runs two: no check is refused, and revocations take effect as ever."""
    if not house.lab.runs("revocation-2"):
        await house.lab.another("revocation", "revocation-2")
    staying = (await house.log_in(client, "two-workers@example.com"))["access_token"]
    leaving = (await house.log_in(client, "two-workers-out@example.com"))["access_token"]
    async with watching(client, staying) as watch:
        await house.lab.kill9("revocation")
        status, _ = await client.post("/auth/logout", token=leaving)
        refused = await eventually(lambda: refusal(client, leaving))
        began = time.monotonic()
        await eventually(lambda: time.monotonic() > began + MAX_STALENESS, within=CLOSED_WITHIN)

    await house.lab.start("revocation")
    await house.lab.stop("revocation-2")
    assert (status, refused.reason) == (204, "token_revoked")
    assert [seen for seen in watch.looks if seen.status != 200] == []


@pytest.mark.parametrize("lost", [False, True], ids=["line kept", "line lost"])
async def test_an_edge_that_stood_still_never_begins_by_accepting_a_revoked_token(
    house: Breakable, client: Client, lost: bool
) -> None:
    """A suspended machine wakes up with an old list: what waited in its socket is refused first of all.

    *lost*: meanwhile the server gave its connection up, so that nothing waits there for it to hear.
    """
    access = (await house.log_in(client, f"asleep-{lost:d}@example.com"))["access_token"]
    assert (await look(client, access)).status == 200
    house.lab.signal("edge", signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        if lost:
            await house.restart("nats")
            await house.lab.ready("revocation")
        async with asyncio.TaskGroup() as group:
            status = await eventually(partial(log_out, client, access), within=HEALED_WITHIN)
            waiting = [group.create_task(check_at_edge(house, access)) for _ in range(QUEUE)]
            closed = stopped + MAX_STALENESS + 0.5
            await eventually(lambda: time.monotonic() > closed, within=CLOSED_WITHIN)
            house.lab.signal("edge", signal.SIGCONT)
    finally:
        house.lab.signal("edge", signal.SIGCONT)

    assert status == 204
    answers = {task.result() for task in waiting}
    assert answers <= {(503, "stale"), (401, "token_revoked")}
    async with watching(client, access) as watch:
        await eventually(
            lambda: watch.looks[-1:] and watch.looks[-1].reason == "token_revoked",
            within=HEALED_WITHIN,
        )
    assert 200 not in watch.statuses


async def test_an_edge_that_was_cut_off_for_a_moment_catches_up_with_what_it_missed(
    house: Breakable, client: Client
) -> None:
    """Killed while somebody logs out: the new process says 503 until it has the whole list."""
    access = (await house.log_in(client, "missed@example.com"))["access_token"]
    await house.lab.kill9("edge")
    status, _ = await client.post("/auth/logout", token=access)
    async with watching(client, access) as watch:
        await house.lab.start("edge")
        await eventually(lambda: watch.looks[-1].reason == "token_revoked", within=HEALED_WITHIN)

    assert status == 204
    assert 200 not in watch.statuses


@asynccontextmanager
async def signed_in_browser(house: Breakable, address: str) -> AsyncIterator[Browser]:
    """A browser whose person is signed in, at the demo."""
    async with open_browser(house.url) as browser:
        page = await browser.open("/auth/login?next=/demo")
        sent = await taken(browser, page, "/auth/form/login", email=address)
        code = code_in(await house.mail(address))
        shown = await taken(browser, sent, "/auth/form/code", code=code)
        assert path_of(shown) == "/demo", shown
        yield browser


async def taken(browser: Browser, page: Page, action: str, **typed: str) -> Page:
    """What a form leads to, once it is not "not now": a busy machine may have missed a proof."""

    async def answered() -> Page | None:
        shown = await browser.submit(page, action, **typed)
        return shown if shown.status != 503 else None

    found = await eventually(answered, within=HEALED_WITHIN)
    assert found is not None
    return found


async def refusal(client: Client, token: str) -> Look | None:
    """The check's refusal; None while it is accepted."""
    seen = await look(client, token)
    return seen if seen.status != 200 else None


async def is_accepted(client: Client, token: str) -> bool:
    """Whether the token opens the demo."""
    return (await look(client, token)).status == 200


async def unavailable(browser: Browser, path: str) -> Page | None:
    """The page at *path* once it is a 503: auth's own proof may be a second younger than the edge's."""
    page = await browser.open(path)
    return page if page.status == 503 else None


async def at_account(browser: Browser) -> bool:
    """Whether the browser is still signed in at auth."""
    return path_of(await browser.open("/auth/account")) == "/auth/account"


async def log_out(client: Client, token: str) -> int:
    """Log out; the status, 0 for a 503."""
    status, _ = await client.post("/auth/logout", token=token)
    return status if status != 503 else 0


async def asks(client: Client, address: str) -> bool:
    """Ask for a link; whether that was accepted."""
    status, _ = await client.post("/auth/login", {"email": address})
    return status == 202


async def renew(client: Client, tokens: dict[str, Any]) -> int:
    """Renew; the status, 0 for a 503 that says "not now"."""
    body = {"refresh_token": tokens["refresh_token"]}
    status, answer = await client.post("/auth/refresh", body)
    if status == 200:
        tokens["refresh_token"] = answer["refresh_token"]
    return status if status != 503 else 0


async def revoke(house: Breakable, **event: str) -> None:
    """What `latchwire revoke` publishes."""
    async with house.bus("operator") as bus:
        body = {"reason": "test", "actor": "operator", **event}
        await bus.publish(TOKEN_REVOKED, TokenRevoked.model_validate(body))


async def check_at_edge(house: Breakable, token: str) -> tuple[int, str]:
    """A check as Traefik sends it; the status and the reason."""
    address = next(part.address for part in house.lab.plan.parts if part.name == "edge")
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": house.url.removeprefix("http://"),
        "X-Forwarded-Uri": "/demo",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{address}/check/traefik", headers=headers) as answer,
    ):
        return answer.status, answer.headers.get("X-Latchwire-Reason", "")
