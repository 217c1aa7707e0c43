"""The doctor at the five real proxies, each with the configuration we ship: nothing leaks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ctl.doctor.door import Door
from ctl.doctor.routes import routes_of
from ctl.doctor.wire import Front
from shared.catalogue import parse_catalogue
from shared.ids import SystemIds
from tests.support.edge import ORIGIN
from tests.support.proxies import CATALOGUE, PROXIES, make_proxy, proxy_or_skip
from tests.support.proxy_world import World, running_world
from tests.support.servers import Server, start_in_thread

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENED = """\
services:
  app:
    paths: [/]
    upstream: http://127.0.0.1:{app}
    require_auth: false
    headers: {{X-Client-Id: client_id}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The proxies, once for this module."""
    directory: Path = tmp_path_factory.mktemp("doctor")
    async with running_world(directory) as running:
        yield running


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest) -> str:
    """Each of the five."""
    return proxy_or_skip(str(request.param))


async def doctor_at(world: World, server: Server) -> Door:
    """What an operator's doctor finds through *server*, by the catalogue that it should go by."""
    front = Front("127.0.0.1", server.port, None)
    door = Door(front, ORIGIN, "localhost", SystemIds())
    await door.attack(routes_of(parse_catalogue(CATALOGUE.format(**world.ports))), [])
    return door


async def test_the_doctor_finds_nothing_that_leaks(world: World, proxy: str) -> None:
    """A hundred attempts with headers, methods, spellings and made-up identities (docs/doctor.md)."""
    door = await doctor_at(world, world.servers[proxy])

    assert door.findings == []
    assert door.attempts >= 100


async def test_the_doctor_finds_a_route_that_is_open_and_should_not_be(
    world: World, proxy: str
) -> None:
    """The edge goes by another catalogue than the operator believes: what ``door.open_route`` is for."""
    async with world.catalogue(OPENED):
        door = await doctor_at(world, world.servers[proxy])

    assert {finding.check for finding in door.findings} == {"door.open_route"}


# What operators do to a configuration, and what the doctor says then: file, what was there, what is there now.
MISTAKES = [
    (
        "nginx",
        "nginx.conf",
        "access_log off;",
        "underscores_in_headers on;",
        {"door.alias_passes"},
    ),
    (
        "nginx",
        "latchwire-service.conf",
        "proxy_set_header X-Client-Id $latchwire_client_id;",
        "",
        {"door.own_passes"},
    ),
    (
        "nginx",
        "latchwire.conf",
        'default        "";',
        "default        $http_upgrade;",
        {"door.upgrade_passes"},
    ),
    ("caddy", "Caddyfile", "request_header -*_*", "# tidied", {"door.alias_passes"}),
    (
        "haproxy",
        "haproxy.cfg",
        "http-request lua.latchwire app",
        "# tidied",
        {"door.open_route", "door.identity_passes", "door.alias_passes", "door.own_passes"},
    ),
]


@pytest.mark.parametrize(("name", "file", "there", "now", "expected"), MISTAKES)
async def test_the_doctor_finds_what_was_undone_in_a_shipped_configuration(
    world: World, tmp_path: Path, name: str, file: str, there: str, now: str, expected: set[str]
) -> None:
    """A real proxy that leaks for real: each of these was one line."""
    proxy_or_skip(name)
    server = make_proxy(name, tmp_path / name, world.ports)
    text = (tmp_path / name / file).read_text()
    assert there in text
    (tmp_path / name / file).write_text(text.replace(there, now))
    await start_in_thread(server)
    try:
        door = await doctor_at(world, server)
    finally:
        server.kill()

    assert {finding.check for finding in door.findings} == expected
