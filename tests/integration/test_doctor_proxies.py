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
from tests.support.proxies import CATALOGUE, PROXIES
from tests.support.proxy_world import World, running_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENED = """\
services:
  app:
    paths: [/]
    upstream: http://127.0.0.1:{app}
    require_auth: false
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
    return str(request.param)


async def doctor_at(world: World, proxy: str) -> Door:
    """What an operator's doctor finds through *proxy*, by the catalogue that it should go by."""
    front = Front("127.0.0.1", world.servers[proxy].port, None)
    door = Door(front, ORIGIN, "localhost", SystemIds())
    await door.attack(routes_of(parse_catalogue(CATALOGUE.format(**world.ports))), [])
    return door


async def test_the_doctor_finds_nothing_that_leaks(world: World, proxy: str) -> None:
    """A hundred attempts with headers, methods, spellings and made-up identities (docs/doctor.md)."""
    door = await doctor_at(world, proxy)

    assert door.findings == []
    assert door.attempts >= 100


async def test_the_doctor_finds_a_route_that_is_open_and_should_not_be(
    world: World, proxy: str
) -> None:
    """The edge goes by another catalogue than the operator believes: what ``door.open_route`` is for."""
    async with world.catalogue(OPENED):
        door = await doctor_at(world, proxy)

    assert {finding.check for finding in door.findings} == {"door.open_route"}
