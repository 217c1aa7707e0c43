"""PostgreSQL, Redis or NATS killed under registration and passwords: 503, and the same works later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_migrations import migrate
from tests.support.auth_workers import AuthWorkers, bearer, running_workers
from tests.support.postgresql import running_postgresql
from tests.support.servers import Server, make_nats, make_redis, make_secrets, start_in_thread
from tests.support.trust import vouched_for_anew
from tests.support.waiting import eventually

GOOD, OTHER, THIRD = "correct horse battery", "staple of the third", "yet another long one"
PARTS = ("sql", "redis", "nats")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Site:
    """Auth with accounts in PostgreSQL, and what can be killed under it."""

    workers: AuthWorkers
    parts: dict[str, Server]
    redis_url: str

    async def post(self, path: str, body: dict[str, Any], **more: Any) -> ClientResponse:
        """One request."""
        return await self.workers.call("POST", path, body, **more)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Everything on servers of its own; each test starts again what it kills."""
    directory = tmp_path_factory.mktemp("away")
    secrets_dir = make_secrets(directory / "secrets")
    nats, redis = make_nats(directory / "nats", secrets_dir), make_redis(directory / "redis")
    async with AsyncExitStack() as stack:
        sql = stack.enter_context(running_postgresql())
        database = Database(sql.url("postgres"))
        await migrate(database)
        await database.close()
        for server in (nats, redis):
            stack.callback(server.kill)
            await start_in_thread(server)
        await nats.provision()
        workers = await stack.enter_async_context(
            running_workers(
                nats,
                redis,
                secrets_dir,
                doors=1,
                accounts_url=sql.url("postgres"),
                limit_address="1000/h",
                limit_password="1000/h",
            )
        )
        yield Site(workers, {"sql": sql, "redis": redis, "nats": nats}, redis.url)


async def register(site: Site, email: str) -> dict[str, Any]:
    """Registered and proven in one browser; the tokens of the session that this opened."""
    asked = await site.post("/auth/register", {"email": email, "password": GOOD})
    assert asked.status == 202, await asked.text()
    token = site.workers.token_of((await asked.json())["login_id"], email, "verify_email")
    cookies = {name: morsel.value for name, morsel in asked.cookies.items()}
    opened = await site.post("/auth/link", {"token": token}, cookies=cookies)
    assert opened.status == 200, await opened.text()
    tokens: dict[str, Any] = await opened.json()
    return tokens


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_is_away_is_a_503_and_the_same_request_works_when_it_is_back(
    site: Site, part: str
) -> None:
    """Never a 401, never a 500, nothing used up."""
    ada, eve = f"ada-{part}@acme.com", f"eve-{part}@acme.com"
    tokens = await register(site, ada)
    forgot = await site.post("/auth/password/forgot", {"email": ada})
    login_id = (await forgot.json())["login_id"]
    reset = {"token": site.workers.token_of(login_id, ada, "reset_password"), "password": OTHER}
    site.parts[part].kill()

    refused = {
        path: site.post(path, body)
        for path, body in (
            ("/auth/register", {"email": eve, "password": GOOD}),
            ("/auth/register/resend", {"email": eve}),
            ("/auth/password/forgot", {"email": ada}),
            ("/auth/password/reset", reset),
        )
    }
    answers = dict(zip(refused, await asyncio.gather(*refused.values()), strict=True))
    login = await site.post("/auth/login", {"email": ada, "password": THIRD})
    change = {"password": THIRD, "current_password": THIRD}
    put = await site.workers.call(
        "PUT", "/auth/password", change, headers=bearer(tokens["access_token"])
    )

    assert {path: answer.status for path, answer in answers.items()} == dict.fromkeys(answers, 503)
    for answer in answers.values():
        assert (await answer.json())["code"] in {"unavailable", "store_unsettled"}
        assert "Retry-After" in answer.headers
    # Without the bus passwords can be compared for as long as what auth knows is fresh.
    assert login.status in ({401, 503} if part == "nats" else {503})
    assert put.status in ({403, 503} if part == "nats" else {503})

    await start_in_thread(site.parts[part])
    if part != "sql":  # who vouches for the store looks once a second, and asks NATS
        await vouched_for_anew(site.redis_url)

    async def works() -> bool:
        return (await site.post("/auth/password/reset", reset)).status == 204

    await eventually(works, within=60)
    again = await site.post("/auth/login", {"email": ada, "password": OTHER})
    assert again.status == 200, await again.text()
    assert (await site.post("/auth/login", {"email": ada, "password": GOOD})).status == 401
    await register(site, eve)
