"""From the PubAck of ``token.revoked`` to "refused" at every edge, against a bare core-NATS publish.

Both go to the same ten processes, in turn, in random order and at random distances. "Refused" is the moment
an edge's loop has put the record into its list: no check that it answers later can be allowed. Spot checks
over HTTP confirm it. The bare clock starts just before `publish`, the product's when the PubAck is in the
publisher's hands.
"""

import asyncio
import random
import statistics
import time
from dataclasses import dataclass, field

from latchwire.records import record_key
from shared import contract
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.messages import TokenRevoked
from tests.bench.goals import ratio_at_most
from tests.bench.measured_edge import BARE
from tests.bench.revocation_site import Site
from tests.support.waiting import eventually

PAUSE = (0.012, 0.030)  # seconds between two messages
WARM_UP = 20
SPOT_CHECKS = 10
P50_GOAL, P99_GOAL = 2.5, 4.0
QUANTILES = (50, 90, 99)
IDS, CLOCK = SystemIds(), SystemClock()


@dataclass
class Sent:
    """When each message was sent or acknowledged, in ns, by its tag."""

    at: dict[bytes, int] = field(default_factory=dict)
    token_seq: dict[bytes, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """Milliseconds: at *each* edge, at the *first* and at the *last* of them, one value per message."""

    each: list[float]
    first: list[float]
    last: list[float]


def percentile(values: list[float], percent: int) -> float:
    """The value that *percent* of all are at or below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def describe(values: list[float]) -> str:
    """p50, p90, p99 and the greatest."""
    shown = "".join(f"{percentile(values, q):8.2f}" for q in QUANTILES)
    return f"{shown}{max(values):8.2f}"


async def revoke(site: Site, sid: str, sent: Sent) -> None:
    """Publish and note the PubAck."""
    event = TokenRevoked(
        id=IDS.ulid(CLOCK.now_ms()), at=CLOCK.now_ms(), scope="session", sid=sid, reason="bench"
    )
    ack = await site.bus.publish(contract.TOKEN_REVOKED, event)
    now = time.monotonic_ns()
    tag = record_key(site.hash_key, "session", sid).encode()
    sent.at[tag], sent.token_seq[tag] = now, ack.seq


async def say(site: Site, tag: bytes, sent: Sent) -> None:
    """Publish the bare message."""
    sent.at[tag] = time.monotonic_ns()
    await site.bare.publish(BARE, tag)


async def measure(site: Site, name: str, count: int) -> tuple[Sent, Sent]:
    """*count* of each; returns when all are everywhere."""
    chain, bare = Sent(), Sent()
    for number in range(count):
        tag = f"{name}-{number}"
        steps = [revoke(site, tag, chain), say(site, tag.encode(), bare)]
        random.shuffle(steps)
        for step in steps:
            await step
            await asyncio.sleep(random.uniform(*PAUSE))
    wanted = chain.at.keys() | bare.at.keys()
    await eventually(lambda: all(wanted <= p.read().keys() for p in site.pages), within=20)
    return chain, bare


def spread(site: Site, sent: Sent) -> Spread:
    """How long each took; the first messages only warm up."""
    heard = [page.read() for page in site.pages]
    rows = [
        [(notes[tag] - at) / 1e6 for notes in heard]
        for number, (tag, at) in enumerate(sent.at.items())
        if number >= WARM_UP
    ]
    return Spread([x for row in rows for x in row], [min(r) for r in rows], [max(r) for r in rows])


async def stages(site: Site, sent: Sent) -> dict[str, list[float]]:
    """What the server's own times of storing say about where the time goes, in ms.

    They are wall-clock times of the same machine, brought to the monotonic clock.
    """
    offset = time.time_ns() - time.monotonic_ns()
    heard = [page.read() for page in site.pages]
    parts: dict[str, list[float]] = {name: [] for name in STAGES}
    async with site.nats.connect("revocation") as bus:
        for tag, acked in list(sent.at.items())[WARM_UP:]:
            message = await bus.js.get_last_msg("BLOCKLIST", f"bl.{tag.decode()}")
            assert message.time is not None
            stored = int(message.time.timestamp() * 1e9) - offset
            applied = [notes[tag] for notes in heard]
            values = (stored - acked, min(applied) - stored, max(applied) - min(applied))
            for name, value in zip(STAGES, values, strict=True):
                parts[name].append(value / 1e6)
    return parts


STAGES = ("PubAck to BLOCKLIST", "BLOCKLIST to first edge", "first edge to last")


async def confirm(site: Site, name: str) -> None:
    """Over HTTP: allowed before, refused at every edge once its page says so."""
    for number in range(SPOT_CHECKS):
        sid = f"{name}-{number}"
        token = site.edges[0].token(sid=sid, jti=sid)
        before = {(await edge.check(bearer=token))[0] for edge in site.edges}
        sent = Sent()
        await revoke(site, sid, sent)
        tags = sent.at.keys()
        await eventually(lambda t=tags: all(t <= p.read().keys() for p in site.pages))
        after = {await edge.check(bearer=token) for edge in site.edges}
        if before != {200} or {status for status, _ in after} != {401}:
            raise RuntimeError(f"an edge lets a revoked session in: {before} then {after}")


async def report(site: Site, name: str, count: int) -> None:
    """Measure and print one case."""
    chain, bare = await measure(site, name, count)
    product, floor = spread(site, chain), spread(site, bare)
    print(
        f"{name}: {count - WARM_UP} revocations and bare publishes in turn, {len(site.pages)} edges"
    )
    print(f"  {'ms':34}{'p50':>8}{'p90':>8}{'p99':>8}{'max':>8}")
    rows = (
        ("bare publish, each edge", floor.each),
        ("bare publish, all edges", floor.last),
        ("revocation, each edge", product.each),
        ("revocation, all edges", product.last),
        *(await stages(site, chain)).items(),
    )
    for text, values in rows:
        print(f"  {text:34}{describe(values)}")
    for percent, goal in ((50, P50_GOAL), (99, P99_GOAL)):
        ratio = percentile(product.last, percent) / percentile(floor.last, percent)
        print(f"  p{percent} at all edges, of bare {ratio_at_most(ratio, goal)}")
    low, middle, high = statistics.quantiles(blocks(product.last, floor.last), n=4)
    print(
        f"  the same of p50, per block of {BLOCK}: {middle:.2f} (quartiles {low:.2f} to {high:.2f})"
    )
    print(flush=True)


BLOCK = 25


def blocks(product: list[float], floor: list[float]) -> list[float]:
    """The ratio of the medians of each block of messages that were sent close together."""
    starts = range(0, len(product) - BLOCK + 1, BLOCK)
    return [
        statistics.median(product[n : n + BLOCK]) / statistics.median(floor[n : n + BLOCK])
        for n in starts
    ]
