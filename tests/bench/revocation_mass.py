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


async def raw(site: Site, count: int) -> float:
    """Seconds until all have their PubAck."""
    js = site.bare.jetstream(timeout=30)

    async def publish(_number: int) -> None:
        await js.publish(f"{RAW}.x", BODY)

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


async def report(site: Site, count: int) -> None:
    """Rounds of both in turn."""
    await site.bare.jetstream().add_stream(
        StreamConfig(name=RAW, subjects=[f"{RAW}.*"], storage=StorageType.FILE)
    )
    rows: list[tuple[float, float, float]] = []
    for number in range(ROUNDS + 1):
        floor = await raw(site, count)
        events = make_events(site, f"mass{number}", count)
        acknowledged, applied = await revocations(site, events)
        rows.append((floor, acknowledged, applied))
    counted = rows[1:]  # the first round only warms up
    rates = [statistics.median(count / row[n] for row in counted) for n in range(3)]
    print(f"mass revoke: {ROUNDS} rounds of {count} sessions, {UNDER_WAY} under way")
    print(f"  raw js.publish          {rates[0]:8.0f} /s")
    print(f"  token.revoked, PubAck   {rates[1]:8.0f} /s")
    print(f"  in force at all edges   {rates[2]:8.0f} /s")
    ratios = [floor / applied for floor, _, applied in counted]
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"  in force, of raw        {ratio_at_least(statistics.median(ratios), GOAL)} ({shown})")
    print(flush=True)
