"""``latchwire explain`` as a process: real NATS, the real handler of an edge, and no trace of the token."""

from pathlib import Path

import pytest

from ctl import exits
from latchwire.records import Record
from services.edge.adapters.bus_records import BusRecords
from services.edge.handlers.explain import Explainer
from shared.contract import OP_EDGES_LIST, OP_EXPLAIN, OP_EXPLAIN_AT, OP_USERS_SHOW
from shared.messages import EdgeList, Heartbeat, ListEdges, SeenEdge, ShowUser, UserState
from tests.conftest import BusFactory
from tests.support.command_line import CommandLine
from tests.support.edge import Desk, make_desk, token
from tests.support.revocation import environment
from tests.support.servers import NatsServer
from tests.support.tokens import NOW_MS

SID = "01J00000000000000000000S1D"


@pytest.fixture
def latchwire(nats_server: NatsServer, tmp_path: Path) -> CommandLine:
    """The command line, set for the test's servers."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return CommandLine(environment(nats_server), folder)


@pytest.fixture
async def edges(bus_of: BusFactory) -> dict[str, Desk]:
    """Two edges that explain, and a worker that knows of a third, which is silent."""
    desks = {name: make_desk() for name in ("edge-1", "edge-2")}
    for name, desk in desks.items():
        bus = await bus_of(name)
        explainer = Explainer(name, desk.checker, desk.revocations, BusRecords(bus), desk.clock)
        await bus.answer(OP_EXPLAIN, explainer.explain)
        await bus.answer(OP_EXPLAIN_AT.of(name), explainer.explain)

    async def told(_: ListEdges) -> EdgeList:
        beats = [
            Heartbeat(
                edge_id=n, at=1, epoch="e", seq=1, ready=True, staleness_ms=1, blocklist_size=0
            )
            for n in (*desks, "edge-3")
        ]
        return EdgeList(edges=tuple(SeenEdge(beat=b, age_ms=1) for b in beats), whole=True)

    await (await bus_of("revocation")).answer(OP_EDGES_LIST, told)
    return desks


async def test_it_says_why_in_sentences_and_shows_nothing_of_the_token(
    edges: dict[str, Desk], latchwire: CommandLine, nats_server: NatsServer
) -> None:
    """Token and request together; neither its text nor the address is anywhere, the server's log included."""
    for desk in edges.values():
        desk.revocations.revoke("session", SID, Record(NOW_MS + 60_000))
    canary = token(sid=SID).decode()

    answer = await latchwire.run(
        "explain", "--token-stdin", "--request", "GET https://localhost/demo", stdin=f"{canary}\n"
    )

    assert answer.code == exits.DONE, answer
    assert answer.out.startswith("refused: token_revoked (401): it was revoked (session).\n")
    assert f"Session {SID} was revoked" in answer.out
    assert "Rule demo: /demo is for everybody signed in." in answer.out
    everything = answer.out + answer.err + nats_server.log.read_text()
    for part in (*canary.split("."), "ada@example.com"):
        assert part not in everything


async def test_a_request_alone_is_explained(edges: dict[str, Desk], latchwire: CommandLine) -> None:
    """Without any credential: open, or why not."""
    answer = await latchwire.run("explain", "--request", "https://localhost/demo/public", "--json")

    assert answer.code == exits.DONE, answer
    assert (answer.json["outcome"], answer.json["reason"]) == ("allow", "public")


async def test_a_person_is_explained_without_a_token(
    edges: dict[str, Desk], latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """The rule as an edge tells it, against the account; a place that is nobody's affair stays as it is."""

    async def show(_: ShowUser) -> UserState:
        return UserState(sub="01S", has_account=False, sessions=2)

    await (await bus_of("auth")).answer(OP_USERS_SHOW, show)
    ada = ("explain", "--person", "Ada@Example.com", "--request")

    refused = await latchwire.run(*ada, "https://localhost/staff")
    allowed = await latchwire.run(*ada, "https://localhost/family", "--json")
    nowhere = await latchwire.run(*ada, "https://localhost/nothing")
    twice = await latchwire.run(*ada, "https://localhost/staff", "--token-stdin", stdin="x")

    assert refused.out.splitlines()[:3] == [
        "a…@example.com is refused: has none of the roles admin, auditor.",
        "Person a…@example.com: 2 sessions, no account.",
        "Rule staff: /staff is for people with one of the roles admin, auditor.",
    ]
    assert allowed.json["person"] == {"refused": [], "conditions": []}
    assert nowhere.out.startswith("refused: no_route (403)")
    assert [a.code for a in (refused, allowed, nowhere, twice)] == [0, 0, 0, exits.USAGE]


async def test_a_preflight_is_explained_from_the_command_line(
    edges: dict[str, Desk], latchwire: CommandLine
) -> None:
    """With the page's origin; without it is said what is missing."""
    request = ("explain", "--request", "OPTIONS https://localhost/demo")
    asked = await latchwire.run(*request, "--header", "Origin: https://app.example.com")
    bare = await latchwire.run(*request)

    assert asked.out.startswith("refused: preflight_refused (403): no page of another origin may")
    assert bare.out.startswith("refused: no_credentials (401)")
    assert bare.out.endswith("--header 'Origin: https://app.example.com' too.\n")


async def test_all_edges_are_asked_each_by_its_name(
    edges: dict[str, Desk], latchwire: CommandLine
) -> None:
    """One of them knows of a revocation, one does not, one is silent: seen at one glance, exit 3."""
    edges["edge-2"].revocations.revoke("session", SID, Record(NOW_MS + 60_000))
    stdin = token(sid=SID).decode()

    every = await latchwire.run("explain", "--token-stdin", "--all", stdin=stdin)
    one = await latchwire.run("explain", "--token-stdin", "--edge", "edge-2", "--json", stdin=stdin)

    assert every.code == exits.PARTLY, every
    assert every.out.splitlines()[:3] == [
        "edge-1      allowed",
        "edge-2      refused: token_revoked (401)",
        "edge-3      does not answer",
    ]
    assert (one.json["edge_id"], one.json["outcome"]) == ("edge-2", "deny")


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        ((), "give --token-stdin, or --request"),
        (("--request", "GET /x"), "the address has no host"),
        (("--token-stdin", "--edge", "*"), "that is no edge's name"),
        (("--token-stdin",), "give one token on standard input"),
    ],
)
async def test_what_cannot_be_asked_is_exit_2(
    latchwire: CommandLine, arguments: tuple[str, ...], cure: str
) -> None:
    """With the cure, before anything is connected."""
    answer = await latchwire.run("explain", *arguments)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert cure in answer.err
