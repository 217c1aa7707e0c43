"""Behind a confidential client: a browser is known by a random value kept in it, or not at all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.auth.domain.limits import Rate
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.password_use import InvalidCredentials, PasswordLogin
from tests.support.accounts_world import ADA, ELSEWHERE, FIREFOX, GOOD, THIRD, World, open_world

DEVICE = "d" * 64  # what `browser_of` makes of one


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Three wrong passwords for each address, and for each browser it knows."""
    async with open_world(tmp_path, wrong=Rate(3, 3_600_000)) as world:
        yield world


async def log_in_at_the_shop(world: World, password: str, device: str) -> bool:
    """As the shop's server does it, which says that it is Firefox on Linux."""
    world.clock.advance(1)
    login = PasswordLogin(ADA, password, FIREFOX, device, client_id="shop")
    result = await world.passwords.log_in(login)
    assert isinstance(result, SessionOpened | InvalidCredentials)
    return isinstance(result, SessionOpened)


async def test_the_name_of_a_browser_makes_nobody_known(world: World) -> None:
    """Who guesses with her User-Agent shares the tries of all strangers, and uses up none of hers."""
    await world.person()
    assert await log_in_at_the_shop(world, GOOD, device="")
    assert await log_in_at_the_shop(world, GOOD, DEVICE)
    for _ in range(2):
        assert not await world.gets_in(THIRD, browser=ELSEWHERE)
    assert not await log_in_at_the_shop(world, THIRD, device="")

    assert not await log_in_at_the_shop(world, GOOD, device="")
    assert not await world.gets_in(GOOD, browser=ELSEWHERE)
    assert await log_in_at_the_shop(world, GOOD, DEVICE)
