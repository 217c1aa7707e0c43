"""The whole product, real servers and all: `stack` shared by the session, `lab` one for each test."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.chromium import running_chromium
from tests.support.stack import Lab, Stack, start_lab, start_stack

# By its name it would be the last; begun first, two workers end together.
LONG_AND_LATE = "test_up.py"
_numbers = itertools.count()
NAME = "hedwigkiesler"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of files: what takes long comes first."""
    items.sort(key=lambda item: item.path.name != LONG_AND_LATE)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One ``./latchwire up`` for all tests; each uses addresses of its own."""
    running = start_stack(
        tmp_path_factory.mktemp("stack") / "state",
        LATCHWIRE_LIMIT_NETWORK="100000/5m",
        LATCHWIRE_LOG_LEVEL="debug",
    )
    yield running
    try:
        assert running.up.end() == 0, running.up.text
    finally:
        running.up.kill()


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """The same parts, but the test may kill and start them."""
    async with start_lab(tmp_path / "lab", LIMIT_NETWORK="100000/5m") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """One for the tests of a file, which open windows of their own in it."""
    async with running_chromium() as browser:
        yield browser


@pytest.fixture
def email() -> str:
    """An address of this test's own, so that limits never meet.

    Its name is in no text of ours, and too long to stand in a key or an id by chance.
    """
    return f"{NAME}{next(_numbers)}@acme.com"
