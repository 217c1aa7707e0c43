"""Every path that ends a session, where people have accounts: the old ones, and those that accounts bring.

As in `test_every_path`, which also finds the path that has no row.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from tests.support.account_ways import ACCOUNT_PATHS, configure_provider
from tests.support.house import House, running_house
from tests.support.lying_provider import running_provider
from tests.support.ways import PATHS, nothing_is_left

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all rows; every row has people of its own."""
    directory = tmp_path_factory.mktemp("house")
    async with (
        running_provider() as provider,
        running_house(
            directory,
            prepare=lambda secrets: {"providers": configure_provider(secrets, provider)},
            accounts_url=f"sqlite:///{directory / 'accounts.db'}",
            allow="@acme.com",
        ) as running,
    ):
        yield replace(running, provider=provider)


@pytest.mark.parametrize("name", PATHS | ACCOUNT_PATHS)
async def test_nothing_of_an_account_s_session_that_ended_does_anything(
    house: House, name: str
) -> None:
    """Refused at the edge, at auth and by the SDK; another person's session is untouched."""
    await nothing_is_left(house, (PATHS | ACCOUNT_PATHS)[name])
