"""`status`, `gateway status` and `catalogue apply` ask auth instead of calling everything healthy."""

import argparse
import json
from functools import partial

import pytest

from ctl import exits
from ctl.commands import gateway
from ctl.commands.publish_catalogue import _apply
from ctl.commands.status import _look
from ctl.documents import DocumentDesk, Words
from ctl.parts import AWAY, ask_parts
from ctl.session import Session
from shared.contract import OP_EDGES_LIST, Role
from shared.messages import EdgeList, Heartbeat, ListEdges, SeenEdge
from tests.conftest import BusFactory
from tests.support.operators import session_of
from tests.support.parts import say_ready
from tests.support.servers import NatsServer

AUTH, MAILER = AWAY[Role.AUTH], AWAY[Role.MAILER]
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
    """Auth and mailer away; both there; then two of auth, of which one has no Redis."""
    session = session_of(await bus_of("operator"), nats_server)
    await (await bus_of("revocation")).answer(OP_EDGES_LIST, all_ready)

    assert {AUTH, MAILER} <= set((await _look(session)).problems)
    assert await healthy(session, capsys) == [AUTH]

    await say_ready(await bus_of("auth"), await bus_of("mailer"))
    assert not {AUTH, MAILER} & set((await _look(session)).problems)
    assert await healthy(session, capsys) == []

    await say_ready(await bus_of("auth"), problems=(REDIS,), notes=("signing key: old",))
    told = await _look(session)
    line = f"auth (here, process 1): {REDIS}"
    assert line in told.problems
    assert "auth (here, process 1): signing key: old" in told.warnings
    assert await healthy(session, capsys) == [line]
    (auth,) = await ask_parts(session, Role.AUTH)
    assert len(auth.told) == 2


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
