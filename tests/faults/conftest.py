"""Installations to break, whole again before each test: the whole product, or a fleet for revocations."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.breakable import Breakable, start_breakable
from tests.support.cluster import Fleet, running_fleet
from tests.support.visitor import Client, open_client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Breakable]:
    """Every part, with short waits."""
    async with start_breakable(tmp_path_factory.mktemp("breakable") / "state") as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def house(installation: Breakable) -> Breakable:
    """The installation, every part running and ready."""
    await installation.whole()
    return installation


@pytest_asyncio.fixture(loop_scope="module")
async def client(house: Breakable) -> AsyncIterator[Client]:
    """An API client at the front door."""
    async with open_client(house.url) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started_fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """NATS, Redis, two revocation workers, three edges."""
    async with running_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="module")
async def fleet(started_fleet: Fleet) -> Fleet:
    """The fleet, every part running and ready."""
    await started_fleet.start()
    return started_fleet
