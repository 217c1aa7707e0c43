"""`status`, `gateway status` and `catalogue apply` ask the workers instead of calling everything healthy."""

import argparse
import json
from functools import partial

import pytest

from ctl import exits
from ctl.commands import gateway
from ctl.commands.publish_catalogue import _apply
from ctl.commands.status import NO_PROOF, _look
from ctl.documents import DocumentDesk, Words
from ctl.parts import AWAY, ask_parts
from ctl.session import Session
from shared.contract import OP_EDGES_LIST, Role
from shared.messages import EdgeList, Heartbeat, ListEdges, SeenEdge
from tests.conftest import BusFactory
from tests.support.operators import session_of
from tests.support.parts import say_ready
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

AUTH, MAILER, REVOCATION = AWAY[Role.AUTH], AWAY[Role.MAILER], AWAY[Role.REVOCATION]
LAGS = "blocklist: its end is not known"
REDIS = "store: Redis does not answer: nobody can sign in or renew"


async def healthy(session: Session, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `gateway status` finds wrong; its exit code and its one word agree with it."""
    arguments = argparse.Namespace(context=None)
    code = await gateway._status(session, arguments=arguments)
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    word = "unhealthy" if facts["problems"] else "healthy"
    assert (code, facts["status"]) == (exits.FAILED if facts["problems"] else exits.DONE, word)
    return list(facts["problems"])


async def all_ready(_asked: ListEdges) -> EdgeList:
    """One edge, which lets people in."""
    beat = Heartbeat(
        edge_id="edge-1", at=1, epoch="e", seq=0, ready=True, staleness_ms=0, blocklist_size=0
    )
    return EdgeList(edges=(SeenEdge(beat=beat, age_ms=1),), whole=True)


async def test_both_status_commands_say_who_is_away_and_who_cannot_work(
    nats_server: NatsServer, bus_of: BusFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """All away; all there; then a revocation worker that lags; two of auth, of which one has no Redis."""
    session = session_of(await bus_of("operator"), nats_server)
    revocation = await bus_of("revocation")
    await revocation.answer(OP_EDGES_LIST, all_ready)

    async def tells(*said: str, unsaid: tuple[str, ...] = (), unhealthy: list[str]) -> None:
        """Both commands, which wait half a second for answers: once more where this machine paused."""

        async def told() -> bool:
            overview = await _look(session)
            lines = {*overview.problems, *overview.warnings}
            return lines.issuperset(said) and lines.isdisjoint(unsaid)

        async def agrees() -> bool:
            return await healthy(session, capsys) == unhealthy

        await eventually(told)
        await eventually(agrees)

    # That the worker is away is said once.
    await tells(AUTH, MAILER, REVOCATION, unsaid=(NO_PROOF,), unhealthy=[AUTH, REVOCATION])

    # It is there now, and answers no probe.
    await say_ready(await bus_of("auth"), await bus_of("mailer"), revocation)
    await tells(NO_PROOF, unsaid=(AUTH, MAILER, REVOCATION), unhealthy=[])

    await say_ready(await bus_of("revocation"), problems=(LAGS,))
    behind = f"revocation (here, process 1): {LAGS}"
    await tells(behind, unhealthy=[behind])

    await say_ready(await bus_of("auth"), problems=(REDIS,), notes=("signing key: old",))
    line, note = f"auth (here, process 1): {REDIS}", "auth (here, process 1): signing key: old"
    await tells(line, note, behind, unhealthy=[line, behind])

    async def both() -> bool:
        (auth,) = await ask_parts(session, Role.AUTH)
        return len(auth.told) == 2

    await eventually(both)


class Served(DocumentDesk):
    """All edges have every generation at once."""

    async def words(self, generation: int, timeout: float) -> Words:
        return Words(generation, (), whole=True)


async def test_a_catalogue_that_nobody_tells_the_gateway_of_is_not_said_to_be_routed(
    nats_server: NatsServer, bus_of: BusFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every edge has it and Traefik has no route: exit 3, and why."""
    session = session_of(await bus_of("operator"), nats_server)
    desk = Served(session, "catalogue")
    await desk.open()
    apply = partial(_apply, session, desk, text="services: {}\n")

    assert await apply() == exits.PARTLY
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["auth"] is False

    await say_ready(await bus_of("auth"))
    assert await apply() == exits.DONE
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["auth"] is True
