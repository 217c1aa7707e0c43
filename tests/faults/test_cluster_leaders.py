"""A NATS cluster of three that keeps three copies: leaders die under load, and one server is cut off."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from nats.errors import Error as NatsError
from nats.js.api import StreamInfo

from tests.support.cluster import Fleet, now, running_fleet
from tests.support.load import BOUND, Load, under_load
from tests.support.servers import start_in_thread
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(480),  # each lost leader is an election of five seconds or more
]

BETWEEN = 10  # acknowledged revocations between two deaths
SILENCE = 2.5  # seconds after which a leader that hears no majority proves nothing (adr/0015)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Three servers, two workers, three edges."""
    directory = tmp_path_factory.mktemp("cluster")
    async with running_fleet(directory, servers=3) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="module")
async def fleet(started: Fleet) -> Fleet:
    """All of it, running and ready."""
    await started.start()
    return started


async def test_leaders_that_die_under_load_cost_no_acknowledged_revocation(fleet: Fleet) -> None:
    """kill -9 of BLOCKLIST's leader, of TOKEN's, and again: all stored, applied everywhere, once, in time."""
    outages = {}
    async with under_load(fleet) as load:
        await load.more(BETWEEN)
        for turn, stream in enumerate(("BLOCKLIST", "TOKEN", "BLOCKLIST")):
            victim = fleet.nats[await leader(fleet, stream)]
            victim.kill()
            killed = now()
            await eventually(lambda since=killed: in_force(load, since), within=60)
            outages[f"{stream} {turn}"] = round(now() - killed, 2)
            await start_in_thread(victim)
            await eventually(lambda: all_current(fleet), within=60)
            await load.more(BETWEEN)
    await load.settle()
    assert load.violations() == []
    print(f"until a revocation was in force everywhere again (s): {outages}")


async def test_a_leader_that_was_cut_off_proves_nothing(fleet: Fleet) -> None:
    """It believes itself the leader for ten seconds: an edge that hears only it must not believe it so long.

    Meanwhile the two others elect another and acknowledge a revocation that it knows nothing of.
    """
    alone, edge = 0, "edge-1"
    assert fleet.cluster is not None
    for part in (fleet.edges[edge], fleet.workers[alone]):
        await part.restart()  # each begins at the server that will be alone
    await fleet.whole()
    await eventually(lambda: all_current(fleet), within=60)
    await move_leaders(fleet, alone)
    await fleet.whole()
    async with under_load(fleet, publishers=()) as load, ClientSession() as http:
        async with fleet.bus("auth", fleet.nats[1].url) as bus:
            victim = load.session()
            await eventually(lambda: is_accepted(load, http, edge, victim))
            fleet.cluster.cut_off(alone)
            cut = now()
            await load.revoke(bus, victim)
            closed = cut + SILENCE + BOUND
            while now() < closed + 1:
                await load.check(http, edge, victim)
        fleet.cluster.heal()
    await load.settle()

    checks = [check for check in load.history.checks if check.edge == edge]
    assert [
        c for c in checks if c.seen == "accepted" and c.sid == victim and c.began > closed
    ] == []
    assert load.violations() == []


async def is_accepted(load: Load, http: ClientSession, edge: str, sid: str) -> bool:
    """Whether *edge* lets the session in."""
    return await load.check(http, edge, sid) == "accepted"


async def leader(fleet: Fleet, stream: str) -> int:
    """Which server leads *stream*."""

    async def named() -> str | None:
        info = await info_of(fleet, stream)
        return info.cluster.leader if info and info.cluster else None

    return int((await eventually(named, within=60)).removeprefix("n"))


async def all_current(fleet: Fleet) -> bool:
    """Whether each server has all of each stream."""
    for stream in ("TOKEN", "BLOCKLIST"):
        info = await info_of(fleet, stream)
        copies = info.cluster.replicas if info and info.cluster else None
        if len(copies or ()) != 2 or not all(copy.current for copy in copies or ()):
            return False
    return True


async def info_of(fleet: Fleet, stream: str) -> StreamInfo | None:
    """What the leader of *stream* says, None while there is none."""
    try:
        async with fleet.admin() as js:
            return await js.stream_info(stream)
    except (TimeoutError, NatsError):
        return None


async def move_leaders(fleet: Fleet, number: int) -> None:
    """Have server *number* lead TOKEN, its consumer and BLOCKLIST."""
    name = f"n{number}"
    body = json.dumps({"placement": {"preferred": name}}).encode()
    for group in ("STREAM.{}.TOKEN", "STREAM.{}.BLOCKLIST", "CONSUMER.{}.TOKEN.revocation"):

        async def moved(group: str = group) -> bool:
            try:
                async with fleet.admin() as js:
                    stepdown = f"$JS.API.{group.format('LEADER.STEPDOWN')}"
                    await js._nc.request(stepdown, body, timeout=2)
                    info = await js._nc.request(f"$JS.API.{group.format('INFO')}", timeout=2)
            except (TimeoutError, NatsError):
                return False  # an election is under way
            return bool(json.loads(info.data).get("cluster", {}).get("leader") == name)

        await eventually(moved, within=60)


def in_force(load: Load, since: float) -> bool:
    """Whether a session whose revocation was begun after *since* is refused by every edge."""
    begun = {sid for sid, began in load.history.attempted.items() if began > since}
    refused = {(c.edge, c.sid) for c in load.history.checks[-500:] if c.seen == "revoked"}
    return any(all((edge, sid) in refused for edge in load.fleet.edges) for sid in begun)
