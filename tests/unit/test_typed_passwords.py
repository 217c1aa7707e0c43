"""Passwords sent with a link: five wrong ones each, counted before a hash, within the network's budget."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.auth.domain.limits import Rate
from services.auth.domain.link import (
    CODE_TRIES,
    CodeProof,
    LinkSpent,
    TooManyRequests,
    WrongPassword,
)
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.password_use import PasswordSet
from services.auth.flows.typed import Typist
from services.auth.ports.accounts import HasherBusyError
from tests.support.accounts_world import (
    ADA,
    ELSEWHERE,
    FIREFOX,
    GOOD,
    OTHER,
    THIRD,
    World,
    open_world,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Nobody has an account."""
    async with open_world(tmp_path) as world:
        yield world


def hashes(world: World) -> int:
    """How many were made since the last `arm`."""
    return sum(call.startswith("Argon2Hasher") for call in world.faults.calls)


@pytest.mark.parametrize("by", ["link", "code"])
async def test_wrong_passwords_at_a_link_cost_five_hashes_together(world: World, by: str) -> None:
    """Forty at once; then the right one is wrong too, and without any the link opens as ever."""
    login_id = await world.register()
    code = CodeProof(login_id, world.code(login_id))
    world.faults.arm(0)

    async def click(password: str) -> object:
        if by == "link":
            return await world.click(login_id, ELSEWHERE, password)
        return await world.links.exchange_link(
            code, client=FIREFOX, browser=ELSEWHERE, password=password
        )

    results = await asyncio.gather(*(click(f"{OTHER} {n}") for n in range(40)))

    assert set(results) == {WrongPassword()}
    assert hashes(world) == CODE_TRIES
    assert await click(GOOD) == WrongPassword()
    assert hashes(world) == CODE_TRIES
    assert isinstance(await world.click(login_id, ELSEWHERE), SessionOpened)
    assert not await world.gets_in(GOOD)


async def test_a_right_password_or_one_that_nobody_could_judge_does_not_count(world: World) -> None:
    """However often the pool of hashes is full, the link goes on as if it had not been asked."""
    login_id = await world.register()
    for _ in range(CODE_TRIES - 1):
        assert await world.click(login_id, ELSEWHERE, OTHER) == WrongPassword()
    verify = world.subjects.hasher.port.verify

    async def is_busy(_hash: str, _password: str) -> object:
        raise HasherBusyError

    world.subjects.hasher.port.verify = is_busy
    for _ in range(2 * CODE_TRIES):
        with pytest.raises(HasherBusyError):
            await world.click(login_id, ELSEWHERE, GOOD)
    world.subjects.hasher.port.verify = verify

    assert isinstance(await world.click(login_id, ELSEWHERE, GOOD), SessionOpened)
    assert await world.gets_in(GOOD, browser=ELSEWHERE)


async def test_a_used_reset_link_says_five_times_at_most_what_the_password_is(world: World) -> None:
    """Whoever finds the link guesses no more than that, and no hash is made for the rest."""
    await world.person()
    login_id = await world.forgot()
    assert await world.reset(login_id, OTHER) == PasswordSet()
    world.faults.arm(0)

    guesses = await asyncio.gather(*(world.reset(login_id, f"{THIRD} {n}") for n in range(40)))

    assert set(guesses) == {LinkSpent()}
    assert hashes(world) == CODE_TRIES - 1  # the first set it
    assert await world.reset(login_id, OTHER) == LinkSpent()
    assert hashes(world) == CODE_TRIES - 1
    assert await world.gets_in(OTHER)


async def test_an_open_reset_link_costs_five_hashes(world: World) -> None:
    """Forty passwords for it at once: one is set."""
    await world.person()
    login_id = await world.forgot()
    world.faults.arm(0)

    results = await asyncio.gather(*(world.reset(login_id, f"{THIRD} {n}") for n in range(40)))

    assert results.count(PasswordSet()) == 1
    assert hashes(world) <= CODE_TRIES


async def test_a_network_has_one_budget_for_passwords_at_all_its_links(tmp_path: Path) -> None:
    """As at a login: 429 before anything is hashed, at a link and at a reset."""
    async with open_world(tmp_path, requests=Rate(4, 60_000)) as world:
        await world.person()
        registered, forgotten = await world.register("eve@acme.com"), await world.forgot()
        for _ in range(4):
            assert await world.click(registered, ELSEWHERE, OTHER) == WrongPassword()
        world.faults.arm(0)

        assert isinstance(await world.click(registered, ELSEWHERE, GOOD), TooManyRequests)
        assert isinstance(
            await world.resetting.reset(world.link(forgotten), OTHER, Typist(FIREFOX)),
            TooManyRequests,
        )
        assert hashes(world) == 0


async def test_a_strangers_guesses_at_logins_do_not_close_a_link(tmp_path: Path) -> None:
    """The address has no wrong password left, and its owner sets a new one by the mail all the same."""
    async with open_world(tmp_path, wrong=Rate(3, 3_600_000)) as world:
        await world.person()
        for _ in range(4):
            assert not await world.gets_in(THIRD, browser=ELSEWHERE)

        assert await world.reset(await world.forgot()) == PasswordSet()
        account = await world.accounts.by_email(ADA)
        assert account is not None
