"""Mass revocation: from the first publish until the last record is in force at the last edge.

Against as many raw ``js.publish`` with the same number under way, to a file stream of the same server, which
syncs each write too. A revocation is two such writes, and ten edges hear it.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nats.js.api import StorageType, StreamConfig

from latchwire.records import record_key
from shared import contract
from shared.messages import TokenRevoked
from tests.bench.goals import ratio_at_least
from tests.bench.revocation_latency import CLOCK, IDS
from tests.bench.revocation_site import Site
from tests.support.servers import Server
from tests.support.waiting import eventually

ROUNDS = 3
UNDER_WAY = 64
GOAL = 0.5
WITHIN = 120.0  # seconds
RAW = "RAW"
BODY = b"x" * 150  # about what a token.revoked is


async def many(count: int, work: Callable[[int], Awaitable[None]]) -> float:
    """Seconds for *count* calls, UNDER_WAY at a time."""
    numbers = iter(range(count))

    async def loop() -> None:
        for number in numbers:
            await work(number)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(UNDER_WAY):
            group.create_task(loop())
    return time.monotonic() - began


async def raw(site: Site, count: int, *, streams: int = 1) -> float:
    """Seconds until all have their PubAck, from each of *streams* one after the other."""
    js = site.bare.jetstream(timeout=30)

    async def publish(_number: int) -> None:
        for number in range(streams):
            await js.publish(f"{RAW}{number}.x", BODY)

    return await many(count, publish)


@dataclass(frozen=True)
class Event:
    """A ``token.revoked`` ready to be sent: both sides of the comparison pay for a publish and no more."""

    body: bytes
    headers: dict[str, str]
    tag: bytes


def make_events(site: Site, name: str, count: int) -> list[Event]:
    """*count* distinct sessions."""
    found = []
    for number in range(count):
        sid, now = f"{name}-{number}", CLOCK.now_ms()
        event = TokenRevoked(id=IDS.ulid(now), at=now, scope="session", sid=sid, reason="bench")
        tag = record_key(site.hash_key, "session", sid).encode()
        headers = {"Nats-Msg-Id": str(event.id)}
        found.append(Event(contract.TOKEN_REVOKED.encode(event), headers, tag))
    return found


async def revocations(site: Site, events: list[Event]) -> tuple[float, float]:
    """Seconds until all have their PubAck, and until all are in force everywhere."""
    before = [len(page) for page in site.pages]

    async def publish(number: int) -> None:
        event = events[number]
        await site.bus.js.publish(
            contract.TOKEN_REVOKED.name, event.body, timeout=30, headers=event.headers
        )

    began = time.monotonic_ns()
    acknowledged = await many(len(events), publish)
    await eventually(
        lambda: all(len(p) >= b + len(events) for p, b in zip(site.pages, before, strict=True)),
        within=WITHIN,
    )
    ends = [max(notes[e.tag] for e in events) for notes in (p.read() for p in site.pages)]
    return acknowledged, (max(ends) - began) / 1e9


def cpu_seconds(site: Site) -> dict[str, float]:
    """Processor time of the parts so far."""
    edges = sum(_cpu(edge) for edge in site.edges)
    return {
        "edges": edges,
        "worker": _cpu(site.worker),
        "nats-server": _cpu(site.nats),
        "client": time.process_time(),
    }


def _cpu(part: Server) -> float:
    assert part.process is not None
    return time.clock_gettime((~part.process.pid << 3) | 2)


async def report(site: Site, count: int) -> None:
    """Rounds of all three in turn."""
    for number in range(2):
        await site.bare.jetstream().add_stream(
            StreamConfig(
                name=f"{RAW}{number}", subjects=[f"{RAW}{number}.*"], storage=StorageType.FILE
            )
        )
    rows: list[tuple[float, float, float, float]] = []
    spent: dict[str, float] = {}
    for number in range(ROUNDS + 1):
        size = count if number else count // 4  # the first round only warms up
        one, two = await raw(site, size), await raw(site, size, streams=2)
        events = make_events(site, f"mass{number}", size)
        before = cpu_seconds(site)
        acknowledged, applied = await revocations(site, events)
        spent = {name: value - before[name] for name, value in cpu_seconds(site).items()}
        rows.append((one, two, acknowledged, applied))
    _print(rows[1:], count, spent, len(site.edges))


def _print(
    rows: list[tuple[float, float, float, float]], count: int, spent: dict[str, float], edges: int
) -> None:
    names = (
        "raw js.publish",
        "two of them in turn",
        "token.revoked, PubAck",
        "in force at all edges",
    )
    print(f"mass revoke: {ROUNDS} rounds of {count} sessions, {UNDER_WAY} under way, {edges} edges")
    for number, name in enumerate(names):
        print(f"  {name:24}{statistics.median(count / row[number] for row in rows):8.0f} /s")
    ratios = [row[0] / row[3] for row in rows]
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"  in force, of raw        {ratio_at_least(statistics.median(ratios), GOAL)} ({shown})")
    bound = statistics.median(row[1] / row[3] for row in rows)
    print(f"  in force, of two raw    {bound:6.2f} x  (what two synced writes in turn allow)")
    parts = ", ".join(f"{name} {value / count * 1e6:.0f}" for name, value in spent.items())
    print(f"  CPU us per revocation: {parts} (all share this machine's cores)\n", flush=True)
