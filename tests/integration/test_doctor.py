"""The doctor on the bus: a good installation is clean, a leaky one is found out, and neither is changed."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctl import exits
from ctl.doctor.checks import BUS
from ctl.doctor.findings import Finding
from ctl.doctor.grants import judge_grants
from ctl.doctor.own_token import LIFETIME_MS, NAME, OwnToken, own_token
from ctl.token_desk import ask_tokens, keep_token, living
from shared import contract
from shared.redis import connect_redis
from shared.secrets import new_seed, write_private
from tests.conftest import BusFactory
from tests.support.auth_workers import running_workers
from tests.support.command_line import Answer, CommandLine
from tests.support.leaky_door import CATALOGUE, TOKEN, leaky_door
from tests.support.operators import session_of
from tests.support.revocation import environment
from tests.support.servers import (
    CREDENTIALS,
    NatsServer,
    RedisServer,
    Server,
    binary,
    free_port,
)
from tests.support.waiting import eventually

LEAKY_REDIS = {"maxmemory-policy": "allkeys-lru", "appendfsync": "everysec", "maxmemory": "0"}


@pytest.fixture
def latchwire(nats_server: NatsServer, tmp_path: Path) -> CommandLine:
    """The command line, set for the test's servers."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return CommandLine(environment(nats_server), folder)


@pytest.fixture
def open_nats(tmp_path: Path) -> Iterator[Server]:
    """A NATS that was started without our configuration."""
    port = free_port()
    command = [binary("nats-server"), "-a", "127.0.0.1", "-p", str(port)]
    server = Server(command, port, tmp_path / "open-nats.log")
    server.start()
    yield server
    server.kill()


def checks(findings: list[Finding]) -> set[tuple[str, str]]:
    """Which check failed for which credential."""
    return {(found.check, found.where) for found in findings}


async def test_credentials_as_the_contract_grants_them_are_clean(nats_server: NatsServer) -> None:
    """Every subject that is not theirs is refused to each of them by the server."""
    assert await judge_grants(nats_server.url, nats_server.secrets_dir) == ([], len(CREDENTIALS))


async def test_a_grant_that_is_too_wide_is_found_and_nothing_is_done_with_it(
    nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """Auth may publish everything and the mailer hear everything: no stream has a message more for it."""
    operator = await bus_of("operator")
    accounts = nats_server.log.parent / "accounts.conf"
    lines = accounts.read_text().splitlines()
    widen(lines, "auth", "publish")
    widen(lines, "mailer", "subscribe")
    accounts.write_text("\n".join(lines))
    await nats_server.restart()

    findings, _ = await judge_grants(nats_server.url, nats_server.secrets_dir)

    assert checks(findings) == {("bus.may_publish", "auth"), ("bus.may_hear", "mailer")}
    assert "publishes document.keys" in {found.seen for found in findings}
    assert "hears user.registered" in {found.seen for found in findings}
    for stream in contract.STREAMS:
        facts = await operator.js.stream_info(stream.name)
        assert facts.state.last_seq == 0, stream.name


def widen(lines: list[str], name: str, what: str) -> None:
    """Let *name* publish, or subscribe to, everything."""
    begin = lines.index(f"      # {name}")
    row = next(n for n in range(begin, len(lines)) if lines[n].strip().startswith(f"{what}:"))
    lines[row] = f'        {what}: {{ allow: [">"] }}'


async def test_a_nats_that_lets_anybody_in_is_found(
    nats_server: NatsServer, open_nats: Server
) -> None:
    """It was started without accounts.conf: nobody needs a credential, and each may do everything."""
    url = f"nats://127.0.0.1:{open_nats.port}"

    findings, _ = await judge_grants(url, nats_server.secrets_dir)

    assert ("bus.open", url) in checks(findings)
    assert {("bus.may_publish", name) for name in CREDENTIALS} <= checks(findings)


async def test_a_credential_nats_does_not_know_is_found(nats_server: NatsServer) -> None:
    """Somebody believes that this edge can be started."""
    write_private(nats_server.secrets_dir / "nats" / "edge-9.seed", new_seed())

    findings, _ = await judge_grants(nats_server.url, nats_server.secrets_dir)

    assert checks(findings) == {("bus.not_let_in", "edge-9")}


def test_every_check_of_the_bus_is_seen_failing() -> None:
    """`files.readable` among the facts, the others above."""
    seen = {"bus.open", "bus.may_publish", "bus.may_hear", "bus.not_let_in", "files.readable"}

    assert BUS.keys() == seen


async def test_a_leaky_installation_fails_the_command_with_each_leak_and_its_cure(
    nats_server: NatsServer, redis_server: RedisServer, secrets_dir: Path, latchwire: CommandLine
) -> None:
    """Redis as a cache, a gateway that believes everybody: exit 1, and nobody's secret in the answer."""
    (latchwire.folder / "services.yaml").write_text(CATALOGUE)
    copy = secrets_dir / "copy-of-a-key.pem"
    copy.write_text("readable\n")
    copy.chmod(0o644)  # whatever the umask here
    async with (
        running_workers(
            nats_server,
            redis_server,
            secrets_dir,
            doors=1,
            trusted_proxies="10.0.0.0/8,127.0.0.0/8",
        ),
        leaky_door() as port,
    ):
        async with connect_redis(redis_server.url) as redis:
            for name, value in LEAKY_REDIS.items():
                await redis.config_set(name, value)
        url, file = f"http://127.0.0.1:{port}", secrets_dir / "a-token"
        file.write_text(TOKEN)
        answer = await latchwire.run(
            "doctor", "--json", "--timeout", "1", "--through", url, "--token-file", str(file)
        )
        left = await latchwire.run("tokens", "list", "--json")
        words = await latchwire.run("doctor")

    assert answer.code == words.code == exits.FAILED, answer
    assert found_in(answer) >= {
        "redis.eviction", "redis.fsync", "redis.memory", "proxies.wide", "files.readable", "worker.silent",
        "door.open_route", "door.identity_passes", "door.internals", "door.redirects_away", "door.cors",
        "door.token_misplaced", "door.token_altered", "door.revoked_passes",
    }  # fmt: skip
    assert TOKEN not in answer.out + answer.err
    assert left.json["tokens"] == []  # its own was made, and is gone
    assert not found_in(answer) & {"bus.may_publish", "bus.may_hear", "worker.clock", "redis.clock"}
    assert "LEAK     redis.eviction" in words.out
    assert "cure:  maxmemory-policy noeviction" in words.out
    assert "nothing was sent to the front door" in words.err


async def test_the_doctors_own_token_is_gone_when_the_run_is_cut_off(
    nats_server: NatsServer, redis_server: RedisServer, secrets_dir: Path, bus_of: BusFactory
) -> None:
    """Ctrl-C in the middle revokes it; what a run that was killed has left is revoked by the next one."""
    session = session_of(await bus_of("operator"), nats_server)
    async with running_workers(nats_server, redis_server, secrets_dir, doors=1):
        left = await keep_token(session, NAME, scopes=(), lifetime_ms=LIFETIME_MS)
        made: list[OwnToken] = []

        async def cut_off() -> None:
            async with own_token(session) as own:
                assert isinstance(own, OwnToken)
                made.append(own)
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await cut_off()

        async def nobody_has_one() -> bool:
            return not await living(session, NAME)

        await eventually(nobody_has_one)
        rows = (await ask_tokens(session, NAME, revoked=True)).tokens
    assert {row.id for row in rows if row.revoked_at} == {left.row.id, made[0].id}
    assert made[0].token not in repr(made)


async def test_without_auth_there_is_no_token_of_its_own_and_the_reason_is_told(
    nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """The rest of the run goes on."""
    session = session_of(await bus_of("operator"), nats_server, timeout=1.0)

    async with own_token(session) as own:
        assert own == "auth does not answer"


async def test_what_is_out_of_reach_is_not_called_clean(
    nats_server: NatsServer, latchwire: CommandLine
) -> None:
    """No worker, no catalogue, and a door that is shut: exit 4, and each is named."""
    url = f"http://127.0.0.1:{free_port()}"
    answer = await latchwire.run("doctor", "--json", "--timeout", "1", "--through", url)

    assert answer.code == exits.UNREACHABLE, answer
    assert found_in(answer) == {"worker.silent", "catalogue.unread"}
    assert answer.json["unreachable"] == [f"{url} (nothing listens there)"]


async def test_without_a_bus_nothing_is_known(latchwire: CommandLine, tmp_path: Path) -> None:
    """As for every command: exit 4."""
    latchwire.variables["LATCHWIRE_NATS_URL"] = f"nats://127.0.0.1:{free_port()}"

    assert (await latchwire.run("doctor", "--timeout", "1")).code == exits.UNREACHABLE


async def test_from_outside_it_needs_no_bus(latchwire: CommandLine) -> None:
    """A machine with services.yaml and the address alone: what the front door shows."""
    (latchwire.folder / "services.yaml").write_text(CATALOGUE)
    latchwire.variables["LATCHWIRE_NATS_URL"] = f"nats://127.0.0.1:{free_port()}"
    async with leaky_door() as port:
        url = f"http://127.0.0.1:{port}"
        answer = await latchwire.run("doctor", "--no-bus", "--json", "--through", url)
    alone = await latchwire.run("doctor", "--no-bus")

    assert answer.code == exits.FAILED, answer
    assert found_in(answer) >= {"door.open_route", "door.header_opens", "door.cookies"}
    assert alone.code == exits.USAGE


@pytest.mark.parametrize("how", [(), ("--no-bus",)])
async def test_a_run_that_is_cut_off_is_not_clean(latchwire: CommandLine, how: tuple[str]) -> None:
    """Ctrl-C while it waits for its echo: exit 1, and it has said what it waits for."""
    port = str(free_port())
    async with leaky_door() as door:
        through = ("--through", f"http://127.0.0.1:{door}", "--echo", port)
        async with latchwire.process("doctor", *how, *through) as doctor:
            assert doctor.stderr is not None
            said = await doctor.stderr.readuntil(b"callers: [latchwire-doctor] }")
            doctor.send_signal(signal.SIGINT)
            code = await doctor.wait()

    assert code == exits.FAILED
    assert f"http://127.0.0.1:{port}".encode() in said


async def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    latchwire: CommandLine, tmp_path: Path
) -> None:
    """A token without a door, one of its own without a bus, a file that holds none, an echo of two ports."""
    door = ("--through", "http://localhost:1")
    (tmp_path / "words").write_text("two words")
    wrong = [
        ("--own-token",),
        (*door, "--no-bus", "--own-token"),
        (*door, "--token-file", str(tmp_path / "words")),
        (*door, "--token-file", str(tmp_path / "nothing")),
        (*door, "--echo", "99999"),
        (*door, "--echo", "9109", "--echo", "9110"),
    ]
    answers = [await latchwire.run("doctor", *words) for words in wrong]

    assert [answer.code for answer in answers] == [exits.USAGE] * len(wrong)
    assert "two words" not in answers[2].err


async def test_it_refuses_to_attack_what_is_not_this_installation(latchwire: CommandLine) -> None:
    """Before anything is sent: exit 2."""
    answer = await latchwire.run(
        "doctor", "--timeout", "1", "--through", "https://somebody-else.example"
    )
    nonsense = await latchwire.run("doctor", "--through", "ftp://localhost")
    stranger = ("--no-bus", "--through", "https://somebody-else.example")
    outside = await latchwire.run("doctor", *stranger)

    assert answer.code == nonsense.code == outside.code == exits.USAGE
    assert "attacks only what this installation serves" in answer.err


def found_in(answer: Answer) -> set[str]:
    """The checks that failed."""
    findings: list[dict[str, str]] = json.loads(answer.out)["findings"]
    return {found["check"] for found in findings}
