"""What many live entries cost one edge: memory, start, return after a restart of NATS, and forgetting them.

The records are put into the real BLOCKLIST as a revocation worker would; while that goes on the server syncs
now and then instead of always, or a million would take a quarter of an hour. Then it runs as the product's.
"""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from nats.js.errors import NotFoundError

from latchwire.records import Record, record_key
from latchwire.snapshots import SnapshotHead
from shared import contract
from shared.clock import SystemClock
from shared.secrets import load_blocklist_key
from tests.bench.goals import at_most
from tests.bench.measured_edge import STALL
from tests.bench.pages import Page
from tests.bench.revocation_site import (
    answers_ready,
    is_ready,
    measured_edge,
    page_path,
    write_accounts,
)
from tests.support.edge_process import EdgeProcess
from tests.support.revocation import make_worker
from tests.support.servers import NatsServer, make_nats, make_redis, make_secrets
from tests.support.waiting import eventually

CHUNK = 2_000  # records between two that are waited for
STARTS, RETURNS = 3, 3
SNAPSHOT_WITHIN = 60.0  # seconds
NEARLY = 0.9  # what came since the last one is read record by record
GONE_WITHIN = 300.0
BYTES_GOAL, START_GOAL, RETURN_GOAL, STALL_GOAL = 64.0, 5.0, 1.0, 10.0
LONG_LIFE_MS = 7_200_000
SHORT_LIFE = (
    12.0  # seconds, and a hundred microseconds more for each record, which have to be put in first
)
MILLION = 1_000_000
MEASURABLE = 50_000  # entries: two starts of one process differ by a megabyte anyway
QUIET = 20.0  # seconds
LOOK = 1.0  # seconds between two looks at the metrics, which cost the edge something themselves
NAME = "edge-1"
SIZE = "latchwire_blocklist_size"


@dataclass
class Place:
    """One server, one worker, one edge that is not started."""

    directory: Path
    nats: NatsServer
    edge: EdgeProcess
    hash_key: bytes


@asynccontextmanager
async def running_place(directory: Path) -> AsyncIterator[Place]:
    """Ended with the block."""
    secrets = make_secrets(directory / "secrets")
    server, redis = make_nats(directory / "nats", secrets), make_redis(directory / "redis")
    write_accounts(server, [NAME])
    edge = measured_edge(server, directory, NAME, lag=True)
    worker = make_worker(server, redis.url, directory)
    try:
        server.start()
        redis.start()
        await server.provision()
        worker.start()
        await eventually(lambda: answers_ready(worker.port), within=60)
        yield Place(directory, server, edge, load_blocklist_key(secrets))
    finally:
        for part in (edge, worker, redis, server):
            part.kill()


def sync(server: NatsServer, *, always: bool) -> None:
    """Start *server* again, as the product has it or, to be filled, without a sync for each message."""
    config = server.log.parent / "nats-server.conf"
    strict, loose = "sync_interval: always", 'sync_interval: "1m"'
    text = config.read_text()
    config.write_text(text.replace(loose, strict) if always else text.replace(strict, loose))
    server.stop()
    server.start()


async def fill(place: Place, name: str, count: int, until_ms: int, server_ms: int) -> float:
    """Put *count* records into BLOCKLIST; how many seconds that took.

    They lapse at *until_ms*; the server forgets them later, at *server_ms*, so that its own work is no part
    of what an edge is seen to do.
    """
    began = time.monotonic()
    body = Record(until_ms).pack()
    headers = {"Nats-TTL": f"{(server_ms - SystemClock().now_ms()) // 1000}s"}
    async with place.nats.connect("revocation") as bus:
        last = (await bus.js.stream_info("BLOCKLIST")).state.last_seq
        for number in range(count):
            subject = f"bl.{record_key(place.hash_key, 'session', f'{name}-{number}')}"
            if (number + 1) % CHUNK and number + 1 < count:
                await bus.client.publish(subject, body, headers=headers)
            else:
                await bus.js.publish(subject, body, timeout=60, headers=headers)
        stored = (await bus.js.stream_info("BLOCKLIST")).state.last_seq - last
    if stored != count:
        raise RuntimeError(f"{stored} of {count} records were stored")
    return time.monotonic() - began


async def start_edge(place: Place) -> float:
    """Seconds from the start of the process until it says that it is ready."""
    place.edge.kill()
    page_path(place.directory, NAME).unlink(missing_ok=True)
    began = time.monotonic()
    await asyncio.to_thread(place.edge.start)
    await eventually(lambda: is_ready(place.edge), within=120)
    return time.monotonic() - began


def resident_bytes(edge: EdgeProcess) -> int:
    """Resident memory of the process."""
    assert edge.process is not None
    status = Path(f"/proc/{edge.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


async def gauge(edge: EdgeProcess, name: str) -> float:
    """A figure of the edge's metrics; -1 when it does not answer."""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        for line in (await edge.metrics()).splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
    return -1.0


async def return_seconds(place: Place) -> float:
    """kill -9 of nats-server; from its accepting again until the edge holds a proof from after that."""
    place.nats.kill()
    await asyncio.to_thread(place.nats.start)
    back = time.monotonic()

    async def proven_since() -> bool:
        age = await gauge(place.edge, "latchwire_edge_staleness_seconds")
        return 0 <= age < time.monotonic() - back

    await eventually(proven_since, within=60)
    return time.monotonic() - back


def worst_stall(page: Page, since: int, until: int) -> tuple[float, float]:
    """The longest stalls of the loop in ms between two rows: of processor time, and by the clock."""
    stalls = [tag.split()[1:] for tag, _ in page.rows()[since:until] if tag.startswith(STALL)]
    spent = max((int(spent) for _, spent in stalls), default=0)
    late = max((int(late) for late, _ in stalls), default=0)
    return spent / 1000, late / 1000


async def report(directory: Path, count: int) -> None:
    """Measure and print one size: first records that stay, then some more that soon lapse."""
    async with running_place(directory) as place:
        sync(place.nats, always=False)
        bare = await start_edge(place)
        empty = resident_bytes(place.edge)
        stay_ms = SystemClock().now_ms() + LONG_LIFE_MS
        took = await fill(place, f"stay{count}", count, stay_ms, stay_ms)
        place.edge.kill()
        sync(place.nats, always=True)
        source = await _snapshot(place, count)
        starts = [await start_edge(place) for _ in range(STARTS)]
        grown = (resident_bytes(place.edge) - empty) / count
        held = await gauge(place.edge, SIZE)
        returns = [await return_seconds(place) for _ in range(RETURNS)]
        print(
            f"{count} live entries (put in within {took:.0f} s; {source}; a started edge holds {held:.0f})"
        )
        if count >= MILLION:
            print(f"  memory per entry     {at_most(grown, BYTES_GOAL, 'bytes')}")
        elif count >= MEASURABLE:
            print(f"  memory per entry     {grown:6.1f} bytes  (the goal is for a million)")
        for text, seconds, goal in (
            ("restarted, ready in", starts, START_GOAL),
            ("back after NATS was", returns, RETURN_GOAL),
        ):
            line = at_most(statistics.median(seconds), goal, "s")
            print(f"  {text}  {line}, worst of {len(seconds)} {max(seconds):.1f}")
        print(f"  (the first start of the process, with an empty list, took {bare:.1f} s)")
        sync(place.nats, always=False)
        await _report_eviction(place, count)


async def _report_eviction(place: Place, count: int) -> None:
    """The loop's longest stall while as many records again are forgotten, and in a time without that."""
    page = Page(page_path(place.directory, NAME))
    await eventually(lambda: is_ready(place.edge), within=60)
    begun = len(page)
    await asyncio.sleep(QUIET)
    full = len(page)
    until_ms = SystemClock().now_ms() + round((SHORT_LIFE + count * 1e-4) * 1000)
    await fill(place, f"lapse{count}", count, until_ms, until_ms + LONG_LIFE_MS)
    await asyncio.sleep(max(0, until_ms / 1000 - time.time()))
    held = await gauge(place.edge, SIZE)
    lapsed, deadline = len(page), time.monotonic() + GONE_WITHIN
    while await gauge(place.edge, SIZE) > count and time.monotonic() < deadline:
        await asyncio.sleep(LOOK)
    seconds = time.time() - until_ms / 1000
    quiet, busy = worst_stall(page, begun, full), worst_stall(page, lapsed, len(page))
    print(
        f"  {held - count:.0f} more lapsed, forgotten {seconds:.0f} s later; longest stall of the loop:"
    )
    print(
        f"    processor time     {at_most(busy[0], STALL_GOAL, 'ms')}, in {QUIET:.0f} s before {quiet[0]:.1f}"
    )
    print(
        f"    by the clock       {busy[1]:6.1f} ms, in {QUIET:.0f} s before {quiet[1]:.1f}\n",
        flush=True,
    )


async def _snapshot(place: Place, count: int) -> str:
    """Whether a restarted edge will find a snapshot of (nearly) all of it; waits for one."""
    async with place.nats.connect("revocation") as bus:

        async def written() -> bool:
            with contextlib.suppress(NotFoundError):
                message = await bus.js.get_last_msg("SNAPSHOT", contract.SNAPSHOT_HEAD)
                return SnapshotHead.unpack(message.data or b"").records >= count * NEARLY
            return False

        with contextlib.suppress(AssertionError):
            await eventually(written, within=SNAPSHOT_WITHIN if count >= MEASURABLE else 3)
            return "a snapshot of them"
    return "no snapshot"
