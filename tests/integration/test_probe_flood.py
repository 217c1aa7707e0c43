"""A guest that asks without end: the others keep their proof, and the worker its memory."""

import asyncio
from pathlib import Path

from shared import contract
from shared.bus import Bus
from shared.clock import SystemClock
from shared.messages import Freshness, Probe
from tests.conftest import BusFactory
from tests.integration.test_stolen_credentials import NOBODY, as_thief, opened_feed
from tests.support.revocation import make_worker
from tests.support.servers import NatsServer, start_in_thread
from tests.support.waiting import eventually

FLOOD = 60_000


async def ask_without_end(server: NatsServer, times: int) -> None:
    """A stolen edge's probes, as fast as they can be written; nobody reads the answers."""
    async with as_thief(server, "edge-1") as thief:
        for number in range(times):
            await thief.publish("revocation.probe", b"{}", reply="_INBOX_edge-1.x")
            if number % 2_000 == 0:
                await thief.flush()
                await asyncio.sleep(0)
        await thief.flush()


async def test_another_edge_keeps_its_proof_while_one_floods_the_probe(
    nats_server: NatsServer, secrets_dir: Path, tmp_path: Path
) -> None:
    """Sixty thousand at once: no proof gets older than a few seconds, none of them stays in memory.

    On a busy machine: than twice the time that writing the flood took. Were each answered, five times that.
    """
    worker = make_worker(nats_server, NOBODY, tmp_path)
    await start_in_thread(worker)
    try:
        async with opened_feed(nats_server, secrets_dir) as feed:
            await feed.wait_ready(60)
            clock, ended = SystemClock(), 0.0
            began = clock.monotonic()
            before, oldest = worker.resident_bytes(), 0.0
            async with asyncio.TaskGroup() as group:
                flood = group.create_task(ask_without_end(nats_server, FLOOD))

                def proof_from_after() -> bool:
                    nonlocal oldest, ended
                    oldest = max(oldest, feed.staleness_seconds())
                    ended = ended or (clock.monotonic() if flood.done() else 0.0)
                    return bool(ended) and feed.staleness_seconds() < clock.monotonic() - ended

                await eventually(proof_from_after, within=90)

            assert oldest < max(6.0, 2 * (ended - began)), (oldest, ended - began)
            assert worker.resident_bytes() - before < 60 << 20
    finally:
        worker.kill()


async def test_one_answer_serves_all_who_had_asked_before_it_was_begun(bus_of: BusFactory) -> None:
    """And nobody who asks while it is made: what they are told is of after their question."""
    made, gate = [0], asyncio.Semaphore(0)

    async def answer(_probe: Probe) -> Freshness:
        made[0] += 1
        number = made[0]
        await gate.acquire()
        return Freshness(epoch="e", last_seq=number, backlog_ms=0)

    worker, edge = await bus_of("revocation"), await bus_of("edge-1")
    await worker.answer_all(contract.BLOCKLIST_PROBE, answer)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(ask(edge))
        await eventually(lambda: made[0] == 1)
        late = [group.create_task(ask(edge)) for _ in range(100)]
        await asyncio.sleep(0)
        for bus in (edge, worker, worker):
            await bus.client.flush()
        gate.release()
        await first
        for _ in late:
            gate.release()

    assert first.result() == 1
    assert {task.result() for task in late} == {2}


async def ask(bus: Bus) -> int:
    """The number of the answer."""
    return (await bus.ask(contract.BLOCKLIST_PROBE, Probe(), timeout=5)).last_seq
