"""What was issued before "everywhere" is refused, what is issued after is accepted, a millisecond apart.

Two processes of auth and two revocation workers, their own clocks two seconds apart. All instants are Redis's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from latchwire.claims import Claims
from latchwire.feed import RevocationFeed
from latchwire.keys import KeyRing
from latchwire.tokens import TokenPolicy
from latchwire.verifier import Verifier
from shared.bus import Bus
from shared.contract import TOKEN_REVOKED
from shared.messages import TokenRevoked
from shared.redis import connect_redis
from tests.support.auth_workers import URL
from tests.support.servers import NatsServer, RedisServer
from tests.support.skewed import Desk, Installation
from tests.support.trust import vouched_for
from tests.support.waiting import eventually

PEOPLE = 1000
AT_ONCE = 20


@dataclass
class World:
    """Two desks of auth, an edge's list, a service's verifier, and an operator."""

    desks: tuple[Desk, Desk]
    edge: RevocationFeed
    sdk: Verifier
    bus: Bus
    redis: Redis
    refused: list[tuple[str, str]] = field(default_factory=list)  # sub, token issued before
    accepted: list[tuple[str, str]] = field(default_factory=list)  # sub, token issued after

    async def hold_time(self) -> None:
        """Let the store's time stand still for a second and a half: all that happens then is in one instant."""
        seconds, micros = await self.redis.time()
        await self.redis.set("lw:clock", seconds * 1000 + micros // 1000 + 1_500)

    def claims(self, token: str) -> Claims:
        """What *token* says."""
        claims = self.desks[0].ports.access_tokens.read_expired(token)
        assert claims is not None
        return claims

    def verdicts(self, token: str) -> set[bool]:
        """Who lets *token* in: the edge's list, both processes of auth, the SDK."""
        return {
            not self.edge.is_revoked(self.claims(token)),
            isinstance(self.sdk.verify(token), Claims),
            *(desk.accepts(token) for desk in self.desks),
        }


@pytest.fixture
async def world(nats_server: NatsServer, redis_server: RedisServer) -> AsyncIterator[World]:
    """Clocks a second ahead and a second behind, in every kind of worker."""
    secrets_dir = nats_server.secrets_dir
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        site = Installation(nats_server, redis_server, secrets_dir, tasks, stack)
        try:
            for skew_ms in (1_000, -1_000):
                await site.revocation_worker(skew_ms)
            desks = await site.desk(-1_000), await site.desk(1_000)
            ring = KeyRing.from_jwks((secrets_dir / "jwks.json").read_text("ascii"))
            policy = TokenPolicy(issuer=URL, audience="latchwire")
            world = World(
                desks=desks,
                edge=await site.reader("edge-1"),
                sdk=Verifier(ring, policy, await site.reader("service-shop")),
                bus=await stack.enter_async_context(nats_server.connect("operator")),
                redis=await stack.enter_async_context(connect_redis(redis_server.url)),
            )
            await vouched_for(redis_server.url)
            yield world
        finally:
            await site.stop()


async def for_everybody(people: list[str], work: Callable[[int, str], Awaitable[None]]) -> None:
    """`AT_ONCE` people at a time, each without a pause."""
    left = iter(enumerate(people))

    async def serve() -> None:
        for n, sub in left:
            await work(n, sub)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(serve())


async def test_a_thousand_times_everything_before_is_refused_and_everything_after_accepted(
    world: World,
) -> None:
    """Issued at one process, signed out everywhere at the other, issued again at the first or the second."""

    async def cycle(n: int, sub: str) -> None:
        if n % 100 == 0:
            await world.hold_time()
        one, other = world.desks if n % 2 else world.desks[::-1]
        before = await one.issue(sub)
        await other.end_everything(sub)
        after = await (one if n % 4 < 2 else other).issue(sub)
        world.refused.append((sub, before))
        world.accepted.append((sub, after))

    with capture_logs():  # to print ten thousand lines would take longer than all the rest
        await for_everybody([f"p{n}@acme.com" for n in range(PEOPLE)], cycle)

    left = [token for _, token in world.refused]

    def nobody_lets_one_in() -> bool:
        """The four hear of each when they hear of it."""
        left[:] = [token for token in left if world.verdicts(token) != {False}]
        return not left

    await eventually(nobody_lets_one_in)
    wrong = [sub for sub, token in world.refused if world.verdicts(token) != {False}]
    wrong += [sub for sub, token in world.accepted if world.verdicts(token) != {True}]
    assert PEOPLE == len(world.refused) == len(world.accepted)
    assert [] == wrong


async def test_one_person_again_and_again_within_a_second(world: World) -> None:
    """Each watermark falls between two sessions, whichever process made them."""
    instants: list[tuple[int, int, int]] = []
    await world.hold_time()
    for n in range(50):
        one, other = world.desks if n % 2 else world.desks[::-1]
        before = world.claims(await one.issue("ada@acme.com")).sst
        watermark = await other.end_everything("ada@acme.com")
        after = world.claims(await other.issue("ada@acme.com")).sst
        instants.append((before, watermark, after))

    assert [i for i in instants if not i[0] <= i[1] < i[2]] == []
    assert instants == sorted(instants)


async def test_an_operators_word_without_a_time_is_as_exact(world: World) -> None:
    """The worker stamps it, whatever its own clock says; the next session is issued after that instant."""
    people = [f"o{n}@acme.com" for n in range(100)]

    async def cycle(n: int, sub: str) -> None:
        one, other = world.desks if n % 2 else world.desks[::-1]
        before = await one.issue(sub)
        await world.bus.publish(TOKEN_REVOKED, TokenRevoked(scope="subject", sub=sub))
        await eventually(lambda: other.ports.revocations.watermark(sub).sessions_before > 0)
        world.refused.append((sub, before))
        world.accepted.append((sub, await other.issue(sub)))

    await for_everybody(people, cycle)

    await eventually(lambda: all(world.verdicts(token) == {False} for _, token in world.refused))
    assert [] == [sub for sub, token in world.accepted if world.verdicts(token) != {True}]
    assert len(people) == len(world.accepted)
