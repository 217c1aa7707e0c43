"""Somebody guesses at a person's password, over HTTP, against the real stores."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse

from tests.support.auth_workers import ADA, AuthWorkers, running_workers
from tests.support.servers import NatsServer, RedisServer

RIGHT, WRONG = "tall green bicycle", "small red bicycle"


async def log_in(
    workers: AuthWorkers, password: str, cookies: dict[str, str] | None = None, email: str = ADA
) -> ClientResponse:
    """One try, from a browser nobody knows unless *cookies* say otherwise."""
    body = {"email": email, "password": password}
    return await workers.call("POST", "/auth/login", body, cookies=cookies)


async def meet(workers: AuthWorkers) -> dict[str, str]:
    """Register Ada and prove her address; her browser's cookie."""
    body = {"email": ADA, "password": RIGHT}
    asked = await workers.call("POST", "/auth/register", body)
    cookies = {name: morsel.value for name, morsel in asked.cookies.items()}
    token = workers.token_of((await asked.json())["login_id"], ADA, "verify_email")
    opened = await workers.call("POST", "/auth/link", {"token": token}, cookies=cookies)
    assert opened.status == 200, await opened.text()
    return cookies


async def seen(response: ClientResponse) -> dict[str, Any]:
    """What whoever tried can see of the answer."""
    found = await response.json(content_type=None)
    found.pop("request_id", None)
    return {"status": response.status, **found}


async def test_guesses_run_out_and_nobody_is_locked_out(
    nats_server: NatsServer, redis_server: RedisServer, secrets_dir: Path, tmp_path: Path
) -> None:
    """After too many even the right password is wrong for strangers; her browser and her link work on."""
    url = f"sqlite:///{tmp_path / 'accounts.db'}"
    async with running_workers(
        nats_server, redis_server, secrets_dir, accounts_url=url, limit_password="4/h"
    ) as workers:
        browser = await meet(workers)
        before = await log_in(workers, RIGHT)
        guesses = await asyncio.gather(*(log_in(workers, WRONG) for _ in range(4)))
        stranger, nobody = (
            await log_in(workers, RIGHT),
            await log_in(workers, RIGHT, email="eve@acme.com"),
        )
        tagged = await log_in(workers, RIGHT, email="ada+tag@acme.com")
        hers = [await log_in(workers, RIGHT, browser) for _ in range(6)]
        by_link = await workers.sign_in(ADA)

        assert before.status == 200, "a right password costs nobody a try"
        answers = [await seen(answer) for answer in (*guesses, stranger, nobody, tagged)]
        assert answers[0]["status"] == 401
        assert all(answer == answers[0] for answer in answers)
        assert [200] * 6 == [answer.status for answer in hers]
        assert by_link["access_token"]


async def test_a_network_that_guesses_at_everybody_is_told_to_wait(
    nats_server: NatsServer, redis_server: RedisServer, secrets_dir: Path, tmp_path: Path
) -> None:
    """Known or not, with the right password or a wrong one: 429 for all; right ones before did not count."""
    url = f"sqlite:///{tmp_path / 'accounts.db'}"
    async with running_workers(
        nats_server, redis_server, secrets_dir, accounts_url=url, limit_network="5/h"
    ) as workers:
        browser = await meet(workers)
        right = [await log_in(workers, RIGHT, browser) for _ in range(8)]
        wrong = [await log_in(workers, WRONG, email=f"eve{n}@acme.com") for n in range(5)]
        after = [
            await log_in(workers, RIGHT, browser),
            await log_in(workers, WRONG),
            await log_in(workers, WRONG, email="nobody@acme.com"),
        ]

        assert [200] * 8 == [answer.status for answer in right]
        assert [401] * 5 == [answer.status for answer in wrong]
        assert [429] * 3 == [answer.status for answer in after]
        assert all(0 < int(answer.headers["Retry-After"]) <= 3600 for answer in after)
