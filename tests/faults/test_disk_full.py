"""NATS has no room: what is not stored is not acknowledged, and nothing acknowledged is lost."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from shared import contract
from shared.bus import BusUnavailableError
from shared.bus.streams import apply_streams
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.messages import TokenRevoked
from tests.support.auth_workers import AuthWorkers, bearer, running_workers
from tests.support.revocation import Ledger, environment
from tests.support.servers import ROOT, NatsServer, RedisServer, make_nats
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.waiting import eventually

STORED, REFUSED = "01J00000000000000000000S1D", "01J00000000000000000000S1E"
UNREACHABLE = 4
PEOPLE = count()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Sixteen megabytes."""
    directory = tmp_path / "disk"
    directory.mkdir()
    with small_disk(directory, 16) as disk:
        yield disk


@pytest.fixture
def cramped(disk: SmallDisk, tmp_path: Path, secrets_dir: Path) -> Iterator[NatsServer]:
    """A nats-server whose store is on that disk; it was told of more room than there is."""
    home = tmp_path / "nats"
    server = make_nats(home, secrets_dir)
    config = home / "nats-server.conf"
    roomy = "jetstream {\n  max_file_store: 16GB\n"
    config.write_text(config.read_text().replace("jetstream {", roomy, 1))
    elsewhere = {str(home / "js"): str(disk.inside / "js")}
    server.command = disk.command(*(elsewhere.get(word, word) for word in server.command))
    server.start()
    yield server
    server.kill()


async def test_with_a_full_disk_nothing_is_acknowledged_until_there_is_room_and_nats_is_restarted(
    cramped: NatsServer, redis_server: RedisServer, disk: SmallDisk
) -> None:
    """503 to logins and logouts, an error to the operator; who is signed in stays so.

    A stream of nats-server 2.15 that once could not write refuses until the server is started again.
    """
    nats = cramped
    await nats.provision()
    async with running_workers(nats, redis_server, nats.secrets_dir, doors=1) as auth:
        staying, leaving = await auth.sign_in(), await auth.sign_in()
        assert (await revoked(nats, STORED))[0] == 0
        disk.fill()

        acknowledged = await revoked_until_refused(nats)
        assert await log_out(auth, leaving, 503)
        code, said = await revoked(nats, REFUSED)
        await eventually(lambda: asks(auth, 503), within=60)
        me = await auth.call("GET", "/auth/me", headers=bearer(staying["access_token"]))

        assert (code, me.status) == (UNREACHABLE, 200)
        assert "no PubAck on token.revoked" in said
        disk.clear()
        await nats.restart()
        await eventually(lambda: log_out(auth, leaving, 204), within=60)
        await eventually(lambda: asks(auth, 202), within=60)
        for sid in (STORED, *acknowledged):
            await eventually(partial(is_recorded, nats, sid), within=60)


async def test_a_full_stream_is_a_503_and_heals_by_itself(
    nats_server: NatsServer, redis_server: RedisServer
) -> None:
    """TOKEN at its limit refuses the newest instead of forgetting the oldest; with room all goes on."""
    nats = nats_server
    async with running_workers(nats, redis_server, nats.secrets_dir, doors=1) as auth:
        leaving = await auth.sign_in()
        assert (await revoked(nats, STORED))[0] == 0
        await bound_token(nats, 1)

        assert await log_out(auth, leaving, 503)
        code, said = await revoked(nats, REFUSED)
        assert await asks(auth, 202), "logins have a stream of their own"

        assert code == UNREACHABLE
        assert "no PubAck on token.revoked" in said
        await bound_token(nats, contract.TOKEN.max_bytes)
        await eventually(lambda: log_out(auth, leaving, 204), within=60)
        await eventually(lambda: is_recorded(nats, STORED))
        async with nats.connect("provisioner") as bus:
            assert await apply_streams(bus, SystemIds(), check=True) == []


async def revoked_until_refused(nats: NatsServer) -> list[str]:
    """Revoke until no acknowledgement comes (a file can still fill its last page); the acknowledged."""
    acknowledged: list[str] = []
    async with nats.connect("operator") as bus:
        while len(acknowledged) < 100:
            sid = SystemIds().ulid(SystemClock().now_ms())
            event = TokenRevoked(scope="session", sid=sid)
            try:
                await bus.publish(contract.TOKEN_REVOKED, event, within=1.5)
            except BusUnavailableError:
                return acknowledged
            acknowledged.append(sid)
    raise AssertionError("the disk is not full")


async def bound_token(nats: NatsServer, max_bytes: int) -> None:
    """Give TOKEN another limit."""
    async with nats.connect("provisioner") as bus:
        config = (await bus.js.stream_info("TOKEN")).config
        await bus.js.update_stream(config.evolve(max_bytes=max_bytes))


async def asks(auth: AuthWorkers, status: int) -> bool:
    """Somebody new asks for a link: whether the answer is *status*."""
    body = {"email": f"person-{next(PEOPLE)}@acme.com"}
    return (await auth.call("POST", "/auth/login", body)).status == status


async def log_out(auth: AuthWorkers, tokens: dict[str, str], status: int) -> bool:
    """Log out: whether the answer is *status*."""
    answer = await auth.call("POST", "/auth/logout", headers=bearer(tokens["access_token"]))
    return answer.status == status


async def is_recorded(nats: NatsServer, sid: str) -> bool:
    """Whether BLOCKLIST holds the session."""
    async with nats.connect("revocation") as bus:
        return await Ledger(bus, nats.secrets_dir).record("session", sid) is not None


async def revoked(nats: NatsServer, sid: str) -> tuple[int, str]:
    """``latchwire revoke session``: its exit code and what it complained of."""
    words = ["revoke", "session", sid, "--reason", "test", "--no-wait"]
    variables = environment(nats) | {"PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ctl", *words, env=variables, stderr=subprocess.PIPE
    )
    _, complaints = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, complaints.decode()
