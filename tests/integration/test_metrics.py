"""What an operator reads at ``/metrics``: figures, and nobody's name, path or host."""

import asyncio
import re
from functools import partial
from types import SimpleNamespace
from typing import cast

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from latchwire.documents import Documents
from services.edge.adapters.feed_revocations import FeedRevocations
from services.edge.adapters.prometheus_metrics import EdgeCollector
from services.edge.flows.times import BOUNDS, CheckTimes
from services.edge.http.server import open_connections
from shared import contract
from shared.bus import Delivery
from shared.bus.backlog import PENDING, measured
from shared.messages import LoginRequested
from tests.conftest import BusFactory
from tests.support.edge_http import HEAD, Door, open_door
from tests.support.feed import HASH_KEY
from tests.support.mailer import login
from tests.support.waiting import eventually

NOW = 1_795_312_000_000
LABELS = {"proxy", "outcome", "reason", "result", "name", "le", "way"}


def scraped(door: Door) -> str:
    """What Prometheus gets from an edge with this door."""
    registry = CollectorRegistry()
    documents = cast("Documents", SimpleNamespace(refused=0, generation=lambda _name: 0))
    registry.register(
        EdgeCollector(
            door.counts,
            door.desk.tokens,
            FeedRevocations(HASH_KEY),
            documents,
            partial(open_connections, door.server),
        )
    )
    return generate_latest(registry).decode()


async def test_an_edges_figures_are_by_proxy_outcome_and_reason_and_name_nobody() -> None:
    """No label holds what a client sent: such labels leak, and fill the memory of who collects them."""
    async with open_door() as door:
        for _ in range(3):
            await door.check(head=HEAD.replace(b"/demo", b"/demo/secret-path"))
        await door.check(line=b"GET /check/caddy/demo HTTP/1.1")
        await door.check(b"Authorization: Bearer canary\r\n")
        text = scraped(door)

    families = {family.name: family for family in text_string_to_metric_families(text)}
    labels = {label for f in families.values() for s in f.samples for label in s.labels}
    assert labels <= LABELS
    assert not re.search(r"secret-path|localhost|ada@|canary|/demo", text)
    checks = {
        tuple(s.labels[n] for n in ("proxy", "outcome", "reason")): s.value
        for s in families["latchwire_check"].samples
    }
    assert checks == {
        ("traefik", "deny", "no_credentials"): 3.0,
        ("caddy", "deny", "no_credentials"): 1.0,
        ("traefik", "deny", "token_invalid"): 1.0,
    }
    ways = families["latchwire_edge_connections"].samples
    assert {s.labels["way"] for s in ways} == {"plain", "aiohttp"}
    times = families["latchwire_check_seconds"].samples
    counts = [s.value for s in times if s.name.endswith("_bucket")]
    assert len(counts) == len(BOUNDS) + 1
    assert counts == sorted(counts)
    assert counts[-1] == 5.0


async def test_what_waits_for_a_worker_is_a_figure(bus_of: BusFactory) -> None:
    """Three mails are asked for, one is at work: one unacknowledged, two not yet delivered."""
    auth, mailer = await bus_of("auth"), await bus_of("mailer")
    stopping, at_work, release = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(_request: LoginRequested, _delivery: Delivery) -> None:
        at_work.set()
        await release.wait()

    for _ in range(3):
        await auth.publish(contract.LOGIN_REQUESTED, login(now_ms=NOW))
    async with asyncio.TaskGroup() as group:
        work = mailer.consume(
            contract.MAILER, contract.LOGIN_REQUESTED, handle, concurrency=1, stopping=stopping
        )
        group.create_task(work)
        await at_work.wait()
        PENDING.labels("mailer").set(-1)  # its own look may have been before the delivery
        looking = group.create_task(measured(mailer.client, contract.MAILER, rest()))
        await eventually(lambda: _gauges() == (2.0, 1.0))
        looking.cancel()
        stopping.set()
        release.set()


async def rest() -> None:
    """Nothing, for ever."""
    await asyncio.Event().wait()


def _gauges() -> tuple[float, float]:
    names = ("latchwire_consumer_pending", "latchwire_consumer_unacknowledged")
    pending, unacknowledged = (
        REGISTRY.get_sample_value(name, {"consumer": "mailer"}) or 0.0 for name in names
    )
    return pending, unacknowledged


def test_the_times_of_checks_fall_into_their_buckets() -> None:
    """A bound belongs to its own bucket; what takes longer than all is in the last one."""
    times = CheckTimes()
    for seconds in (0.0, BOUNDS[0], BOUNDS[0] * 1.01, BOUNDS[-1], 3.0):
        times.add(seconds)

    found = [count for _, count in times.buckets()]
    assert found == [2, *[3] * (len(BOUNDS) - 2), 4, 5]
    assert times.seconds > 3.0
