"""Workers of one installation whose own clocks disagree; Redis's TIME is the one they share."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from latchwire.feed import RevocationFeed
from services.auth import wiring as auth_wiring
from services.auth.adapters.bus_events import BusEvents
from services.auth.adapters.feed_revocations import FeedRevocations
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from services.auth.adapters.redis_attempts import RedisAttempts
from services.auth.adapters.redis_handshakes import RedisHandshakes
from services.auth.adapters.redis_memory import RedisMemory
from services.auth.adapters.redis_people import RedisPeople
from services.auth.adapters.redis_scripts import Scripts
from services.auth.adapters.redis_sessions import RedisSessions
from services.auth.adapters.redis_tries import RedisTries
from services.auth.domain.client import UNKNOWN
from services.auth.domain.limits import Rate
from services.auth.domain.link import Attempt, TokenProof
from services.auth.domain.outcomes import SessionOpened
from services.auth.http.context import Context
from services.auth.ports import Budget, Budgets, Opened
from services.auth.ports.service_tokens import ServiceTokenPorts
from services.auth.settings import AuthSettings
from services.auth.wiring.parts import Ports
from services.revocation import wiring as revocation_wiring
from services.revocation.settings import RevocationSettings
from shared.bus import Bus
from shared.clock import SystemClock
from shared.contract import BLOCKLIST_PROBE
from shared.ids import SystemIds
from shared.lifecycle import Runtime
from shared.links import link_token
from shared.redis import connect_redis
from shared.secrets import load_blocklist_key
from tests.support.auth_workers import URL
from tests.support.fakes.service_tokens import FakeRegisters, FakeTokenUses
from tests.support.servers import NatsServer, RedisServer, free_port

NO_LIMIT = Rate(1_000_000, 1_000)


class SkewedClock(SystemClock):
    """The machine's clock, *ms* ahead (or behind, when negative)."""

    def __init__(self, ms: int) -> None:
        self._ms = ms

    def now_ms(self) -> int:
        return super().now_ms() + self._ms


@dataclass
class Desk:
    """Auth without its HTTP door, by its own clock."""

    context: Context
    ports: Ports

    async def issue(self, sub: str) -> str:
        """Ask for a link, open it: an access token."""
        ports, ids = self.ports, SystemIds()
        voided = ports.revocations.watermark(sub).sessions_before
        login_id = ids.ulid(ports.clock.now_ms())
        kid = ports.keys.link.current
        attempt = Attempt(login_id, sub, "sign_in", 0, 0, kid, UNKNOWN)
        address, known, one, two, three, whole = (Budget(f"{n}|{sub}", NO_LIMIT) for n in range(6))
        budgets = Budgets(address, known, (one, two, three), whole)
        opened = await ports.attempts.open(attempt, 600_000, budgets, after_ms=voided)
        assert isinstance(opened, Opened)
        token = link_token(ports.keys.link.by_kid[kid], "sign_in", login_id, sub)
        result = await self.context.links.exchange_link(TokenProof(token), client=UNKNOWN)
        assert isinstance(result, SessionOpened), result
        return result.tokens.access

    async def end_everything(self, sub: str) -> int:
        """Sign out everywhere; the watermark."""
        end = await self.ports.sessions.end_all(sub, sub, "everywhere", "user")
        await self.context.sessions.ending.announce(end)
        return end.at_ms

    def accepts(self, token: str) -> bool:
        """Whether auth lets the bearer in."""
        claims = self.ports.access_tokens.read(token, self.ports.clock.now_ms())
        assert not isinstance(claims, str), claims
        return not self.ports.revocations.refuses(claims, self.ports.clock.now_ms())


@dataclass
class Installation:
    """Runs workers of these servers in *tasks* until *stack* unwinds."""

    nats: NatsServer
    redis: RedisServer
    secrets_dir: Path
    tasks: asyncio.TaskGroup
    stack: AsyncExitStack

    def __post_init__(self) -> None:
        self.runtimes: list[Runtime] = []

    async def revocation_worker(self, skew_ms: int) -> None:
        """One whose clock is *skew_ms* ahead."""
        settings = RevocationSettings(**self._common, revocation_admin=f"127.0.0.1:{free_port()}")
        await revocation_wiring.start(settings, self._runtime(skew_ms))

    async def desk(self, skew_ms: int) -> Desk:
        """Auth whose clock is *skew_ms* ahead."""
        runtime = self._runtime(skew_ms)
        settings = AuthSettings(**self._common, allow="*")
        bus = await self.stack.enter_async_context(self.nats.connect("auth"))
        redis: Redis = await self.stack.enter_async_context(connect_redis(self.redis.url))
        keys = auth_wiring.load_keys(settings)
        feed = await self.feed(bus, runtime)
        scripts = Scripts(redis, keys.index, runtime.clock)
        registers = FakeRegisters()
        ports = Ports(
            attempts=RedisAttempts(scripts),
            sessions=RedisSessions(scripts),
            people=RedisPeople(scripts),
            tries=RedisTries(scripts, settings.try_limits, runtime.clock, runtime.ids),
            memory=RedisMemory(scripts),
            events=BusEvents(bus),
            signals=bus,
            revocations=FeedRevocations(feed, 10.0),
            access_tokens=PyJWTTokens.load(self.secrets_dir, auth_wiring.policy(settings)),
            keys=keys,
            clock=runtime.clock,
            ids=runtime.ids,
            handshakes=RedisHandshakes(scripts),
            service_tokens=ServiceTokenPorts(registers, registers, FakeTokenUses()),
        )
        core = auth_wiring.make_core(settings, ports)
        return Desk(auth_wiring.make_context(settings, ports, core), ports)

    async def feed(self, bus: Bus, runtime: Runtime) -> RevocationFeed:
        """A feed on *bus* that has read everything."""
        feed = RevocationFeed(
            bus.client,
            hash_key=load_blocklist_key(self.secrets_dir),
            api_prefix=bus.api_prefix,
            probe_subject=BLOCKLIST_PROBE.name,
            edge_id=bus.name,
            monotonic=runtime.clock.monotonic,
            now_ms=runtime.clock.now_ms,
        )
        await feed.start()
        runtime.spawn("feed", feed.run(), drains=False)
        await feed.wait_ready(60)
        return feed

    async def reader(self, name: str) -> RevocationFeed:
        """The list of an edge or a service, by the machine's own clock."""
        bus = await self.stack.enter_async_context(self.nats.connect(name))
        return await self.feed(bus, self._runtime(0))

    async def stop(self) -> None:
        """End all of it."""
        for runtime in self.runtimes:
            runtime.stop("test over")
            await runtime.drain(0.2)

    def _runtime(self, skew_ms: int) -> Runtime:
        runtime = Runtime(self.tasks, self.stack)
        runtime.clock = SkewedClock(skew_ms)
        self.runtimes.append(runtime)
        return runtime

    @property
    def _common(self) -> dict[str, object]:
        return {
            "url": URL,
            "secrets_dir": self.secrets_dir,
            "nats_url": self.nats.url,
            "redis_url": self.redis.url,
        }
