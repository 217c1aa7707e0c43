"""examples/erasing_service as a process with its own credential: asked by auth it erases, told to it stops."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from shared.bus import NoAnswerError
from shared.clock import SystemClock
from shared.contract import USER_ERASE, USER_REGISTERED
from shared.ids import SystemIds
from shared.messages import EraseUser, UserRegistered
from tests.conftest import BusFactory
from tests.support.servers import ROOT, NatsServer
from tests.support.waiting import PATIENCE, eventually

NOW = SystemClock().now_ms()
OLD, NEW = "ada@acme.com", "01J00000000000000000000ADA"


async def test_a_note_follows_its_person_and_goes_with_the_account(
    nats_server: NatsServer, bus_of: BusFactory, tmp_path: Path
) -> None:
    """Written before there were accounts, renamed when one is made, erased when it is deleted."""
    notes, ids = tmp_path / "notes", SystemIds()
    notes.mkdir()
    before, after = (notes / sub.encode().hex() for sub in (OLD, NEW))
    before.write_text("likes tea")
    auth = await bus_of("auth")
    question = EraseUser(
        deletion_id=ids.ulid(NOW), sub=NEW, email=OLD, requested_at=NOW, deadline=NOW + 1
    )
    variables = {
        "SECRETS": str(nats_server.secrets_dir),
        "NATS_URL": nats_server.url,
        "NOTES": str(notes),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / "erasing_service" / "app.py"),
        env={**os.environ, **variables},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        assert (await process.stderr.readline()).strip() == b"ready"
        registered = UserRegistered(id=ids.ulid(NOW), at=NOW, sub=NEW, previous_sub=OLD)
        await auth.publish(USER_REGISTERED, registered)
        await eventually(after.exists)
        answers = [await auth.ask(USER_ERASE.of("shop"), question, timeout=10) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()

    assert [answer.state for answer in answers] == ["done", "done"]
    assert code == 0
    assert list(notes.iterdir()) == []
    try:
        await auth.ask(USER_ERASE.of("shop"), question)
    except NoAnswerError:
        return
    raise AssertionError("it went on answering")
