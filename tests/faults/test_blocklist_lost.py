"""BLOCKLIST is lost, purged, or put back from an older backup: edges refuse until it is whole again.

No credential of the product may do any of this; an administrator, a broken disk or a restore can.
"""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cluster import Fleet, now
from tests.support.load import Load, under_load
from tests.support.revocation import Worker
from tests.support.servers import start_in_thread
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

BETWEEN = 20  # acknowledged revocations before and after the backup
RESTORED = "restored"
UNSEEN = "restored, and a worker saw nothing of what was lost"
LOOKED = 150  # checks of the revoked while the operator has not yet acted


@pytest.mark.parametrize("loss", ["purged", "recreated", RESTORED, UNSEEN])
async def test_a_blocklist_that_lost_records_lets_no_revoked_token_in(
    fleet: Fleet, loss: str, tmp_path: Path
) -> None:
    """Neither before the operator acts nor after: edges know more, or refuse, and TOKEN is replayed."""
    with back_on_its_feet(fleet.workers[1]):
        async with under_load(fleet) as load:
            await load.more(BETWEEN)
            if loss in (RESTORED, UNSEEN):
                await back_up(fleet, tmp_path / "backup")
            if loss == UNSEEN:
                fleet.workers[1].signal(signal.SIGSTOP)
            await load.more(BETWEEN)
        await load.settle(effects=False)
        async with under_load(fleet, publishers=(), of=load):
            lost = now()
            await lose(fleet, loss, tmp_path / "backup")
            fleet.workers[1].signal(signal.SIGCONT)
            await fleet.workers[0].restart()
            await fleet.edges["edge-1"].restart()
            await checked(load, LOOKED)
            code, _, complaints = await fleet.command("streams", "apply", "--restored")
            assert code == 0, complaints
    await load.settle(effects=False)

    assert load.violations() == []
    acted = [c for c in load.history.checks if c.began > lost and c.sid not in load.alive]
    assert [check for check in acted if check.seen == "accepted"] == []


@contextmanager
def back_on_its_feet(worker: Worker) -> Iterator[None]:
    """However the block ends, *worker* does not stand still after it."""
    try:
        yield
    finally:
        worker.signal(signal.SIGCONT)


async def back_up(fleet: Fleet, copy: Path) -> None:
    """A copy of BLOCKLIST's files, taken while the server is down."""
    server = fleet.nats[0]
    server.stop()
    shutil.copytree(files_of(fleet), copy)
    await start_in_thread(server)


async def lose(fleet: Fleet, loss: str, backup: Path) -> None:
    """Have BLOCKLIST hold less than it held."""
    if loss == "purged":
        async with fleet.admin() as js:
            await js.purge_stream("BLOCKLIST")
        return
    server = fleet.nats[0]
    server.kill()
    shutil.rmtree(files_of(fleet))
    if loss in (RESTORED, UNSEEN):
        shutil.copytree(backup, files_of(fleet))
    await start_in_thread(server)


def files_of(fleet: Fleet) -> Path:
    """Where the server keeps BLOCKLIST."""
    return fleet.nats[0].log.parent / "js/jetstream/CORE/streams/BLOCKLIST"


async def checked(load: Load, count: int) -> None:
    """Return after *count* further checks of revoked tokens were answered at all."""

    def answered() -> int:
        return sum(c.sid not in load.alive and c.seen != "unanswered" for c in load.history.checks)

    goal = answered() + count
    await eventually(lambda: answered() >= goal, within=60)
