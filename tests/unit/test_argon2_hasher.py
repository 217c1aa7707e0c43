"""Hashing as the flows use it: bounded, never telling by its work who has an account."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from services.auth.adapters.argon2_hasher import (
    NICE,
    NICEST,
    OWASP,
    Argon2Hasher,
    Argon2Parameters,
)
from services.auth.adapters.foreign_hashes import matches
from services.auth.domain.foreign_hashes import Argon2Hash, ForeignHash
from services.auth.ports.accounts import HasherBusyError, PasswordVerdict

CHEAP = Argon2Parameters(memory=8, passes=1)
YES, NO = PasswordVerdict(matches=True), PasswordVerdict(matches=False)


@pytest.fixture
def hasher() -> Iterator[Argon2Hasher]:
    hasher = Argon2Hasher(1, 2, CHEAP)
    yield hasher
    hasher.close()


@pytest.fixture
def monitored() -> Iterator[tuple[Argon2Hasher, list[ForeignHash]]]:
    """A hasher, and what it compared with."""
    compared: list[ForeignHash] = []

    def compare(stored: ForeignHash, password: bytes) -> bool:
        compared.append(stored)
        return matches(stored, password)

    hasher = Argon2Hasher(1, 2, CHEAP, compare)
    yield hasher, compared
    hasher.close()


def test_the_product_hashes_as_owasp_says() -> None:
    """19 MiB, two passes, one lane."""
    assert OWASP.prefix == "$argon2id$v=19$m=19456,t=2,p=1$"


@pytest.mark.parametrize(
    "password", ["correct horse battery", "", " x ", "x" * 1024, "p\x00q", "\ud800", "é"]
)
async def test_a_password_matches_itself_alone(hasher: Argon2Hasher, password: str) -> None:
    """Exactly as received: not trimmed, not cut, not normalised."""
    stored = await hasher.hash(password)

    assert stored.startswith(CHEAP.prefix)
    assert YES == await hasher.verify(stored, password)
    for other in (f"{password} ", f"{password}\x00", password[:-1] + "?"):
        assert NO == await hasher.verify(stored, other)


async def test_the_same_password_is_never_stored_alike(hasher: Argon2Hasher) -> None:
    """Each hash has a salt of its own."""
    assert await hasher.hash("same") != await hasher.hash("same")


@pytest.mark.parametrize("password", ["", "anything at all", "x" * 2000])
async def test_nobodys_hash_matches_nothing(hasher: Argon2Hasher, password: str) -> None:
    """An address without an account or without a password lets nobody in."""
    assert NO == await hasher.verify("", password)


SHORT, LONG = "correct horse", "x" * 1025
JUDGED = {
    "the right one": ("own", SHORT, True),
    "a wrong one": ("own", SHORT + "!", False),
    "nobody": ("", SHORT, False),
    "nobody, too long": ("", LONG, False),
    "its own, but too long": ("own", LONG, False),
    "a hash of no kind": ("gibberish", SHORT, False),
    "a hash that is cut off": (OWASP.prefix, SHORT, False),
    "a hash that is too costly": ("$2b$31$" + "a" * 53, SHORT, False),
}


@pytest.mark.parametrize("case", JUDGED)
async def test_whatever_is_verified_is_one_comparison_of_todays_cost(
    monitored: tuple[Argon2Hasher, list[ForeignHash]], case: str
) -> None:
    """Who has no hash, an unusable one or a far too long password is compared as anybody else is, once."""
    hasher, compared = monitored
    stored, password, right = JUDGED[case]
    if stored == "own":
        stored = await hasher.hash(LONG if password == LONG else SHORT)

    verdict = await hasher.verify(stored, password)

    assert verdict == PasswordVerdict(matches=right)
    (only,) = compared
    assert isinstance(only, Argon2Hash)
    assert only.text.startswith(CHEAP.prefix)


async def test_hashes_of_other_parameters_still_match_and_are_called_outdated(
    hasher: Argon2Hasher,
) -> None:
    """So they are made anew at the next login."""
    other = Argon2Hasher(1, 2, Argon2Parameters(memory=16, passes=2))
    stored = await other.hash("correct horse")
    other.close()

    assert PasswordVerdict(matches=True, outdated=True) == await hasher.verify(
        stored, "correct horse"
    )
    assert not (await hasher.verify(stored, "wrong horse")).matches


async def test_more_than_can_wait_are_refused_before_any_work(hasher: Argon2Hasher) -> None:
    """One at work and two waiting; the fourth is told to come again, and has its place later."""
    release = threading.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(hasher._run(release.wait))
        await asyncio.sleep(0)
        with pytest.raises(HasherBusyError):
            await hasher.hash("fourth")
        release.set()
    assert (await hasher.hash("fifth")).startswith(CHEAP.prefix)


async def test_people_who_went_away_give_their_place_back(hasher: Argon2Hasher) -> None:
    """A cancelled request that had not begun is not hashed; places are never lost."""
    release = threading.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hasher._run(release.wait))
        for _ in range(5):
            waiting = [group.create_task(hasher.hash("gone")) for _ in range(2)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            await asyncio.sleep(0)  # the pool hears of it in the loop's next turn
        release.set()

    async with asyncio.TaskGroup() as group:
        again = [group.create_task(hasher.hash("again")) for _ in range(3)]
    assert all(task.result() for task in again)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no niceness of its own")
async def test_hashing_makes_way_for_everything_else(hasher: Argon2Hasher) -> None:
    """Its threads are nicer than the loop, whose own niceness stays."""

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert await hasher._run(niceness) == min(NICEST, niceness() + NICE)
