"""The edge on the bus: its heartbeats are receipts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from latchwire.feed import RevocationFeed
from services.edge.adapters.feed_revocations import FeedRevocations
from services.edge.handlers.heartbeat import beat
from shared.clock import SystemClock
from shared.contract import EDGE_HEARTBEAT
from shared.messages import Heartbeat
from tests.conftest import BusFactory
from tests.support.edge import make_desk
from tests.support.feed import FOREVER, HASH_KEY, Writer, session_key
from tests.support.waiting import eventually


@asynccontextmanager
async def beating(bus_of: BusFactory) -> AsyncIterator[tuple[Writer, list[Heartbeat]]]:
    """Who writes revocations, and the heartbeats that an operator hears of the edge that applies them."""
    edge, operator = await bus_of("edge-1"), await bus_of("operator")
    writer = Writer(await bus_of("revocation"))
    await writer.answer_probes()
    beats: list[Heartbeat] = []

    async def heard(heartbeat: Heartbeat) -> None:
        beats.append(heartbeat)

    await operator.listen(EDGE_HEARTBEAT, heard)
    feed = RevocationFeed(edge.client, hash_key=HASH_KEY, api_prefix=edge.api_prefix)
    revocations = FeedRevocations(HASH_KEY)
    revocations.attach(feed)
    applied = asyncio.Event()
    feed.on_applied.append(lambda _key, _record: applied.set())
    async with feed, asyncio.TaskGroup() as group:
        task = group.create_task(
            beat(
                edge,
                edge_id="edge-1",
                revocations=revocations,
                checker=make_desk().checker,
                applied=applied,
                clock=SystemClock(),
            )
        )
        await eventually(lambda: beats and beats[-1].staleness_ms < 5_000)
        yield writer, beats
        task.cancel()


async def test_a_receipt_follows_a_revocation_at_once(bus_of: BusFactory) -> None:
    """The heartbeat after an applied record does not wait for the next second."""
    async with beating(bus_of) as (writer, beats):
        took: list[float] = []
        for number in range(
            5
        ):  # the next second's beat would take a second each time but for the first
            began = SystemClock().monotonic()
            seq = await writer.revoke(f"somebody {number}")
            await eventually(lambda seq=seq: beats[-1].seq == seq)
            took.append(SystemClock().monotonic() - began)

    assert sorted(took)[1] < 0.5, took
    assert beats[-1].edge_id == "edge-1"
    # Until the most patient route has closed too, "safe everywhere" would be untrue.
    assert beats[-1].max_staleness_ms == 60_000
    assert beats[-1].epoch != ""
    assert beats[-1].blocklist_size == 5


async def test_a_burst_of_revocations_has_few_receipts(bus_of: BusFactory) -> None:
    """Thousands a second from each of many edges would delay the very records they are about."""
    async with beating(bus_of) as (writer, beats):
        before = len(beats)
        # All at once: one after the other, on a slow machine, each would be a burst of its own.
        for number in range(200):
            key = session_key(f"somebody {number}")
            await writer.bus.js.publish_async(f"bl.{key}", FOREVER.pack())
        await writer.bus.js.publish_async_completed()
        await eventually(lambda: beats[-1].seq == 200)
        receipts = len(beats) - before

    assert receipts < 100
    assert beats[-1].blocklist_size == 200
