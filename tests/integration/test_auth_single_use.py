"""One link, two processes of auth, two hundred clicks at once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from shared.redis import connect_redis
from tests.support.auth_site import ADDRESS, AuthSite, running_auth

CLICKS = 200


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthSite]:
    """Two ``python -m services.auth`` on one Redis and one NATS."""
    with running_auth(tmp_path_factory.mktemp("site"), processes=2) as site:
        yield site


async def sessions_in(site: AuthSite) -> set[bytes]:
    """The keys of all sessions."""
    async with connect_redis(site.redis.url) as redis:
        return {key async for key in redis.scan_iter("lw:session:*")}


@pytest.mark.parametrize("by", ["token", "code"])
async def test_two_hundred_clicks_over_two_processes_open_one_session(
    site: AuthSite, by: str
) -> None:
    """Exactly one 200, the rest 410, one session more in the store; by the link as by the code."""
    before = await sessions_in(site)
    email = f"{by}-{ADDRESS}"
    connector = TCPConnector(limit=0)
    async with ClientSession(connector=connector, cookie_jar=DummyCookieJar()) as http:

        async def post(path: str, body: dict[str, str], door: int) -> tuple[int, Any]:
            async with http.post(site.doors[door] + path, json=body) as answer:
                return answer.status, await answer.json(content_type=None)

        async def click(door: int) -> tuple[int, Any]:
            # 503 is "not now": on a machine with too much to do a wait for Redis may run out.
            while (answer := await post("/auth/link", proof, door))[0] == 503:
                pass
            return answer

        status, sent = await post("/auth/login", {"email": email}, 0)
        assert status == 202
        login_id = sent["login_id"]
        proof = {"token": site.token_of(login_id, email)}
        if by == "code":
            proof = {"login_id": login_id, "code": site.code_of(login_id, email)}
        async with asyncio.TaskGroup() as group:
            clicks = [group.create_task(click(n % len(site.doors))) for n in range(CLICKS)]

    answers = [click.result() for click in clicks]
    assert len(site.doors) == 2
    assert Counter({410: CLICKS - 1, 200: 1}) == Counter(status for status, _ in answers)
    assert {"link_spent"} == {body["code"] for status, body in answers if status == 410}
    assert 1 == len(await sessions_in(site) - before)
