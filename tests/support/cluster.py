"""A fleet for revocations alone: NATS (one server or a cluster), Redis, revocation workers, edges.

Each part is a process of its own that a test may kill, stop and start again. Every edge reaches NATS through
a proxy of its own (`Fleet.links`), so it can be cut off alone.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import nats
from nats.js import JetStreamContext
from nats.js.errors import APIError

from latchwire.records import record_key
from shared import contract
from shared.bus import Bus, BusUnavailableError, connect_bus
from shared.bus.permissions import role_of
from shared.bus.streams import apply_streams, consumer_config
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.secrets import load_blocklist_key, load_seed
from tests.support.command_forks import ready_for_commands
from tests.support.command_line import CommandLine
from tests.support.edge_process import EdgeProcess, make_edge
from tests.support.proxy import Proxy, proxy_to
from tests.support.revocation import Worker, environment, make_worker
from tests.support.servers import (
    CREDENTIALS,
    NatsServer,
    RedisServer,
    free_port,
    make_nats,
    make_redis,
    make_secrets,
    start_in_thread,
)
from tests.support.waiting import eventually

ADMIN = "admin"
EDGES = ("edge-1", "edge-2", "edge-3")
MAX_STALENESS = 4.0  # seconds, so that tests are short
PATIENT = (
    "edge-3"  # is as patient as in production: what costs the others a second costs it nothing
)
PRODUCTION = 10.0  # seconds
ACK_WAIT = (
    1.0  # seconds; three in production: a dead worker's message is another's before an edge closes
)
MAX_PENDING = 2 << 20  # bytes; more than the greatest message
WHOLE_WITHIN = 60.0  # seconds until every part is ready again, on a busy machine too


@dataclass
class Fleet:
    """All parts by name. *links*: the proxy between each edge and NATS."""

    directory: Path
    secrets_dir: Path
    nats: list[NatsServer]
    redis: RedisServer
    workers: list[Worker] = field(default_factory=list)
    edges: dict[str, EdgeProcess] = field(default_factory=dict)
    links: dict[str, Proxy] = field(default_factory=dict)
    patience: dict[str, float] = field(
        default_factory=dict
    )  # max_staleness of each edge, in seconds
    cluster: "Cluster | None" = None

    @property
    def url(self) -> str:
        """Every server of the bus, as a setting names them."""
        return ",".join(server.url for server in self.nats)

    async def start(self) -> None:
        """Start everything that does not run, and wait until it is `whole`."""
        stores = [self.redis, *self.nats]
        await _start(server for server in stores if not server.runs)
        await _start(p for p in (*self.workers, *self.edges.values()) if not p.runs)
        await self.whole()

    async def whole(self, within: float = WHOLE_WITHIN) -> None:
        """Return when each edge says that it is ready."""
        for edge in self.edges.values():
            await eventually(
                lambda edge=edge: _is_ready(edge), within=within, message=f"{edge.log}: not ready"
            )

    async def joined(self, worker: Worker) -> None:
        """Return when *worker*, which was started, takes its share of the work: its admin door opens before."""
        await eventually(lambda: worker.is_ready(), within=WHOLE_WITHIN, message="it does not join")

    @asynccontextmanager
    async def bus(self, name: str, url: str = "") -> AsyncIterator[Bus]:
        """The bus as credential *name*, at *url* or any server."""
        seed = load_seed(self.secrets_dir, name)
        async with connect_bus(
            url=url or self.url,
            role=role_of(name),
            name=name,
            seed=seed,
            clock=SystemClock(),
            ids=SystemIds(),
        ) as bus:
            yield bus

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[JetStreamContext]:
        """JetStream without any limit: what no credential of the product may do."""
        client = await nats.connect(self.url.split(","), user=ADMIN, password=ADMIN)
        try:
            yield client.jetstream(timeout=5)
        finally:
            await client.close()

    async def command(self, *arguments: str) -> tuple[int, Any, str]:
        """``latchwire ARGUMENTS --json`` as the operator: exit code, answer, what it said beside."""
        variables = environment(self.nats[0], NATS_URL=self.url, REDIS_URL=self.redis.url)
        line = CommandLine(variables, self.directory)
        answer = await asyncio.wait_for(line.run(*arguments, "--json"), 60)
        return answer.code, json.loads(answer.out) if answer.out.strip() else None, answer.err

    async def drained(self, bus: Bus) -> None:
        """Return when no revocation waits to be written."""
        await eventually(lambda: _nothing_waits(bus), within=WHOLE_WITHIN, message="work is left")

    def said(self) -> str:
        """Everything the servers of the bus have logged."""
        return "".join(server.log.read_text() for server in self.nats)

    def key(self, sid: str) -> str:
        """The key of a session's record."""
        return record_key(load_blocklist_key(self.secrets_dir), "session", sid)

    def another_worker(self, **settings: str) -> Worker:
        """One more revocation worker, not started."""
        settings = {"NATS_URL": self.url, **settings}
        worker = make_worker(self.nats[0], self.redis.url, self.directory, **settings)
        self.workers.append(worker)
        return worker

    def kill(self) -> None:
        """End everything by force."""
        for process in (*self.edges.values(), *self.workers, self.redis, *self.nats):
            process.kill()


async def _start(servers: Iterable[Any]) -> None:
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(start_in_thread(server))


async def _is_ready(edge: EdgeProcess) -> bool:
    try:
        return (await edge.ready())[0] == 200
    except aiohttp.ClientError:
        return False


async def _nothing_waits(bus: Bus) -> bool:
    try:
        info = await bus.state.consumer(contract.REVOCATION)
    except BusUnavailableError:
        return False
    return not info["num_pending"] and not info["num_ack_pending"]


@dataclass
class Cluster:
    """Three servers; *routes* are the proxies between them, by the one that dials and the one it reaches."""

    servers: list[NatsServer]
    routes: dict[tuple[int, int], Proxy]

    def cut_off(self, number: int) -> None:
        """Nothing passes between server *number* and the other two any more."""
        for pair, route in self.routes.items():
            if number in pair:
                route.swallow()

    def heal(self) -> None:
        """They hear each other again."""
        for route in self.routes.values():
            route.heal()


async def make_cluster(
    directory: Path, secrets_dir: Path, credentials: tuple[str, ...], stack: AsyncExitStack
) -> Cluster:
    """Three nats-servers (not started) that know each other only through proxies."""
    servers = [make_nats(directory / f"nats-{n}", secrets_dir, credentials) for n in range(3)]
    doors = [free_port() for _ in servers]
    routes = {
        (a, b): await stack.enter_async_context(proxy_to(doors[b]))
        for a in range(3)
        for b in range(3)
        if a != b
    }
    for number, server in enumerate(servers):
        config = server.log.parent / "nats-server.conf"
        others = ", ".join(
            f"nats://127.0.0.1:{proxy.port}" for (a, _), proxy in routes.items() if a == number
        )
        text = config.read_text().replace("server_name: latchwire", f"server_name: n{number}")
        # What a server advertises is what others dial past the proxies: nobody listens there.
        own = f"listen: 127.0.0.1:{doors[number]}, advertise: 127.0.0.1:1, routes: [{others}]"
        config.write_text(f"{text}\ncluster {{ name: test, {own} }}\n")
    return Cluster(servers, routes)


@asynccontextmanager
async def running_fleet(
    directory: Path,
    *,
    servers: int = 1,
    workers: int = 2,
    edges: tuple[str, ...] = EDGES,
    prepare: Callable[[Fleet], None] = lambda _fleet: None,
) -> AsyncIterator[Fleet]:
    """Everything ready; *servers* is one, or three for a cluster that keeps three copies.

    *prepare* is called before workers and edges are started.
    """
    credentials = tuple(dict.fromkeys((*CREDENTIALS, *edges)))
    secrets_dir = make_secrets(directory / "secrets", credentials)
    async with AsyncExitStack() as stack:
        cluster = None
        if servers == 3:
            cluster = await make_cluster(directory, secrets_dir, credentials, stack)
        found = cluster.servers if cluster else [make_nats(directory, secrets_dir, credentials)]
        redis = make_redis(directory / "redis")
        fleet = Fleet(directory, secrets_dir, found, redis, cluster=cluster)
        stack.callback(fleet.kill)
        for server in fleet.nats:
            _admit_admin(server)
        if cluster is None:
            _drop_slow_readers(fleet.nats[0])
        await _start([fleet.redis, *fleet.nats])
        await _provision(fleet, replicas=servers)
        for number in range(workers):
            # Each begins at a server of its own; in a cluster it learns of the others there.
            home = fleet.nats[number % len(fleet.nats)]
            fleet.another_worker(NATS_URL=home.url)
        for number, name in enumerate(edges):
            home = fleet.nats[number % len(fleet.nats)]
            link = await stack.enter_async_context(proxy_to(home.port))
            fleet.links[name] = link
            fleet.patience[name] = PRODUCTION if name == PATIENT else MAX_STALENESS
            patience, url = f"{fleet.patience[name]:g}", f"nats://127.0.0.1:{link.port}"
            fleet.edges[name] = make_edge(
                home, directory, edge_id=name, nats_url=url, max_staleness=patience
            )
        prepare(fleet)
        await ready_for_commands()  # not while a test counts seconds
        await fleet.start()
        yield fleet


def _admit_admin(server: NatsServer) -> None:
    accounts = server.log.parent / "accounts.conf"
    user = f'users: [{{ user: "{ADMIN}", password: "{ADMIN}" }}'
    accounts.write_text(accounts.read_text().replace("users: [", user, 1))


def _drop_slow_readers(server: NatsServer) -> None:
    """A reader that is so many bytes behind is disconnected; 64 MB by default."""
    config = server.log.parent / "nats-server.conf"
    config.write_text(f"{config.read_text()}\nmax_pending: {MAX_PENDING}\n")


async def _provision(fleet: Fleet, replicas: int) -> None:
    async with fleet.bus("provisioner") as bus:

        async def applied() -> bool:
            try:
                await apply_streams(bus, SystemIds(), replicas=replicas)
                return await apply_streams(bus, SystemIds(), check=True, replicas=replicas) == []
            except (APIError, TimeoutError):
                return False  # the cluster has no leader yet

        await eventually(applied, within=WHOLE_WITHIN)
        for durable in contract.DURABLES:
            config = replace(consumer_config(durable), ack_wait=ACK_WAIT)
            await bus.js.add_consumer(durable.stream.name, config)


def now() -> float:
    """Monotonic seconds."""
    return time.monotonic()
