"""The whole house in one loop: auth, the revocation worker, an edge's process, and a service with the SDK.

Everything that decides about a credential is here, so a test can show the same one to all of them.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from latchwire.feed import RevocationFeed
from latchwire.keys import KeyRing
from latchwire.tokens import Refused, TokenPolicy
from latchwire.verifier import Verifier
from shared.bus import Bus
from shared.contract import OP_EDGES_LIST
from shared.messages import ListEdges
from shared.redis import connect_redis
from shared.secrets import load_seed, write_private
from tests.support.auth_workers import URL, AuthWorkers, running_workers
from tests.support.edge_process import EdgeProcess, make_edge
from tests.support.lying_provider import LyingProvider
from tests.support.servers import (
    NatsServer,
    RedisServer,
    make_nats,
    make_redis,
    make_secrets,
    start_in_thread,
)
from tests.support.waiting import eventually

CATALOGUE = """\
services:
  demo:
    paths: [/demo]
    upstream: http://127.0.0.1:9100
"""
SHOP, TILL = "shop", "till"  # confidential clients
EDGE = "edge-1"


@dataclass(frozen=True)
class House:
    """Its parts. `bus` is the operator's, `shop_bus` that of a service that may revoke sessions and tokens."""

    auth: AuthWorkers
    edge: EdgeProcess
    sdk: Verifier
    bus: Bus
    shop_bus: Bus
    redis: Redis
    nats: NatsServer
    redis_server: RedisServer
    provider: LyingProvider | None = None  # whose logins auth takes, where a test has set one up

    async def knows_every_edge(self) -> bool:
        """Whether the worker has listened for so long that no live edge can be missing from its roll."""
        return (await self.bus.ask(OP_EDGES_LIST, ListEdges())).whole

    def sdk_accepts(self, token: str) -> bool:
        """Whether a service that uses the package lets *token* in."""
        return not isinstance(self.sdk.verify(token), Refused)

    async def edge_accepts(self, token: str = "", cookie: str = "") -> bool:
        """Whether the edge lets a request with *token* as bearer, or *cookie* as access cookie, in."""
        status, _ = await self.edge.check(
            bearer=token.encode() if token else None, cookie=cookie.encode() if cookie else None
        )
        assert status in {200, 401}, status
        return status == 200


def basic(client: str) -> dict[str, str]:
    """The Authorization header of a confidential client."""
    return {"Authorization": "Basic " + b64encode(f"{client}:s3cret-{client}".encode()).decode()}


def write_clients(secrets_dir: Path) -> None:
    """Make `SHOP` and `TILL` known."""
    document = {
        name: {"secret_sha256": hashlib.sha256(f"s3cret-{name}".encode()).hexdigest()}
        for name in (SHOP, TILL)
    }
    write_private(secrets_dir / "clients.json", json.dumps(document))


@asynccontextmanager
async def running_house(
    directory: Path,
    max_staleness: float = 10.0,
    services: str = CATALOGUE,
    *,
    named: bool = False,
    prepare: Callable[[Path], Mapping[str, Any]] = lambda _: {},
    **settings: Any,
) -> AsyncIterator[House]:
    """Start everything in *directory*; all of it is fresh and trusted when the block begins.

    *services* is the edge's catalogue, *settings* are more of auth's; *prepare* is given the directory of the
    secrets and answers with further ones.

    *max_staleness* (seconds) of edge and worker: so long, and two seconds more, the worker's roll of edges
    may have gaps (`House.knows_every_edge`), unless it knows the edge's name: *named*.
    """
    secrets_dir = make_secrets(directory / "secrets")
    write_clients(secrets_dir)
    settings |= prepare(secrets_dir)
    revokers = directory / "revokers.yaml"
    revokers.write_text("shop: [session, token, subject]\n")
    nats, redis_server = make_nats(directory / "nats", secrets_dir), make_redis(directory / "redis")
    catalogue = directory / "one.yaml"
    catalogue.write_text(services)
    staleness = {"max_staleness": str(max_staleness)}
    edge = make_edge(nats, directory, edge_id=EDGE, catalogue=str(catalogue), **staleness)
    async with AsyncExitStack() as stack:
        for server in (nats, redis_server, edge):
            stack.callback(server.kill)
        await start_in_thread(nats)
        await start_in_thread(redis_server)
        await nats.provision()
        auth = await stack.enter_async_context(
            running_workers(
                nats,
                redis_server,
                secrets_dir,
                doors=1,
                revocation={
                    "revokers": revokers,
                    "max_staleness": max_staleness,
                    "edges": (EDGE,) if named else (),
                },
                limit_address="1000/h",
                limit_network="100000/m",
                **settings,
            )
        )
        await start_in_thread(edge)
        feed = await stack.enter_async_context(
            RevocationFeed.open(
                nats.url,
                name="service-shop",
                nkey_seed=load_seed(secrets_dir, "service-shop"),
                blocklist_key=(secrets_dir / "blocklist.key").read_text(),
            )
        )
        await feed.wait_ready(60)
        ring = KeyRing.from_jwks((secrets_dir / "jwks.json").read_text("ascii"))
        house = House(
            auth=auth,
            edge=edge,
            sdk=Verifier(ring, TokenPolicy(URL, "latchwire"), feed, services=True),
            bus=await stack.enter_async_context(nats.connect("operator")),
            shop_bus=await stack.enter_async_context(nats.connect("service-shop")),
            redis=await stack.enter_async_context(connect_redis(redis_server.url)),
            nats=nats,
            redis_server=redis_server,
        )

        async def edge_is_ready() -> bool:
            return (await edge.ready())[0] == 200

        await eventually(edge_is_ready, within=60)
        yield house
