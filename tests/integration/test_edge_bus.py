"""The edge on the bus: it explains, it beats, and nobody who asks can use the answer for more."""

import asyncio

from latchwire.feed import RevocationFeed
from services.edge.adapters.feed_revocations import FeedRevocations
from services.edge.handlers.explain import explain
from services.edge.handlers.heartbeat import beat
from shared.clock import SystemClock
from shared.contract import EDGE_HEARTBEAT, OP_EXPLAIN
from shared.messages import ExplainRequest, Explanation, Heartbeat
from tests.conftest import BusFactory
from tests.support.edge import make_desk, token
from tests.support.feed import HASH_KEY, Writer
from tests.support.waiting import eventually


async def test_an_operator_asks_an_edge_why_a_token_is_refused(bus_of: BusFactory) -> None:
    """From the operator's account into the edges' and back."""
    edge, operator = await bus_of("edge-1"), await bus_of("operator")
    desk = make_desk()

    async def answer(request: ExplainRequest) -> Explanation:
        return explain(
            request, edge_id="edge-1", checker=desk.checker, revocations=desk.revocations
        )

    await edge.answer(OP_EXPLAIN, answer)
    good = token().decode()

    alone = await operator.ask(OP_EXPLAIN, ExplainRequest(token=good + "\n"))
    routed = await operator.ask(
        OP_EXPLAIN, ExplainRequest(token=good, host="localhost:8080", uri="/staff")
    )
    forged = await operator.ask(OP_EXPLAIN, ExplainRequest(token="x.y.z"))

    assert (alone.outcome, alone.reason, alone.sub) == ("allow", "token", "ada@example.com")
    assert (routed.outcome, routed.reason, routed.rule) == ("deny", "not_allowed", "staff")
    assert (forged.outcome, forged.reason, forged.sub) == ("deny", "token_invalid", "")


async def test_a_receipt_follows_a_revocation_at_once(bus_of: BusFactory) -> None:
    """The heartbeat after an applied record does not wait for the next second."""
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

        seq = await writer.revoke("somebody")
        await eventually(lambda: beats[-1].seq == seq, within=0.5)
        task.cancel()

    assert beats[-1].edge_id == "edge-1"
    # Until the most patient route has closed too, "safe everywhere" would be untrue.
    assert beats[-1].max_staleness_ms == 60_000
    assert beats[-1].epoch == feed.epoch
    assert beats[-1].blocklist_size == 1
