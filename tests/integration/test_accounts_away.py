"""The store of accounts goes away while auth runs: 503, nobody logged out, nothing used up, and it heals."""

import asyncio

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_migrations import migrate
from tests.support.auth_workers import ADA, AuthWorkers, bearer, running_workers
from tests.support.postgresql import running_postgresql
from tests.support.servers import NatsServer, RedisServer, start_in_thread
from tests.support.waiting import eventually


async def status(auth: AuthWorkers, path: str, body: object, access: str = "") -> tuple[int, str]:
    """The status of a POST, and the code of its problem."""
    answer = await auth.call("POST", path, body, headers=bearer(access) if access else {})
    if answer.status < 400:
        return answer.status, ""
    return answer.status, (await answer.json())["code"]


async def test_without_postgresql_everything_waits_and_nothing_is_lost(
    nats_server: NatsServer, redis_server: RedisServer
) -> None:
    """kill -9 under it: logins and refreshes are 503 with everything kept; a logout is done; then all heals."""
    with running_postgresql() as server:
        url, address = server.url("postgres"), (nats_server, redis_server, nats_server.secrets_dir)
        async with Database(url) as database:
            await migrate(database)
        async with running_workers(*address, doors=1, accounts_url=url) as auth:
            health = auth.runtimes[-1].health
            kept, ended = await auth.sign_in(), await auth.sign_in("eve@acme.com")
            link = {"token": auth.token_of(await auth.ask())}
            await asyncio.to_thread(server.kill)

            refresh = {"refresh_token": kept["refresh_token"]}
            assert await status(auth, "/auth/refresh", refresh) == (503, "unavailable")
            assert await status(auth, "/auth/link", link) == (503, "unavailable")
            password = {"email": ADA, "password": "a long enough password"}
            assert await status(auth, "/auth/login", password) == (503, "unavailable")
            new = {"email": "new@acme.com", "password": "a long enough password"}
            assert await status(auth, "/auth/register", new) == (503, "unavailable")
            assert (await status(auth, "/auth/logout", None, ended["access_token"]))[0] == 204
            await eventually(lambda: "accounts" in health.problems())

            await start_in_thread(server)
            await eventually(lambda: "accounts" not in health.problems())
            renewed = await auth.call("POST", "/auth/refresh", refresh)
            again = await auth.call("POST", "/auth/link", link)
            over = {"refresh_token": ended["refresh_token"]}
            refused = await status(auth, "/auth/refresh", over)

        assert (renewed.status, again.status, refused[0]) == (200, 200, 401)
