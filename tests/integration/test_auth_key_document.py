"""Two processes of auth go by one document: what signs, what they publish, whom they recognise."""

import base64
import json

from ctl.key_desk import KeyDesk
from ctl.key_states import compromised, retired
from tests.conftest import BusFactory
from tests.support.auth_workers import ORIGIN, AuthWorkers, running_workers
from tests.support.key_house import session_of
from tests.support.servers import NatsServer, RedisServer
from tests.support.waiting import eventually


def kid_of(token: str) -> str:
    """The key's name in the header."""
    head = token.partition(".")[0]
    kid: str = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]
    return kid


async def published(workers: AuthWorkers, door: int) -> list[str]:
    """The keys of that process's jwks.json."""
    answer = await workers.call("GET", "/.well-known/jwks.json", door=door)
    return [key["kid"] for key in (await answer.json())["keys"]]


async def test_both_sign_with_the_key_of_the_document_once_it_is_there(
    nats_server: NatsServer, redis_server: RedisServer, bus_of: BusFactory
) -> None:
    """Published first, signing second; a process that lacks the private key says so and goes on."""
    directory = nats_server.secrets_dir
    desk = KeyDesk(session_of(nats_server, await bus_of("operator")))
    await desk.open()
    old = desk.body.sign_with
    async with running_workers(nats_server, redis_server, directory) as workers:
        first, second = workers.runtimes[1:]
        before = await workers.sign_in()
        new = await desk.publish_next("ES256")
        for door in (0, 1):
            await eventually(lambda door=door: _is_there(workers, door, new))
        assert kid_of((await workers.sign_in())["access_token"]) == old

        # It is somewhere else, as on another machine, when the word comes to sign with it.
        waiting = directory / "signing" / f"{new}.pem.next"
        elsewhere = waiting.rename(directory / "elsewhere")
        await desk.switch(new)
        await eventually(lambda: "signing key" in first.health.notes())
        assert f"{new} ought to sign" in first.health.notes()["signing key"]
        assert "signing key" not in first.health.problems()
        assert kid_of((await workers.sign_in())["access_token"]) == old

        elsewhere.rename(directory / "signing" / f"{new}.pem")
        await eventually(lambda: not {**first.health.notes(), **second.health.notes()})
        for door in (0, 1):
            body = {"refresh_token": before["refresh_token"]}
            before = await (await workers.call("POST", "/auth/refresh", body, door=door)).json()
            assert kid_of(before["access_token"]) == new


async def _is_there(workers: AuthWorkers, door: int, kid: str) -> bool:
    return kid in await published(workers, door)


async def test_a_browser_of_a_retired_key_is_recognised_and_of_a_compromised_one_is_not(
    nats_server: NatsServer, redis_server: RedisServer, bus_of: BusFactory
) -> None:
    """Its session goes on beside an expired cookie of the one; nobody forges a cookie with the other."""
    directory = nats_server.secrets_dir
    desk = KeyDesk(session_of(nats_server, await bus_of("operator")))
    await desk.open()
    old = desk.body.sign_with
    async with running_workers(nats_server, redis_server, directory, doors=1) as workers:
        cookies = await workers.sign_in_with_cookies()
        await desk.switch(await desk.publish_next("ES256"))
        await desk.change(old, "retired", lambda body, now, gen: retired(body, old, now, gen))
        await eventually(lambda: _is_gone(workers, old))

        assert await _renew(workers, cookies) == 200

        await desk.change(
            old, "compromised", lambda body, now, gen: compromised(body, old, now, gen)
        )
        await eventually(lambda: _refused(workers, cookies))


async def _is_gone(workers: AuthWorkers, kid: str) -> bool:
    return kid not in await published(workers, 0)


async def _renew(workers: AuthWorkers, cookies: dict[str, str]) -> int:
    """Within its grace the same refresh token may be shown again: only the key makes a difference."""
    answer = await workers.call("POST", "/auth/refresh", headers=ORIGIN, cookies=cookies)
    return answer.status


async def _refused(workers: AuthWorkers, cookies: dict[str, str]) -> bool:
    return await _renew(workers, cookies) == 401
