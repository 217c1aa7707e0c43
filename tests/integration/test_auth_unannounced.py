"""Sessions that end while NATS is away and auth dies: everybody hears of it later, unasked."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, DummyCookieJar
from redis.asyncio import Redis

from shared.contract import LOGIN_REQUESTED
from shared.messages import LoginRequested
from shared.redis import connect_redis
from tests.support.auth_site import AuthSite, running_auth
from tests.support.page_visitor import SAME_ORIGIN, Visitor, visiting
from tests.support.servers import start_in_thread
from tests.support.waiting import eventually

ACCESS, REFRESH = "latchwire-dev", "latchwire-dev-refresh"


@dataclass
class Program:
    """An API client."""

    site: AuthSite
    http: ClientSession

    async def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """The status, the JSON of the answer and the names of the cookies it cleared."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(
            method, self.site.url + path, json=body, headers=headers
        ) as answer:
            cleared = {name for name, m in answer.cookies.items() if m["max-age"] == "0"}
            return answer.status, await answer.json(content_type=None), cleared

    async def sign_in(self, email: str) -> dict[str, str]:
        """A session's tokens."""
        _, sent, _ = await self.call("POST", "/auth/login", {"email": email})
        token = self.site.token_of(sent["login_id"], email)
        status, tokens, _ = await self.call("POST", "/auth/link", {"token": token})
        assert status == 200
        return dict(tokens)

    async def renew(self, refresh: str) -> Any:
        """One refresh."""
        return await self.call("POST", "/auth/refresh", {"refresh_token": refresh})

    async def is_refused(self, access: str) -> bool:
        """Whether the feed names this token."""
        status, answer, _ = await self.call("GET", "/auth/me", token=access)
        return bool(status == 401 and answer["code"] == "token_revoked")


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    """Auth and the revocation worker as processes of their own."""
    context = running_auth(tmp_path)
    site = await asyncio.to_thread(context.__enter__)
    try:
        async with ClientSession(cookie_jar=DummyCookieJar()) as http:
            yield Program(site, http)
    finally:
        context.__exit__(None, None, None)


async def signed_in(site: AuthSite, visitor: Visitor, email: str) -> str:
    """A browser's access token."""
    login_id = (await visitor.ask(email)).login_id
    opened = await visitor.open_link(login_id, site.token_of(login_id, email))
    await visitor.submit(opened.page.form("/auth/form/link"))
    return visitor.cookie(ACCESS)


async def test_an_end_made_while_the_bus_was_away_survives_auth_and_reaches_everybody(
    program: Program,
) -> None:
    """Logout and "everywhere", by page and by program, and a reuse; then kill -9, and not one more request."""
    site, notices = program.site, list[LoginRequested]()
    async with visiting(site.url) as here, visiting(site.url) as all_:
        ends = {"page": await signed_in(site, here, "a@acme.com")}
        ends["page, everywhere"] = await signed_in(site, all_, "b@acme.com")
        tokens = await program.sign_in("c@acme.com")
        everywhere, stolen = (
            await program.sign_in("d@acme.com"),
            await program.sign_in("e@acme.com"),
        )
        ends |= {"logout": tokens["access_token"], "everywhere": everywhere["access_token"]}
        ends["reuse"] = stolen["access_token"]
        _, second, _ = await program.renew(stolen["refresh_token"])
        assert (await program.renew(second["refresh_token"]))[0] == 200
        out = (await here.get("/auth/account")).page.form("/auth/form/logout")
        page = (await all_.get("/auth/account")).page
        out_everywhere = page.form("/auth/form/sessions", handle="all")
        site.nats.kill()

        async with asyncio.TaskGroup() as group:
            by_page = group.create_task(here.submit(out, headers=SAME_ORIGIN))
            by_page_all = group.create_task(all_.submit(out_everywhere, headers=SAME_ORIGIN))
            calls = [
                group.create_task(program.call(method, path, body, token))
                for method, path, body, token in (
                    ("POST", "/auth/logout", {"refresh_token": tokens["refresh_token"]}, ""),
                    ("DELETE", "/auth/sessions", None, ends["everywhere"]),
                    ("POST", "/auth/refresh", {"refresh_token": stolen["refresh_token"]}, ""),
                )
            ]

        for answer, visitor in ((by_page.result(), here), (by_page_all.result(), all_)):
            assert answer.status == 503
            assert "told as soon as they can be reached" in answer.page.text
            assert "Nothing was done" not in answer.page.text
            assert (visitor.cookie(ACCESS), visitor.cookie(REFRESH)) == ("", "")
    for status, problem, _ in [call.result() for call in calls]:
        assert (status, problem["missing"]) == (503, "bus")
        assert "It is over here" in problem["detail"]
    assert {ACCESS, REFRESH} <= calls[0].result()[2]
    assert {ACCESS, REFRESH} <= calls[1].result()[2]

    auth = site.workers[1]
    auth.kill()
    await start_in_thread(site.nats)
    async with site.nats.connect("operator") as bus:

        async def hear(message: LoginRequested) -> None:
            notices.append(message)

        await bus.listen(LOGIN_REQUESTED, hear)
        await start_in_thread(auth)
        for name, access in ends.items():
            await eventually(partial(program.is_refused, access), message=name)
        await eventually(lambda: notices)
    assert [("e@acme.com", "refresh_reuse")] == [(n.email, n.notice) for n in notices]
    async with connect_redis(site.redis.url) as redis:
        await eventually(partial(is_empty, redis))


async def is_empty(redis: Redis) -> bool:
    """Nothing waits to be published."""
    return not await redis.exists("lw:unannounced")
