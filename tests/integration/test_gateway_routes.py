"""``GET /gateway/traefik`` of real auth workers: no route before the edges have it, and only to the gateway."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.bus import Bus
from shared.bus.documents import DocumentStore
from shared.contract import EDGE_HEARTBEAT, OP_EDGES_LIST
from shared.documents import OperatorKey
from shared.messages import EdgeList, Heartbeat, ListEdges
from tests.conftest import BusFactory
from tests.support.auth_workers import AuthWorkers, running_workers
from tests.support.servers import NatsServer, RedisServer
from tests.support.waiting import eventually

PATH = "/gateway/traefik"
STALENESS_MS = 4_000


def catalogue(*names: str) -> str:
    """Services of these names."""
    entries = [f"  {n}:\n    paths: [/{n}]\n    upstream: http://{n}:1\n" for n in names]
    return "services:\n" + "".join(entries)


class Operator:
    """Publishes catalogues."""

    def __init__(self, bus: Bus, key: OperatorKey) -> None:
        self._store = DocumentStore(bus.client, bus.js)
        self._key = key

    async def publish(self, generation: int, *names: str) -> None:
        """A catalogue of these services."""
        kept = await self._store.kept("catalogue")
        jws = self._key.sign("catalogue", generation, 1, catalogue(*names))
        await self._store.put("catalogue", jws, after_seq=kept[-1].seq if kept else 0)


class Edge:
    """Says on the bus how far it is."""

    def __init__(self, bus: Bus, edge_id: str) -> None:
        self._bus = bus
        self._id = edge_id

    async def goes_by(self, generation: int) -> None:
        """One heartbeat."""
        beat = Heartbeat(
            edge_id=self._id, at=1, epoch="e", seq=0, ready=True, staleness_ms=0, blocklist_size=0,
            max_staleness_ms=STALENESS_MS, catalogue_generation=generation,
        )  # fmt: skip
        await self._bus.signal(EDGE_HEARTBEAT.of(self._id), beat)


@pytest.fixture
async def auth(nats_server: NatsServer, redis_server: RedisServer) -> AsyncIterator[AuthWorkers]:
    """Two of auth, and a revocation worker that knows every edge after six seconds."""
    quick = {"max_staleness": STALENESS_MS / 1000}
    async with running_workers(
        nats_server, redis_server, nats_server.secrets_dir, revocation=quick
    ) as running:
        yield running


async def services(auth: AuthWorkers, door: int = 0) -> set[str] | None:
    """The services that Traefik is told of; None: nothing can be said yet, it asks again."""
    answer = await auth.call("GET", PATH, door=door)
    if answer.status == 503:
        return None
    assert answer.status == 200, await answer.text()
    told: dict[str, Any] = await answer.json()
    found = {name.removeprefix("service-") for name in told["http"]["services"]}
    return found - {"auth"}


async def test_a_service_is_told_of_when_every_live_edge_knows_it(
    auth: AuthWorkers, nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """Not when it is published, and not when only some edges have it; by each auth worker alike."""
    bus = await bus_of("operator")
    operator = Operator(bus, OperatorKey.load(nats_server.secrets_dir))
    first, last = [Edge(await bus_of(name), name) for name in ("edge-1", "edge-2")]
    told: list[set[str]] = []

    async def ask(one: int, other: int) -> set[str]:
        """What both auth workers tell while the edges go by these generations."""
        await first.goes_by(one)
        await last.goes_by(other)
        both = [await services(auth, door) for door in (0, 1)]
        told.extend(each for each in both if each is not None)
        return both[0] or set() if both[0] == both[1] else set()

    async def shop_is_told() -> bool:
        return await ask(1, 1) == {"shop"}

    async def the_roll_is_whole() -> bool:
        await ask(2, 1)  # until then nothing moves on anyway
        return (await bus.ask(OP_EDGES_LIST, ListEdges())).whole

    async def both_are_told() -> bool:
        return await ask(2, 2) == {"shop", "billing"}

    await operator.publish(1, "shop")
    await eventually(shop_is_told)
    await operator.publish(2, "shop", "billing")
    await eventually(the_roll_is_whole)
    for _ in range(5):
        assert await ask(2, 1) == {"shop"}
    assert all(each == {"shop"} for each in told)

    await eventually(both_are_told)


async def test_where_all_edges_are_named_nobody_waits_for_others(
    nats_server: NatsServer, redis_server: RedisServer, bus_of: BusFactory
) -> None:
    """Without names it would take 62 s here; and it does from when an edge is heard that was not named."""
    bus = await bus_of("operator")
    operator = Operator(bus, OperatorKey.load(nats_server.secrets_dir))
    named, stranger = [Edge(await bus_of(name), name) for name in ("edge-1", "edge-2")]
    names = {"max_staleness": 60, "edges": ("edge-1",)}
    async with running_workers(
        nats_server, redis_server, nats_server.secrets_dir, revocation=names
    ) as auth:

        async def are_told(generation: int, *names: str) -> bool:
            await named.goes_by(generation)
            return await services(auth) == set(names)

        await operator.publish(1, "shop")
        await eventually(lambda: are_told(1, "shop"))
        await operator.publish(2, "shop", "billing")
        await eventually(lambda: are_told(2, "shop", "billing"))
        told = await bus.ask(OP_EDGES_LIST, ListEdges())
        assert (told.whole, told.unnamed, told.window_ms) == (True, (), 62_000)

        async def stranger_is_heard() -> EdgeList | None:
            await stranger.goes_by(3)
            answer = await bus.ask(OP_EDGES_LIST, ListEdges())
            return answer if answer.unnamed else None

        heard = await eventually(stranger_is_heard)
        assert heard is not None
        assert (heard.whole, heard.unnamed) == (False, ("edge-2",))
        await operator.publish(3, "shop")
        for _ in range(5):
            assert not await are_told(3, "shop")


MARKS = (
    "X-Forwarded-For", "X-Forwarded-Host", "x-forwarded-proto", "X_Forwarded_For", "X-Real-Ip",
    "Forwarded", "Via", "X-Original-URL",
)  # fmt: skip


async def test_nobody_is_told_before_anything_is_known_and_what_is_passed_on_never(
    auth: AuthWorkers,
) -> None:
    """503 changes nothing at Traefik; an empty answer would take every route away. What a proxy carries for

    somebody else is told that there is nothing: the routes say where the services are.
    """
    for header in MARKS:
        answer = await auth.call("GET", PATH, headers={header: "1.2.3.4"})
        assert (answer.status, (await answer.json())["code"]) == (404, "not_found"), header

    answer = await auth.call("GET", PATH)
    assert (answer.status, (await answer.json())["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "1"


async def test_an_address_that_is_no_proxys_is_told_nothing(
    nats_server: NatsServer, redis_server: RedisServer
) -> None:
    """Whoever reaches auth without being the gateway."""
    async with running_workers(
        nats_server, redis_server, nats_server.secrets_dir, doors=1, trusted_proxies="10.0.0.0/8"
    ) as running:
        answer = await running.call("GET", PATH)

    assert answer.status == 404
