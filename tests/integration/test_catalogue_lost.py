"""The stream DOCUMENT is lost: nobody goes by a looser file without an operator being told."""

import json
import shutil
from dataclasses import replace
from functools import partial

import pytest

from ctl.commands import streams
from ctl.commands.publish_catalogue import _apply
from ctl.commands.status import _look
from ctl.documents import DocumentDesk
from ctl.lost_catalogue import kept_generation
from shared.bus import Bus
from shared.contract import OP_DOCTOR_FACTS
from shared.messages import AskFacts, WorkerFacts
from tests.conftest import BusFactory
from tests.support.key_house import CATALOGUE, session_of
from tests.support.servers import NatsServer, start_in_thread

TELL = "no catalogue document: an edge goes by its own services.yaml"


async def auth_remembers(bus: Bus, generation: int) -> None:
    """An auth that was not started again since."""

    async def tell(_asked: AskFacts) -> WorkerFacts:
        return WorkerFacts(worker="auth", at=1, catalogue_generation=generation)

    await bus.answer(OP_DOCTOR_FACTS.of("auth"), tell, everyone=True)


async def test_a_stream_that_is_made_anew_warns_that_files_count_again(
    nats_server: NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """`streams apply` mends it and says what that means; where nothing was lost it says nothing of the kind."""
    apply = partial(streams._apply, check=False, replicas=None, restored=False)
    async with nats_server.connect("provisioner") as bus:
        session = replace(session_of(nats_server, bus), json=False)
        await apply(session)
    assert TELL not in capsys.readouterr().err

    nats_server.kill()
    folders = list((nats_server.log.parent / "js").rglob("streams/DOCUMENT"))
    assert folders
    for folder in folders:
        shutil.rmtree(folder)
    await start_in_thread(nats_server)
    async with nats_server.connect("provisioner") as bus:
        await apply(replace(session_of(nats_server, bus), json=False))

    told = capsys.readouterr()
    assert "stream DOCUMENT: absent -> present (mended)" in told.out
    assert TELL in told.err


async def test_a_catalogue_that_auth_remembers_and_the_stream_lost_is_a_problem(
    nats_server: NatsServer, bus_of: BusFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """`status` fails with the cure; what is applied then is above auth's, or auth would not take it."""
    session = session_of(nats_server, await bus_of("operator"), timeout=0.5)
    plain = await _look(session)
    assert not any("the catalogue in force is lost" in line for line in plain.problems)
    assert any(line.startswith(TELL) for line in plain.warnings)

    await auth_remembers(await bus_of("auth"), 12)
    lost = await _look(session)
    assert any(
        "the catalogue in force is lost: auth has generation 12" in line for line in lost.problems
    )
    assert not any(line.startswith(TELL) for line in lost.warnings)

    desk = DocumentDesk(session, "catalogue")
    await desk.open()
    await _apply(session, desk, text=CATALOGUE)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["generation"] == 13
    assert await kept_generation(session) == 13
