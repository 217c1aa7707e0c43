"""A rotation by itself: how long the new key waits, and what is said when something cannot be kept in step."""

import asyncio
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ctl import exits
from ctl.commands import keys
from ctl.key_desk import KeyDesk
from ctl.session import Session
from shared import contract
from shared.bus import Bus
from shared.clock import SystemClock
from shared.messages import EdgeList, Heartbeat, KeyRotated, ListEdges, SeenEdge
from tests.conftest import BusFactory
from tests.support.command_line import CommandLine
from tests.support.key_house import session_of
from tests.support.revocation import environment
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

SETTLE_MS = 12_000
ROTATE = partial(keys._rotate, algorithm=None, settle=None)


class ShiftedClock(SystemClock):
    """The machine's clocks; the wall clock goes *ahead_ms* before."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


async def play_worker(bus: Bus, window_ms: int = SETTLE_MS, edges: tuple[str, ...] = ()) -> None:
    """Answer as a revocation worker that knows of *edges*, none of which takes a document."""
    beats = [
        Heartbeat(edge_id=n, at=1, epoch="e", seq=0, ready=True, staleness_ms=0, blocklist_size=0)
        for n in edges
    ]

    async def told(_question: ListEdges) -> EdgeList:
        seen = tuple(SeenEdge(beat=beat, age_ms=1) for beat in beats)
        return EdgeList(edges=seen, whole=True, listening_ms=60_000, window_ms=window_ms)

    await bus.answer(contract.OP_EDGES_LIST, told)


async def opened(session: Session) -> KeyDesk:
    """A fresh look at the keys."""
    desk = KeyDesk(session)
    await desk.open()
    return desk


async def test_the_new_key_signs_only_when_the_quietest_reader_has_had_the_time(
    nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """Auth and services send no heartbeat: no edge is live, and 12 s pass all the same."""
    await play_worker(await bus_of("revocation"))
    said: list[KeyRotated] = []

    async def heard(event: KeyRotated) -> None:
        said.append(event)

    operator, clock = await bus_of("operator"), ShiftedClock()
    await operator.listen(contract.KEY_ROTATED, heard)
    session = replace(session_of(nats_server, operator), clock=clock)
    desk = await opened(session)
    before = desk.body.sign_with
    async with asyncio.TaskGroup() as group:
        rotation = group.create_task(ROTATE(session, desk))
        await eventually(lambda: len(said) == 1)
        clock.ahead_ms = SETTLE_MS - 10_000
        assert (await opened(session)).body.sign_with == before
        clock.ahead_ms = SETTLE_MS

    assert rotation.result() == exits.DONE
    await eventually(lambda: len(said) == 2)
    assert [event.change for event in said] == ["added", "used"]
    assert said[1].at - said[0].at >= SETTLE_MS


async def test_a_pause_that_is_too_short_for_this_installation_is_refused(
    nats_server: NatsServer, bus_of: BusFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where proofs may be a minute old: exit 2 with the reason, and the old key goes on."""
    await play_worker(await bus_of("revocation"), window_ms=62_000)
    session = session_of(nats_server, await bus_of("operator"))
    desk = await opened(session)
    before = desk.body.sign_with

    code = await keys._rotate(session, desk, algorithm=None, settle=15.0)

    assert code == exits.USAGE
    assert "somebody may go by what was true 62 s ago" in capsys.readouterr().err
    assert (await opened(session)).body.sign_with == before


async def test_start_files_that_cannot_be_kept_in_step_are_told_loudly(
    nats_server: NatsServer, bus_of: BusFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who starts without the document would go by an old key: exit 3 instead of 0, for each command."""
    await play_worker(await bus_of("revocation"))
    latchwire = session_of(nats_server, await bus_of("operator"))
    desk = await opened(latchwire)
    await desk.publish_next(None)
    path = nats_server.secrets_dir / "jwks.json"
    path.rename(path.with_suffix(".away"))
    path.mkdir()

    desk = await opened(latchwire)
    assert desk.code(exits.DONE) == exits.DONE
    await keys._rotate(latchwire, desk, algorithm=None, settle=None, least=lambda _desk: 0.1)

    assert [desk.code(code) for code in (exits.DONE, exits.FAILED)] == [exits.PARTLY, exits.FAILED]
    assert f"{path} CANNOT BE WRITTEN" in capsys.readouterr().err


async def test_the_kill_switch_with_a_silent_edge_is_exit_3_with_the_time_at_which_all_is_safe(
    nats_server: NatsServer, bus_of: BusFactory, tmp_path: Path
) -> None:
    """The edge that says nothing is named; in JSON the time is ISO 8601, UTC, as that of `revoke`."""
    await play_worker(await bus_of("revocation"), edges=("edge-1",))
    desk = await opened(session_of(nats_server, await bus_of("operator")))
    folder = tmp_path / "folder"
    folder.mkdir()
    latchwire = CommandLine(environment(nats_server), folder)
    kill = ("keys", "compromise", "--yes", "--timeout", "3")

    began = SystemClock().now_ms()
    words = await latchwire.run(*kill, desk.body.sign_with)
    second = (await opened(desk.session)).body.sign_with
    told = await latchwire.run(*kill, second, "--json")

    assert (words.code, told.code) == (exits.PARTLY, exits.PARTLY), (words, told)
    assert "edge-1      is silent" in words.out
    assert "safe everywhere at " in words.out
    assert "edge-1      still has generation 0" in words.out
    assert told.json["revoked"] == {
        "complete": False,
        "edges": [{"edge_id": "edge-1", "after_ms": None}],
    }
    assert str(told.json["safe_everywhere_at"]) > keys.date_time(began + SETTLE_MS)
    listed = await latchwire.run("keys", "list", "--json")
    rows = json.loads(listed.out)["keys"]
    assert all(row["since"] is None or row["since"].endswith("Z") for row in rows)
