"""The SDK's feed behind a `Verifier`: `latchwire.testing`'s fake does what a real installation does."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from latchwire import Claims, Event, FeedStaleError, Refused, Resync, Revoked, Verifier
from latchwire.testing import FakeIssuer
from tests.support.sdk_worlds import World, fake_world, real_world
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
WORLDS = [pytest.param(fake_world, id="fake"), pytest.param(real_world, id="real")]
LATER_SECONDS = (
    4  # beyond the skew that a worker without Redis adds to a watermark, within the leeway
)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WORLDS)
async def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, secrets_template: Path
) -> AsyncIterator[World]:
    """Each world in turn, one for all tests: everybody in them is somebody else."""
    directory = tmp_path_factory.mktemp("world")
    shutil.copytree(secrets_template, directory / "secrets")
    async with request.param(directory) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def fresh(world: World) -> None:
    """A machine that stood still for a while proves nothing of what a test begins with."""
    await world.feed.wait_ready(20)


@pytest.fixture
def verifier(world: World) -> Verifier:
    """A verifier of the world's tokens."""
    return world.issuer.verifier(world.feed)


def accepted(verifier: Verifier, token: str) -> Claims:
    """The claims of a token that must count."""
    claims = verifier.verify(token)
    assert isinstance(claims, Claims), claims
    return claims


def later(issuer: FakeIssuer, **claims: Any) -> dict[str, Any]:
    """The claims of a token issued a few seconds from now."""
    at = issuer.clock() + LATER_SECONDS * 1000
    return {"iat_ms": at, "sst": at, "iat": at // 1000, "auth_time": at // 1000, **claims}


async def next_event(events: Any) -> Event:
    """The next event, soon."""
    async with asyncio.timeout(10):
        found: Event = await anext(events)
        return found


@pytest.mark.parametrize(
    ("scope", "claim"),
    [("token", "jti"), ("session", "sid"), ("service", "client_id"), ("subject", "sub")],
)
async def test_what_is_revoked_is_refused_and_told_and_nothing_else(
    world: World, verifier: Verifier, scope: str, claim: str
) -> None:
    """Every scope an application can meet; the event hits exactly the tokens that are refused."""
    victim, other = (world.issuer.token(**{claim: f"{scope}-{n}"}) for n in ("victim", "other"))
    named, unnamed = accepted(verifier, victim), accepted(verifier, other)
    events = world.feed.events()

    await world.revoke(scope, f"{scope}-victim")
    event = await next_event(events)

    assert isinstance(event, Revoked)
    assert (event.scope, event.hits(named), event.hits(unnamed)) == (scope, True, False)
    assert verifier.verify(victim) == Refused("token_revoked", scope)
    assert (world.feed.is_revoked(named), world.feed.is_revoked(unnamed)) == (True, False)
    assert accepted(verifier, other) == unnamed


async def test_a_key_that_was_compromised_refuses_all_it_signed(world: World) -> None:
    """And nothing that another key signed."""
    lost = FakeIssuer(kid="lost-key", clock=world.issuer.clock)
    verifier = lost.verifier(world.feed)
    claims = accepted(verifier, lost.token())
    events = world.feed.events()

    await world.revoke("key", "lost-key")
    event = await next_event(events)

    assert isinstance(event, Revoked)
    assert (event.scope, event.hits(claims)) == ("key", True)
    assert verifier.verify(lost.token()) == Refused("token_revoked", "key")
    accepted(world.issuer.verifier(world.feed), world.issuer.token())


async def test_out_everywhere_ends_what_there_was_and_not_what_comes(
    world: World, verifier: Verifier
) -> None:
    """By e-mail as well, however it is written; who signs in again is in."""
    email = "grace@example.com"
    old = world.issuer.token(sub="u-1", email=email)
    events = world.feed.events()

    await world.revoke("subject", "Grace@Example.com")
    await next_event(events)

    assert verifier.verify(old) == Refused("token_revoked", "subject")
    accepted(verifier, world.issuer.token(**later(world.issuer, sub="u-1", email=email)))


async def test_a_role_that_was_taken_away_ends_access_tokens_and_not_the_session(
    world: World, verifier: Verifier
) -> None:
    """``applies_to: access``: the next token of the same session is good."""
    started = world.issuer.clock()
    old = world.issuer.token(sub="u-2", email="kay@example.com")
    events = world.feed.events()

    await world.revoke("subject", "u-2", applies_to="access")
    event = await next_event(events)

    assert verifier.verify(old) == Refused("token_revoked", "subject")
    renewed = later(world.issuer, sub="u-2", email="kay@example.com", sst=started)
    after = accepted(verifier, world.issuer.token(**renewed))
    assert isinstance(event, Revoked)
    assert not event.hits(after)


async def test_a_reader_that_is_too_slow_is_told_to_check_everything(
    world: World, verifier: Verifier
) -> None:
    """It learns that it missed something, and then what comes after."""
    events, watcher = world.feed.events(capacity=2), world.feed.events()
    for name in ("slow-1", "slow-2", "slow-3"):
        await world.revoke("session", name)
        await next_event(watcher)
    claims = accepted(verifier, world.issuer.token(sid="slow-4"))

    assert Resync("overflow") == await next_event(events)
    await world.revoke("session", "slow-4")
    after = await next_event(events)

    assert isinstance(after, Revoked)
    assert after.hits(claims)


async def test_what_stays_open_hears_of_its_own_end_and_of_nobody_elses(
    world: World, verifier: Verifier
) -> None:
    """The watch of a WebSocket: the moment its session is revoked."""
    mine = accepted(verifier, world.issuer.token(sid="watched"))
    theirs = accepted(verifier, world.issuer.token(sid="undisturbed"))
    async with asyncio.TaskGroup() as group:
        ends = group.create_task(verifier.until_refused(mine))
        goes_on = group.create_task(verifier.until_refused(theirs))
        await world.revoke("session", "watched")
        async with asyncio.timeout(10):
            assert Refused("token_revoked", "session") == await ends

        assert not goes_on.done()
        goes_on.cancel()


async def test_when_nobody_can_prove_anything_nobody_is_let_in_or_logged_out(
    world: World, verifier: Verifier
) -> None:
    """Never a silent "not revoked": an error, a refusal of its own, a reason for the readiness check."""
    token = world.issuer.token(sid="meanwhile")
    claims = accepted(verifier, token)
    events = world.feed.events()
    await world.go_stale()
    async with asyncio.timeout(20):
        assert Refused("stale", "feed") == await verifier.until_refused(claims)

    with pytest.raises(FeedStaleError):
        world.feed.is_revoked(claims)
    assert verifier.verify(token) == Refused("stale", "feed")
    assert "no proof" in (world.feed.problem() or "")
    await world.revoke("session", "meanwhile")
    await world.come_back()

    await world.feed.wait_ready(20)
    assert world.feed.problem() is None
    # A proof says how old it is, and may be older than what was revoked a moment ago: that comes by itself.
    assert isinstance(await next_event(events), Revoked)
    assert verifier.verify(token) == Refused("token_revoked", "session")


async def test_a_list_that_was_read_anew_asks_to_check_everything(
    world: World, verifier: Verifier
) -> None:
    """The stream was made again. (The last test of a world.)"""
    claims = accepted(verifier, world.issuer.token())
    events = world.feed.events()

    await world.start_over()

    async with asyncio.timeout(30):
        assert Resync("reloaded") == await anext(events)
    await world.feed.wait_ready(20)
    await eventually(lambda: verifier.check(claims) is None)
