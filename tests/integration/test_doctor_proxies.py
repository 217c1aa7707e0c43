"""The doctor at the five real proxies, each with the configuration we ship: nothing leaks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from ctl.doctor.credentials import Credential, Trial, Wait, watch_revocation
from ctl.doctor.door import Door
from ctl.doctor.routes import Route, routes_of
from ctl.doctor.wire import Front
from latchwire.records import Record
from shared.catalogue import parse_catalogue
from shared.clock import SystemClock
from shared.ids import SystemIds
from tests.support.edge import ORIGIN, token
from tests.support.proxies import CATALOGUE, PROXIES, make_proxy, proxy_or_skip
from tests.support.proxy_world import World, running_world
from tests.support.servers import Server, start_in_thread
from tests.support.tokens import NOW_MS

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENED = """\
services:
  app:
    paths: [/]
    upstream: http://127.0.0.1:{app}
    require_auth: false
    allowed_origins: ["https://dashboard.example.com"]
    headers: {{X-Client-Id: client_id}}
"""


STOLEN = "01J0000000000000000000TA1E"  # a session
PERSON = Credential("a person's token", token().decode(), disposable=True)


def routes_at(world: World) -> list[Route]:
    """What the doctor takes from the catalogue."""
    return routes_of(parse_catalogue(CATALOGUE.format(**world.ports)))


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
    await door.attack(routes_at(world), [])
    return door


async def test_the_doctor_finds_nothing_that_leaks(world: World, proxy: str) -> None:
    """A hundred attempts with headers, methods, spellings and made-up identities (docs/doctor.md)."""
    door = await doctor_at(world, world.servers[proxy])

    assert door.findings == []
    assert door.attempts >= 100


async def test_a_real_token_counts_where_it_belongs_and_as_it_is_alone(
    world: World, proxy: str
) -> None:
    """Out of place, changed, beside another, beside made-up identities: each hands all of it to the edge."""
    door = Door(
        Front("127.0.0.1", world.servers[proxy].port, None), ORIGIN, "localhost", SystemIds()
    )
    trial = Trial(door, PERSON)

    await trial.run(routes_at(world))

    assert door.findings == []
    assert [route.name for route in trial.counted] == ["app"]
    assert trial.shown == [True]


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
    (
        "haproxy",
        "haproxy.cfg",
        "filter lua.latchwire-trailers",
        "# tidied",
        {"door.trailer_passes"},
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


# Convenience that manuals show: a token of a cookie becomes the one that the edge reads.
FROM_A_COOKIE = """\
set $given $http_authorization;
if ($cookie_access_token) { set $given "Bearer $cookie_access_token"; }
location = /.latchwire/check {
    proxy_set_header Authorization $given;"""
# Speed that manuals show: what the edge said of a token is remembered for a while.
REMEMBERS = """\
location = /.latchwire/check {
    proxy_cache answers;
    proxy_cache_key $http_authorization$request_uri;
    proxy_cache_valid 200 60s;
    proxy_ignore_headers Cache-Control;"""


@asynccontextmanager
async def changed_nginx(world: World, folder: Path, now: str) -> AsyncIterator[Door]:
    """The shipped nginx, but for the check's location, which begins with *now*; its doctor."""
    proxy_or_skip("nginx")
    server = make_proxy("nginx", folder, world.ports)
    _replace(folder / "latchwire-server.conf", "location = /.latchwire/check {", now)
    cache = f"proxy_cache_path {folder}/cache keys_zone=answers:1m;\nupstream latchwire_edge {{"
    _replace(folder / "latchwire.conf", "upstream latchwire_edge {", cache)
    await start_in_thread(server)
    try:
        yield Door(Front("127.0.0.1", server.port, None), ORIGIN, "localhost", SystemIds())
    finally:
        server.kill()


def _replace(file: Path, there: str, now: str) -> None:
    text = file.read_text()
    assert there in text
    file.write_text(text.replace(there, now))


async def test_a_proxy_that_takes_the_token_from_a_cookie_is_found(
    world: World, tmp_path: Path
) -> None:
    """Any page of a sibling host can set that cookie in somebody's browser."""
    async with changed_nginx(world, tmp_path / "nginx", FROM_A_COOKIE) as door:
        await Trial(door, PERSON).run(routes_at(world))

    assert {(found.check, found.seen) for found in door.findings} == {
        ("door.token_misplaced", "a person's token, the token in a cookie (access_token): 200")
    }


async def test_a_proxy_that_remembers_the_answers_of_the_check_is_found(
    world: World, tmp_path: Path
) -> None:
    """The edge refuses the revoked token, and is not asked."""
    route = next(route for route in routes_at(world) if route.name == "app")
    thief = Credential("a thief's token", token(sid=STOLEN).decode())

    async def revoke() -> None:
        world.desk.revocations.revoke("session", STOLEN, Record(NOW_MS + 600_000))

    async with changed_nginx(world, tmp_path / "nginx", REMEMBERS) as door:
        await Trial(door, thief).run([route])
        wait = Wait(door, route, thief, SystemClock())
        remembered = await watch_revocation(wait, revoke, 0.3)

    assert remembered is None
    assert {found.check for found in door.findings} == {"door.revoked_passes"}
