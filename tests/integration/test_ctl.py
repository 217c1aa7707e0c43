"""The operator's commands as processes, against real NATS, revocation workers and edges."""

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctl import exits
from shared import contract
from shared.bus import Bus
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.messages import (
    ImportProblem,
    ImportReport,
    ImportUsers,
    LoginSucceeded,
    SetUser,
    ShowUser,
    UserState,
)
from tests.conftest import BusFactory
from tests.support.command_line import CommandLine
from tests.support.edge_process import make_edge
from tests.support.parts import say_ready
from tests.support.revocation import Ledger, Worker, environment, make_worker
from tests.support.servers import (
    START_DEADLINE,
    NatsServer,
    Server,
    free_port,
    start_in_thread,
)
from tests.support.tokens import jwks, make_claims, sign
from tests.support.waiting import PATIENCE, eventually

ADA = "ada@example.com"
SID = "01J00000000000000000000S1D"
NOBODY = "redis://127.0.0.1:1/0"
STALENESS = 4  # seconds; a worker knows every edge when it has listened two longer than that
DEMO = "services: {demo: {paths: [/demo], upstream: http://127.0.0.1:9}}"


@pytest.fixture
def latchwire(nats_server: NatsServer, tmp_path: Path) -> CommandLine:
    """The command line, set for the test's servers."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return CommandLine(environment(nats_server), folder)


@pytest.fixture
def processes() -> Iterator[list[Server]]:
    """Whatever is put here is killed at the end."""
    started: list[Server] = []
    yield started
    for process in started:
        process.kill()


@pytest.fixture
async def fleet(
    nats_server: NatsServer, tmp_path: Path, processes: list[Server], bus_of: BusFactory
) -> list[Server]:
    """A revocation worker and two edges, all ready: ``[worker, edge-1, edge-2]``."""
    (nats_server.secrets_dir / "jwks.json").write_text(json.dumps(jwks()), "ascii")
    bound = str(STALENESS)
    processes.append(make_worker(nats_server, NOBODY, tmp_path, MAX_STALENESS=bound))
    processes.extend(
        make_edge(nats_server, tmp_path, edge_id=name, services=DEMO, max_staleness=bound)
        for name in ("edge-1", "edge-2")
    )
    await asyncio.gather(*(start_in_thread(process) for process in processes))
    await edges_ready(await bus_of("operator"), 2)
    return processes


async def edges_ready(bus: Bus, count: int) -> None:
    """Return when so many edges say that they are."""
    ready: set[str] = set()

    async def heard(beat: contract.m.Heartbeat) -> None:
        if beat.ready:
            ready.add(beat.edge_id)

    await bus.listen(contract.EDGE_HEARTBEAT, heard)
    await eventually(lambda: len(ready) >= count, within=60)


async def test_a_revocation_is_confirmed_by_each_edge(
    fleet: list[Server], latchwire: CommandLine
) -> None:
    """One line per edge with the time it took; exit 0; the first line says where and as whom."""
    answer = await latchwire.run("revoke", "person", "Ada@Example.com", "--reason", "stolen")

    assert answer.code == exits.DONE, answer
    assert answer.err.splitlines()[0].startswith("latchwire http://localhost:8080 (")
    assert answer.err.splitlines()[0].endswith("as operator")
    assert "edge-1      refuses after " in answer.out
    assert "edge-2      refuses after " in answer.out
    assert "2 of 2 live edges refuse" in answer.out
    assert re.search(r"^applied     BLOCKLIST \d+$", answer.out, re.MULTILINE), (
        "its own word was heard"
    )


async def test_the_token_it_names_is_refused_by_the_edge_that_confirmed(
    fleet: list[Server], latchwire: CommandLine
) -> None:
    """What "refuses" claims, asked of an edge: allowed before, revoked after, and why."""
    now = SystemClock().now_ms()
    token = sign(make_claims(now_ms=now, sid=SID)).decode()
    before = await latchwire.run("explain", "--token-stdin", "--json", stdin=token)

    await latchwire.run("revoke", "session", SID, "--reason", "test")
    after = await latchwire.run("explain", "--token-stdin", "--json", stdin=token + "\n")
    words = await latchwire.run(
        "explain", "--token-stdin", "--request", "GET https://localhost/demo", stdin=token
    )

    assert before.json["outcome"] == "allow"
    assert (after.json["outcome"], after.json["reason"]) == ("deny", "token_revoked")
    assert "token_revoked" in words.out
    assert ADA not in before.out + after.out + words.out, "an address is shown masked"
    assert token not in words.out + words.err


async def test_a_silent_edge_is_named_with_the_time_everything_is_safe(
    fleet: list[Server], latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """An edge that hangs after its last heartbeat: exit 3, the other's receipt, and when."""
    ghost = await bus_of("edge-2")
    fleet[2].kill()
    beat = silent_beat()
    began = SystemClock().now_ms()
    answering = asyncio.ensure_future(
        latchwire.run("--json", "--timeout", "4", "revoke", "session", SID, "--reason", "test")
    )

    async def beating() -> bool:
        await ghost.signal(contract.EDGE_HEARTBEAT.of("edge-2"), beat)
        return answering.done()

    await eventually(beating, within=60)
    answer = answering.result()

    assert answer.code == exits.PARTLY, answer
    edges = {edge["edge_id"]: edge["confirmed"] for edge in answer.json["edges"]}  # type: ignore[attr-defined]
    assert edges == {"edge-1": True, "edge-2": False}
    assert str(answer.json["safe_everywhere_at"]).endswith("Z")
    assert answer.json["safe_everywhere_at"] > utc(began + 10_000)  # type: ignore[operator]


def silent_beat(*, max_staleness_ms: int = 10_000) -> contract.m.Heartbeat:
    """The last word of edge-2, which has applied nothing."""
    return contract.m.Heartbeat(
        edge_id="edge-2",
        at=SystemClock().now_ms(),
        epoch="",
        seq=0,
        ready=True,
        staleness_ms=0,
        blocklist_size=0,
        max_staleness_ms=max_staleness_ms,
    )


async def whole_roll(bus: Bus) -> contract.m.EdgeList:
    """The worker's roll, once it has listened long enough to know every edge."""

    async def told() -> contract.m.EdgeList | None:
        answer = await bus.ask(contract.OP_EDGES_LIST, contract.m.ListEdges())
        return answer if answer.whole else None

    return await eventually(told, within=60)


async def test_an_edge_that_was_cut_off_just_before_is_not_forgotten(
    fleet: list[Server], latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """It says nothing during the command and may still let people in: named, exit 3, and when it is safe."""
    operator, cut_off = await bus_of("operator"), await bus_of("edge-2")
    fleet[2].kill()
    last = silent_beat(max_staleness_ms=120_000)

    async def remembered() -> bool:
        await cut_off.signal(contract.EDGE_HEARTBEAT.of("edge-2"), last)
        told = await operator.ask(contract.OP_EDGES_LIST, contract.m.ListEdges())
        return last in [seen.beat for seen in told.edges]

    await eventually(remembered)

    answer, listed = await asyncio.gather(
        latchwire.run("--timeout", "4", "revoke", "session", SID, "--reason", "test"),
        latchwire.run("edges", "list"),
    )

    assert answer.code == exits.PARTLY, answer
    assert "edge-1      refuses after " in answer.out
    assert "edge-2      has not confirmed" in answer.out
    assert "everywhere  " not in answer.out
    assert "safe everywhere at " in answer.out
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == ["edge-1", "edge-2"]


async def test_an_edge_that_has_closed_by_itself_is_waited_for_no_longer(
    fleet: list[Server], latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """Its proof is too old to let anybody in: done as soon as that is sure."""
    await whole_roll(await bus_of("operator"))
    fleet[2].kill()

    answer = await latchwire.run("--timeout", "20", "revoke", "session", SID, "--reason", "test")

    assert answer.code == exits.DONE, answer
    assert "everywhere  1 of 1 live edges refuse" in answer.out
    assert "edge-2" not in answer.out


async def joined(fleet: list[Server], worker: Worker) -> None:
    """*worker* is one of the *fleet*, and takes its share of the work: its admin door opens before."""
    fleet.append(worker)
    await start_in_thread(worker)
    await eventually(lambda: worker.is_ready(), within=60)


async def test_a_worker_that_began_to_listen_just_now_does_not_say_everywhere(
    fleet: list[Server], latchwire: CommandLine, nats_server: NatsServer, tmp_path: Path
) -> None:
    """Both edges confirm, and an edge that fell silent before is nowhere known: exit 3, and said.

    One that knows the names of all edges says it: there is no other.
    """
    fleet[0].kill()
    await joined(fleet, make_worker(nats_server, NOBODY, tmp_path, MAX_STALENESS="900"))

    answer = await latchwire.run("--timeout", "4", "revoke", "session", SID, "--reason", "test")

    assert answer.code == exits.PARTLY, answer
    assert "edge-1      refuses after " in answer.out
    assert "other edges may be live" in answer.out
    assert "safe everywhere at " in answer.out

    fleet[-1].kill()
    named = {"MAX_STALENESS": "900", "EDGES": "edge-1,edge-2"}
    await joined(fleet, make_worker(nats_server, NOBODY, tmp_path, **named))
    again = await latchwire.run("--timeout", "20", "revoke", "session", SID, "--reason", "again")

    assert again.code == exits.DONE, again
    assert "everywhere  2 of 2 live edges refuse" in again.out


async def test_without_a_worker_edges_are_those_heard_and_that_is_said(
    fleet: list[Server], latchwire: CommandLine
) -> None:
    """The answer of the command's own ears, under its name."""
    fleet[0].kill()

    answer = await latchwire.run("edges", "list")

    assert "only those heard just now" in answer.err
    assert [line.split()[0] for line in answer.out.splitlines()[1:]] == ["edge-1", "edge-2"]


def utc(ms: int) -> str:
    """As the command prints it."""
    from ctl.output import date_time

    return date_time(ms)


async def test_without_a_worker_the_event_is_kept_and_that_is_said(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """Stored, not applied, no edge: exit 3, never a false "done"."""
    answer = await latchwire.run("--timeout", "2", "revoke", "token", SID, "--reason", "test")
    stored = await (await bus_of("operator")).stream_position(contract.TOKEN)

    assert answer.code == exits.PARTLY
    assert "not applied yet" in answer.out
    assert "safe everywhere at" in answer.out
    assert stored.last_seq == 1


async def test_no_wait_returns_when_the_event_is_stored(latchwire: CommandLine) -> None:
    """The PubAck is the promise; receipts are optional."""
    answer = await latchwire.run(
        "revoke", "key", "kid-1", "--reason", "test", "--no-wait", "--json", "--yes"
    )

    assert answer.code == exits.DONE
    assert answer.json["token_seq"] == 1
    assert answer.json["scope"] == "key"


async def test_repeating_a_revocation_is_confirmed_as_well(
    fleet: list[Server], latchwire: CommandLine, bus_of: BusFactory, secrets_dir: Path
) -> None:
    """Whether or not the second one changed anything, it gets its receipts."""
    ledger = Ledger(await bus_of("revocation"), secrets_dir)
    arguments = ("revoke", "session", SID, "--reason", "test", "--json")
    first = await latchwire.run(*arguments)
    record = await ledger.record("session", SID)

    second = await latchwire.run(*arguments)

    assert (first.code, second.code) == (exits.DONE, exits.DONE)
    assert record is not None
    assert second.json["complete"] is True
    # The second may live a little longer, and then is stored as well.
    assert {first.json["outcome"], second.json["outcome"]} <= {"stored", "known"}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("revoke", "person", ADA),
        ("revoke", "everybody", "x", "--reason", "r"),
        ("revoke", "session", "a\nb", "--reason", "r"),
        ("revoke", "session", "sid-1", "--reason", "r"),
        ("revoke", "token", SID.lower(), "--reason", "r"),
        ("revoke", "person", "Ada <ada@example.com>", "--reason", "r"),
        ("revoke", "person", "ada@example.com,", "--reason", "r"),
        ("revoke", "person", "ada@localhost", "--reason", "r"),
        ("revoke", "person", "  ", "--reason", "r"),
        ("revoke", "token", sign(make_claims()).decode(), "--reason", "r"),
        ("explain", "some.token.here"),
        ("explain", "--token-stdin"),
        ("users", "block", ADA),
        ("worker", "postman"),
        ("--timeout", "0", "status"),
    ],
)
async def test_wrong_usage_is_exit_2_and_touches_nothing(
    latchwire: CommandLine, bus_of: BusFactory, arguments: tuple[str, ...]
) -> None:
    """Also a whole token given where its id belongs."""
    answer = await latchwire.run(*arguments)

    assert answer.code == exits.USAGE
    assert answer.out == ""
    assert (await (await bus_of("operator")).stream_position(contract.TOKEN)).last_seq == 0


async def test_an_unreachable_bus_is_exit_4(latchwire: CommandLine) -> None:
    """Within the time given, and without a traceback."""
    latchwire.variables["LATCHWIRE_NATS_URL"] = f"nats://127.0.0.1:{free_port()}"

    answer = await latchwire.run("--timeout", "1", "status")

    assert answer.code == exits.UNREACHABLE
    assert "out of reach" in answer.err
    assert "Traceback" not in answer.err


async def test_a_credential_the_bus_refuses_is_exit_4(
    latchwire: CommandLine, secrets_dir: Path, tmp_path: Path
) -> None:
    """Another installation's key does not get in, and the command does not hang."""
    stranger = tmp_path / "stranger" / "nats"
    stranger.mkdir(parents=True, mode=0o700)
    from shared.secrets import new_seed, write_private

    write_private(stranger / "operator.seed", new_seed())
    latchwire.variables["LATCHWIRE_SECRETS_DIR"] = str(stranger.parent)

    answer = await latchwire.run("--timeout", "2", "edges", "list")

    assert answer.code == exits.UNREACHABLE


async def test_without_any_installation_it_says_how_to_get_one(latchwire: CommandLine) -> None:
    """Exit 2 and the cure."""
    answer = await latchwire.run("--context", str(latchwire.folder), "status")

    assert answer.code == exits.USAGE
    assert "make up" in answer.err


async def test_a_running_up_is_found_by_its_state_directory(
    latchwire: CommandLine, nats_server: NatsServer
) -> None:
    """run.json says where the bus and the credentials are."""
    run = {
        "url": "http://localhost:8090",
        "nats_url": nats_server.url,
        "secrets_dir": str(nats_server.secrets_dir),
    }
    (latchwire.folder / "run.json").write_text(json.dumps(run))
    bare = CommandLine({"PATH": latchwire.variables["PATH"]}, latchwire.folder)

    answer = await bare.run("streams", "apply", "--check", "--context", str(latchwire.folder))

    assert answer.code == exits.DONE, answer
    assert "http://localhost:8090" in answer.err
    assert "as provisioner" in answer.err


async def test_edges_and_status_tell_what_is_there(
    fleet: list[Server], latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """Both edges ready, auth and mailer there, every stream and consumer present, nothing waiting."""
    await say_ready(await bus_of("auth"), await bus_of("mailer"))
    edges = await latchwire.run("edges", "list")
    status = await latchwire.run("status")
    machine = await latchwire.run("status", "--json")

    assert (edges.code, status.code, machine.code) == (exits.DONE,) * 3, status
    assert [line.split()[:2] for line in edges.out.splitlines()[1:]] == [
        ["edge-1", "ready"],
        ["edge-2", "ready"],
    ]
    for name in ("LOGIN", "BLOCKLIST", "TOKEN/revocation", "TOKEN_BY/revocation-by", "edge-2"):
        assert name in status.out
    assert machine.json["problems"] == []
    assert machine.json["dead_letters"] == 0


async def test_status_names_what_is_wrong(latchwire: CommandLine) -> None:
    """No worker of any kind and no edge: exit 1 and one line each."""
    answer = await latchwire.run("status")

    assert answer.code == exits.FAILED
    assert "! no revocation worker answers" in answer.out
    assert "! no edge is heard" in answer.out
    assert "! no auth answers: nobody can log in" in answer.out
    assert "! no mailer answers" in answer.out


async def test_a_revocation_that_was_buried_is_named_by_status(
    fleet: list[Server], latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """A body with the id under the wrong name is acknowledged and ends nothing: status says so."""
    operator = await bus_of("operator")
    wrong = b'{"scope":"session","sub":"ada@example.com","reason":"laptop stolen"}'
    ack = await operator.js.publish(contract.TOKEN_REVOKED.name, wrong)

    async def buried() -> bool:
        return (await operator.js.stream_info("DEADLETTER")).state.messages == 1

    await eventually(buried)
    answer = await latchwire.run("status")
    machine = await latchwire.run("status", "--json")

    assert ack.seq == 1
    warning = "1 dead letters: deadletter.token.revoked: revocations that are not in force"
    assert f"! {warning}" in answer.out.splitlines()
    assert machine.json["warnings"][0] == warning  # type: ignore[index]
    assert machine.json["dead_letters"] == 1


async def test_streams_apply_reports_and_mends_what_differs(
    latchwire: CommandLine, nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """--check changes nothing and exits 1; without it the difference is mended, then nothing differs."""
    provisioner = await bus_of("provisioner")
    config = (await provisioner.js.stream_info("LOGIN")).config
    await provisioner.js.update_stream(config.evolve(max_age=1200))

    checked = await latchwire.run("streams", "apply", "--check")
    mended = await latchwire.run("streams", "apply", "--json")
    after = await latchwire.run("streams", "apply", "--check")

    assert (checked.code, mended.code, after.code) == (exits.FAILED, exits.DONE, exits.DONE)
    assert "stream LOGIN max_age: 1200 -> 3600 (differs)" in checked.out
    assert [d["field"] for d in mended.json["differences"]] == ["max_age"]  # type: ignore[attr-defined]
    assert after.out == "as the contract says\n"


@pytest.mark.parametrize(("extra", "shown"), [((), "a…@example.com"), (("--show-personal",), ADA)])
async def test_events_are_told_one_per_line_with_addresses_masked(
    latchwire: CommandLine, bus_of: BusFactory, extra: tuple[str, ...], shown: str
) -> None:
    """Whole addresses only for who asks for them."""
    auth = await bus_of("auth")
    now = SystemClock().now_ms()
    succeeded = LoginSucceeded(
        id=SystemIds().ulid(now), at=now, sub=ADA, sid="sid-9", method="link"
    )

    async with latchwire.process("events", "tail", "--count", "1", *extra) as process:
        ended = asyncio.ensure_future(process.communicate())

        async def told() -> bool:
            # Again until the subscription is there; --count 1 shows the first that was heard.
            await auth.signal(contract.LOGIN_SUCCEEDED, succeeded)
            return ended.done()

        await eventually(told, within=60)
        out = ended.result()[0].decode()

    assert process.returncode == exits.DONE
    assert "login.succeeded" in out
    assert f"sub={shown}" in out
    assert "sid=sid-9" in out
    assert out.count("\n") == 1


async def test_ctrl_c_ends_a_tail_without_a_traceback(latchwire: CommandLine) -> None:
    """Exit 0, nothing on standard error but the first line."""
    async with latchwire.process("events", "tail") as process:
        assert process.stderr is not None
        first = await asyncio.wait_for(process.stderr.readline(), START_DEADLINE)
        process.send_signal(signal.SIGINT)
        _, rest = await asyncio.wait_for(process.communicate(), PATIENCE)

    assert first.startswith(b"latchwire ")
    assert (process.returncode, rest) == (exits.DONE, b"")


async def test_users_are_blocked_by_asking_auth(latchwire: CommandLine, bus_of: BusFactory) -> None:
    """The command knows no store: whoever holds auth's credential answers."""
    asked: list[SetUser] = []
    auth = await bus_of("auth")

    async def decide(request: SetUser) -> UserState:
        asked.append(request)
        return UserState(sub=ADA, blocked=request.action == "block", sessions=0)

    async def show(_request: ShowUser) -> UserState:
        return UserState(error="no such person")

    await auth.answer(contract.OP_USERS_SET, decide)
    await auth.answer(contract.OP_USERS_SHOW, show)

    blocked = await latchwire.run("users", "block", "Ada@example.com", "--reason", "left")
    unblocked = await latchwire.run("users", "unblock", ADA, "--json")
    refused = await latchwire.run("users", "show", ADA)
    nonsense = await latchwire.run("users", "block", "bad address", "--reason", "left")

    assert (blocked.code, unblocked.code, refused.code) == (exits.DONE, exits.DONE, exits.FAILED)
    assert blocked.out == f"{ADA}: blocked, 0 sessions\n"
    assert unblocked.json["blocked"] is False
    assert "no such person" in refused.err
    assert nonsense.code == exits.USAGE
    assert "that is not one plain address" in nonsense.err
    assert [(r.action, r.reason) for r in asked] == [
        ("block", "left"),
        ("unblock", ""),
    ]


async def test_what_strangers_left_is_marked_and_stops_nothing(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """Whose address was forgotten is said to have no account; a note of an import is said, and it is done."""
    auth = await bus_of("auth")

    async def show(_request: ShowUser) -> UserState:
        return UserState(sub="01K5", has_account=False, forgotten=True)

    async def bring_in(request: ImportUsers) -> ImportReport:
        note = ImportProblem(index=0, code="kept_sub", detail="01K5 stays")
        return ImportReport(written=int(not request.check), notes=(note,))

    await auth.answer(contract.OP_USERS_SHOW, show)
    await auth.answer(contract.OP_USERS_IMPORT, bring_in)
    file = latchwire.folder / "people.jsonl"
    file.write_text(f'{{"email": "{ADA}", "sub": "legacy-7"}}\n')

    shown = await latchwire.run("users", "show", "Ada@example.com")
    checked = await latchwire.run("users", "import", str(file), "--check")
    written = await latchwire.run("users", "import", str(file), "--json")

    head, told = shown.out.splitlines()
    assert head == f"{ADA}: may log in, 0 sessions"
    assert told.startswith("  no account: ")
    assert "01K5" in told
    assert (checked.code, written.code) == (exits.DONE, exits.DONE)
    assert checked.out.splitlines()[0] == "line 1: kept_sub: 01K5 stays"
    note = {"number": 1, "code": "kept_sub", "detail": "01K5 stays"}
    assert (written.json["written"], written.json["notes"]) == (1, [note])


async def test_nobody_to_answer_is_exit_1_and_said(latchwire: CommandLine) -> None:
    """No auth: the question is named. No edge, or none of that name: how to see which there are."""
    users = await latchwire.run("users", "show", ADA)
    explain = await latchwire.run("explain", "--token-stdin", stdin="a.b.c")
    named = await latchwire.run("explain", "--token-stdin", "--edge", "edge-9", stdin="a.b.c")

    assert (users.code, explain.code, named.code) == (exits.FAILED,) * 3
    assert "op.users.show" in users.err
    assert "no live edge answers: `latchwire edges list`" in explain.err
    assert "no live edge of the name edge-9 answers: `latchwire edges list`" in named.err


async def test_worker_becomes_that_worker(latchwire: CommandLine, nats_server: NatsServer) -> None:
    """What the image's entry point runs: signals reach the worker, its exit code is the command's."""
    admin = free_port()
    latchwire.variables["LATCHWIRE_REVOCATION_ADMIN"] = f"127.0.0.1:{admin}"
    latchwire.variables["LATCHWIRE_REDIS_URL"] = NOBODY

    async with latchwire.process("worker", "revocation") as process:
        assert process.stdout is not None
        lines = b""
        while b"worker.started" not in lines:
            lines = await asyncio.wait_for(process.stdout.readline(), START_DEADLINE)
            assert lines, "it ended"
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), PATIENCE)

    assert process.returncode == 0
