"""``latchwire services``: a running NATS lets a new service in and puts a removed one out; others stay."""

import asyncio
import fcntl
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nats
import nats.errors
import pytest

from ctl import exits
from shared.secrets import load_seed
from tests.conftest import BusFactory
from tests.support.command_line import CommandLine
from tests.support.feed import Writer
from tests.support.servers import ROOT, NatsServer
from tests.support.waiting import eventually


@pytest.fixture
def state(nats_server: NatsServer, secrets_dir: Path, tmp_path: Path) -> Iterator[Path]:
    """The state directory of a running `up`, whose NATS is the test's."""
    from ctl.up.layout import write_accounts

    assert secrets_dir == tmp_path / "secrets"
    write_accounts(secrets_dir)
    accounts = tmp_path / "nats" / "accounts.conf"
    accounts.unlink()
    accounts.symlink_to(secrets_dir / "nats" / "accounts.conf")
    assert nats_server.process is not None
    run = {
        "url": "http://localhost:8080",
        "nats_url": nats_server.url,
        "secrets_dir": str(secrets_dir),
        "pids": {"nats": nats_server.process.pid},
    }
    (tmp_path / "run.json").write_text(json.dumps(run))
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield tmp_path


@pytest.fixture
def latchwire(state: Path, tmp_path: Path) -> CommandLine:
    """The command line, told nothing but the state directory."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return CommandLine({"PATH": "/usr/bin:/bin"}, folder)


async def test_a_service_is_let_in_at_once_and_its_example_runs(
    latchwire: CommandLine, state: Path, bus_of: BusFactory
) -> None:
    """What is printed is all it takes: seed, key, address; the others' connections live on."""
    operator = await bus_of("operator")
    writer = Writer(await bus_of("revocation"))
    await writer.answer_probes()
    await writer.revoke("somebody")

    added = await latchwire.run(
        "--context", str(state), "services", "add", "web", "--may-revoke", "session,token"
    )

    assert added.code == exits.DONE, added
    assert "NATS has read its accounts again and knows it" in added.err
    assert re.search(
        r"^may revoke +session, token, by token\.revoked\.by\.web$", added.out, re.MULTILINE
    )
    assert re.search(r"^inbox +_INBOX_service-web$", added.out, re.MULTILINE)
    assert load_seed(state / "secrets", "service-web") not in added.out + added.err
    assert re.search(
        r"^revocations: 1 proven \d+\.\d s ago$", await run_example(added.out), re.MULTILINE
    )
    assert operator.connected
    assert operator.reconnections == 0, "a new service costs nobody a connection"


async def run_example(printed: str) -> str:
    """Run the Python that was printed, as it stands; what it says."""
    code = printed[printed.index("import asyncio") :]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-",
        env={"PYTHONPATH": str(ROOT / "sdk" / "src")},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate(code.encode())
    return out.decode()


async def test_a_removed_service_is_put_out_at_once_and_for_good(
    latchwire: CommandLine, state: Path, nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """Its connection is closed by NATS, its copied seed opens nothing; the others' connections live on."""
    operator = await bus_of("operator")
    at = ("--context", str(state), "services")
    added = await latchwire.run(*at, "add", "web", "--may-revoke", "session", "--json")
    seed, closed = load_seed(state / "secrets", "service-web"), asyncio.Event()

    async def on_closed() -> None:
        closed.set()

    async def ignored(_error: Exception) -> None:
        return

    client = await nats.connect(
        nats_server.url,
        nkeys_seed_str=seed,
        allow_reconnect=False,
        closed_cb=on_closed,
        error_cb=ignored,
    )
    removed = await latchwire.run(*at, "remove", "web")
    listed = await latchwire.run(*at, "list", "--json")

    assert (added.code, removed.code) == (exits.DONE, exits.DONE)
    assert added.json["says"] == "token.revoked.by.web"
    await eventually(lambda: closed.is_set() or client.is_closed)
    with pytest.raises(nats.errors.Error):
        await nats.connect(
            nats_server.url, nkeys_seed_str=seed, allow_reconnect=False, error_cb=ignored
        )
    assert "web" not in listed.out
    assert operator.connected
    assert operator.reconnections == 0


async def test_without_a_running_nats_the_credential_is_made_and_that_is_said(
    latchwire: CommandLine, state: Path
) -> None:
    """No process is signalled by a number that an ended `up` left behind."""
    (state / "lock").unlink()

    added = await latchwire.run("--context", str(state), "services", "add", "web")
    listed = await latchwire.run("--context", str(state), "services", "list")

    assert added.code == exits.DONE, added
    assert "`up` does not run: NATS reads its accounts when it starts" in added.err
    assert re.search(r"^web +nothing +\S*service-web\.seed$", listed.out, re.MULTILINE)


async def test_in_a_production_it_says_how_nats_learns_of_it(
    latchwire: CommandLine, state: Path
) -> None:
    """Beside .env and secrets/: the commands for compose, the address on its network."""
    (latchwire.folder / ".env").write_text("LATCHWIRE_URL=https://auth.acme.com\n")
    (latchwire.folder / "secrets").symlink_to(state / "secrets")

    added = await latchwire.run("services", "add", "web", "--may-revoke", "subject")

    assert added.code == exits.DONE, added
    assert "docker compose kill --signal HUP nats" in added.err
    assert "the revocation workers read revokers.yaml again by themselves" in added.err
    assert "restart" not in added.err
    assert re.search(r"^nats +nats://nats:4222$", added.out, re.MULTILINE)
    assert (latchwire.folder / "revokers.yaml").read_text().endswith("web: [subject]\n")


async def test_what_cannot_be_is_refused_before_anything_is_made(
    latchwire: CommandLine, state: Path
) -> None:
    """With the cure."""
    for arguments, cure in (
        (("add", "Web"), "begins with a lower-case letter"),
        (("add", "web", "--may-revoke", "key"), "no service may revoke in scope 'key'"),
        (("remove", "nobody"), "there is no such service"),
    ):
        answer = await latchwire.run("--context", str(state), "services", *arguments)
        assert (answer.code, answer.out) == (exits.USAGE, "")
        assert cure in answer.err
