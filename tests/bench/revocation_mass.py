"""Mass revocation: from the first publish until the last record is in force at the last edge.

Against as many raw ``js.publish`` with the same number under way, to a file stream of the same server, which
syncs each write too. A revocation is two such writes, and ten edges hear it.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from nats.js.api import StorageType, StreamConfig

from tests.bench.goals import ratio_at_least
from tests.bench.revocation_latency import Sent, revoke
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


async def revocations(site: Site, name: str, count: int) -> tuple[float, float]:
    """Seconds until all have their PubAck, and until all are in force everywhere."""
    sent = Sent()
    before = [len(page) for page in site.pages]
    began = time.monotonic_ns()
    acknowledged = await many(count, lambda n: revoke(site, f"{name}-{n}", sent))
    await eventually(
        lambda: all(len(p) >= b + count for p, b in zip(site.pages, before, strict=True)),
        within=WITHIN,
    )
    ends = [max(notes[tag] for tag in sent.at) for notes in (p.read() for p in site.pages)]
    return acknowledged, (max(ends) - began) / 1e9


async def report(site: Site, count: int) -> None:
    """Rounds of both in turn."""
    await site.bare.jetstream().add_stream(
        StreamConfig(name=RAW, subjects=[f"{RAW}.*"], storage=StorageType.FILE)
    )
    rows: list[tuple[float, float, float]] = []
    for number in range(ROUNDS + 1):
        floor = await raw(site, count)
        acknowledged, applied = await revocations(site, f"mass{number}", count)
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
