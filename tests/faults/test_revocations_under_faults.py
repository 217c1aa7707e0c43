"""Revocations under load while parts die, stop and are cut off: judged by the history of all that was answered.

`FAULT_ROUNDS=20 make faults` kills more often.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime

import pytest

from latchwire.records import Record, record_key
from shared.bus import Bus
from tests.support.cluster import ACK_WAIT, MAX_STALENESS, PATIENT, PRODUCTION, Fleet, now
from tests.support.load import BOUND, Load, under_load
from tests.support.proxy import Lost
from tests.support.revocation import Worker
from tests.support.servers import start_in_thread
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "2"))
BETWEEN = 20  # acknowledged revocations between two faults
UNNOTICED = (
    ACK_WAIT + 2.0
)  # seconds: what a dead worker held is another's then, on a busy machine too
CLOSED = 30.0  # seconds of patience; that nothing was let in after `BOUND` is read in the history
HEALED = 60.0  # seconds of patience until a part that was cut off is back
PADDING = 850  # bytes of a header that makes a record as large as BLOCKLIST takes
EACH, SPARE = 200, 32 << 20  # bytes that a record, and anything else, may cost an edge


@pytest.mark.parametrize("victim", ["nats", "redis", "edge-1", "workers"])
async def test_killed_under_load_no_acknowledged_revocation_is_lost_late_or_done_twice(
    fleet: Fleet, victim: str
) -> None:
    """kill -9, again and again: what was acknowledged is refused everywhere, in time, written once.

    Who does not need the dead part refuses no living token meanwhile.
    """
    parts = {"nats": fleet.nats, "redis": [fleet.redis], "workers": fleet.workers}
    victims = parts.get(victim) or [fleet.edges[victim]]
    # The patient one: for an edge whose bound is four seconds a worker's death is a close shave.
    unharmed = [] if victim == "nats" else [PATIENT]
    async with under_load(fleet) as load:
        await load.more(BETWEEN)
        async with load.all_well(*unharmed, within=UNNOTICED) if unharmed else nullcontext():
            for turn in range(ROUNDS):
                part = victims[turn % len(victims)]
                await part.restart()
                if isinstance(
                    part, Worker
                ):  # before the other one's turn: one of them is always there
                    await fleet.joined(part)
                await load.more(BETWEEN)
    await load.settle()
    assert load.violations() == []


async def test_both_revocation_workers_restarted_in_turn_nothing_is_refused_or_lost(
    fleet: Fleet,
) -> None:
    """The rolling restart of an upgrade (SIGTERM): no check notices, and revocations take effect as ever."""
    async with under_load(fleet) as load:
        await load.more(BETWEEN)
        async with load.all_well(PATIENT, within=UNNOTICED):
            for worker in fleet.workers:
                await asyncio.to_thread(worker.stop)
                await start_in_thread(worker)
                await fleet.joined(worker)
                await load.more(BETWEEN)
    await load.settle()
    assert load.violations() == []


@pytest.mark.parametrize("lost", [Lost.BOTH, Lost.UP, Lost.DOWN], ids=["both", "up", "down"])
async def test_an_edge_behind_a_silent_network_closes_in_time_is_named_and_heals(
    fleet: Fleet, lost: Lost
) -> None:
    """Packets vanish: that edge alone refuses, the operator is told when all is safe, and it heals."""
    cut_off, others = "edge-1", ("edge-2", "edge-3")
    async with under_load(fleet) as load:
        await load.more(BETWEEN)
        async with load.all_well(PATIENT):
            fleet.links[cut_off].swallow(lost)
            cut = now()
            said = await revoked_by_command(fleet, load)
            await eventually(lambda: is_unsure(load, cut_off), within=CLOSED)
            await load.more(BETWEEN)
            fleet.links[cut_off].heal()
            healed = now()
        await eventually(lambda: accepts(load, cut_off, since=healed), within=HEALED)
    await load.settle()

    assert said["exit"] == 3
    assert said["confirmed"] == {cut_off: False} | dict.fromkeys(others, True)
    served = [c for c in load.history.checks if c.edge == cut_off and c.seen == "accepted"]
    assert [c for c in served if cut + BOUND < c.began < healed] == []
    assert [c for c in served if c.sid == said["sid"] and c.began > said["safe_at"]] == []
    assert load.violations() == []


async def test_a_bus_that_stands_still_is_noticed_by_every_edge_and_costs_nothing(
    fleet: Fleet,
) -> None:
    """SIGSTOP of nats-server: connections stay, nothing is proven, edges close; SIGCONT, and all goes on."""
    impatient = [name for name in fleet.edges if name != PATIENT]
    async with under_load(fleet) as load:
        await load.more(BETWEEN)
        fleet.nats[0].signal(signal.SIGSTOP)
        stopped = now()
        try:
            for edge in impatient:
                await eventually(lambda edge=edge: is_unsure(load, edge), within=CLOSED)
        finally:
            fleet.nats[0].signal(signal.SIGCONT)
            woken = now()
        for edge in fleet.edges:
            await eventually(lambda edge=edge: accepts(load, edge, since=woken), within=HEALED)
        await load.more(BETWEEN)
    await load.settle()

    served = [c for c in load.history.checks if c.seen == "accepted" and c.edge in impatient]
    assert [c for c in served if stopped + BOUND < c.began < woken] == []
    assert load.violations() == []


async def test_one_of_two_revocation_workers_that_hangs_goes_unnoticed(fleet: Fleet) -> None:
    """SIGSTOP: it keeps its connection and its share of the questions, and answers none."""
    async with under_load(fleet) as load:
        await load.more(BETWEEN)
        async with load.all_well(PATIENT, within=PRODUCTION):
            fleet.workers[0].signal(signal.SIGSTOP)
            try:
                hung = now()
                await eventually(lambda: now() > hung + BOUND, within=BOUND + 1)
                await load.more(BETWEEN)
            finally:
                fleet.workers[0].signal(signal.SIGCONT)
    await load.settle()
    assert load.violations() == []


async def test_an_edge_that_nats_dropped_as_too_slow_catches_up_and_never_serves_stale(
    fleet: Fleet,
) -> None:
    """Its line takes nothing while thousands of records come: it closes, and then reads them all."""
    slow, link = fleet.edges["edge-1"], fleet.links["edge-1"]
    async with under_load(fleet, publishers=("auth",)) as load:
        await load.more(BETWEEN)
        before, lost = slow.resident_bytes(), lost_lines(fleet, "edge-1")
        async with load.all_well(PATIENT, within=PRODUCTION):
            link.swallow(Lost.DOWN)
            cut = now()
            async with fleet.bus("revocation") as bus:
                written = await flood(bus, until=lambda: lost_lines(fleet, "edge-1") > lost)
            await eventually(lambda: is_unsure(load, "edge-1"), within=CLOSED)
            link.heal()
            healed = now()
        await eventually(lambda: accepts(load, "edge-1", since=healed), within=HEALED)
    await load.settle(effects=False)

    served = [c for c in load.history.checks if c.edge == "edge-1" and c.seen == "accepted"]
    assert [c for c in served if cut + BOUND < c.began < healed] == []
    assert load.violations() == []
    assert slow.resident_bytes() - before < EACH * written + SPARE


async def revoked_by_command(fleet: Fleet, load: Load) -> dict[str, object]:
    """``latchwire revoke session``: what it said, its *safe_at* in monotonic seconds."""
    sid = load.session()
    load.history.begin(sid, sid, now())
    code, answer, complaints = await fleet.command(
        "revoke", "session", sid, "--reason", "test", "--timeout", "3"
    )
    load.history.acknowledge(sid, now())
    assert answer is not None, complaints
    until = datetime.fromisoformat(answer["safe_everywhere_at"])
    away = (until - datetime.now(UTC)).total_seconds()
    confirmed = {edge["edge_id"]: edge["confirmed"] for edge in answer["edges"]}
    return {"exit": code, "confirmed": confirmed, "safe_at": now() + away, "sid": sid}


def lost_lines(fleet: Fleet, edge: str) -> int:
    """How often *edge* was dropped by NATS as too slow, or gave its line up because no ping was heard."""
    dropped = [s for s in fleet.said().splitlines() if "Slow Consumer" in s and f"-{edge}" in s]
    return len(dropped) + fleet.edges[edge].log.read_text().count('"bus.disconnected"')


async def flood(bus: Bus, until: Callable[[], bool]) -> int:
    """Write records about nobody, as large as they may be, *until* something happens; how many."""
    life = MAX_STALENESS * 15
    body = Record(int((time.time() + life) * 1000)).pack()
    headers = {"X-Padding": "x" * PADDING}
    for number in range(0, 60_000, 500):
        acks = [
            await bus.js.publish_async(
                f"bl.{record_key(bytes(32), 'session', f'{bus.name}-{number + n}-{time.time()}')}",
                body,
                headers=dict(headers),
                msg_ttl=life,
            )
            for n in range(500)
        ]
        await asyncio.wait_for(asyncio.gather(*acks), 60)
        if until():
            return number + 500
    raise AssertionError("nothing happened")


def last_of(load: Load, edge: str) -> str:
    """What *edge* answered last about a living session."""
    found = (c for c in reversed(load.history.checks) if c.edge == edge and c.sid in load.alive)
    return next((check.seen for check in found), "")


def is_unsure(load: Load, edge: str) -> bool:
    """Whether *edge* refuses for want of a proof."""
    return last_of(load, edge) == "unsure"


def accepts(load: Load, edge: str, *, since: float) -> bool:
    """Whether *edge* has accepted a living session again."""
    checks = (c for c in reversed(load.history.checks) if c.edge == edge and c.began > since)
    return any(c.seen == "accepted" for c in checks)
