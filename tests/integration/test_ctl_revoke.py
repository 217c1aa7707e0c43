"""``latchwire revoke`` and what it says, against real NATS: the worker, auth and the edges are played here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from ctl import exits
from shared import contract
from shared.bus import Bus
from shared.clock import SystemClock
from shared.contract import TOKEN
from shared.messages import (
    DeadLetter,
    EdgeList,
    Heartbeat,
    ListEdges,
    Match,
    MatchRequest,
    RevocationApplied,
    SeenEdge,
    TokenRevoked,
)
from shared.secrets import signing_paths
from tests.conftest import BusFactory
from tests.support.command_line import CommandLine
from tests.support.revocation import environment
from tests.support.servers import NatsServer
from tests.support.tokens import make_claims, sign

SID = "01J00000000000000000000S1D"
EPOCH = "epoch-1"
WHY = ("--reason", "laptop stolen")


@pytest.fixture
def latchwire(nats_server: NatsServer, tmp_path: Path) -> CommandLine:
    """The command line, set for the test's servers."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return CommandLine(environment(nats_server), folder)


def a_beat(name: str, seq: int) -> Heartbeat:
    """The heartbeat of the edge *name* that has come as far as *seq*."""
    return Heartbeat(
        edge_id=name,
        at=SystemClock().now_ms(),
        epoch=EPOCH,
        seq=seq,
        ready=True,
        staleness_ms=5,
        blocklist_size=0,
    )


@dataclass
class Cast:
    """Who else is on the bus. *outcome* None: the worker never says what became of an event.

    *confirming*: the edges that tell that they have applied it; *match* None: auth does not answer.
    """

    outcome: RevocationApplied | None = None
    match: Match | None = None
    edges: tuple[str, ...] = ("edge-1", "edge-2")
    confirming: tuple[str, ...] = ("edge-1", "edge-2")
    at_start: int = 0
    window_ms: int = 0
    asked: list[MatchRequest] = field(default_factory=list)
    events: list[TokenRevoked] = field(default_factory=list)

    @asynccontextmanager
    async def on(self, bus_of: BusFactory) -> AsyncIterator["Cast"]:
        """Everybody plays their part."""
        operator, worker, auth = [await bus_of(n) for n in ("operator", "revocation", "auth")]
        speakers = {name: await bus_of(name) for name in self.edges}

        async def told(_: ListEdges) -> EdgeList:
            seen = [SeenEdge(beat=a_beat(n, self.at_start), age_ms=100) for n in self.edges]
            return EdgeList(
                edges=tuple(seen), whole=True, listening_ms=60_000, window_ms=self.window_ms
            )

        async def counted(request: MatchRequest) -> Match:
            self.asked.append(request)
            assert self.match is not None
            return self.match

        async def happened(event: TokenRevoked) -> None:
            self.events.append(event)
            await self._say(worker, event)
            for name in self.confirming:
                assert self.outcome is not None
                beat = a_beat(name, self.outcome.seq)
                await speakers[name].signal(contract.EDGE_HEARTBEAT.of(name), beat)

        await worker.answer(contract.OP_EDGES_LIST, told)
        if self.match is not None:
            await auth.answer(contract.OP_REVOCATION_MATCH, counted)
        await operator.listen(contract.TOKEN_REVOKED, happened)
        yield self

    async def _say(self, worker: Bus, event: TokenRevoked) -> None:
        if self.outcome is not None:
            assert event.id is not None
            said = self.outcome.model_copy(update={"event": event.id})
            await worker.signal(contract.REVOCATION_APPLIED.of(event.id), said)


def became(outcome: str, seq: int = 7, reason: str = "") -> RevocationApplied:
    """The worker's word."""
    return RevocationApplied.model_validate(
        {
            "event": "-",
            "token_seq": 1,
            "outcome": outcome,
            "epoch": EPOCH,
            "seq": seq,
            "reason": reason,
        }
    )


async def test_it_names_what_it_hits_and_each_edge_with_its_latency(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """Counted before it is published, by the canonical address; a receipt for each edge; exit 0."""
    cast = Cast(became("stored"), Match(sessions=2, links=1, at=1))
    async with cast.on(bus_of):
        answer = await latchwire.run("revoke", "person", " Ada@Example.com", *WHY)

    lines = answer.out.splitlines()
    assert answer.code == exits.DONE, answer
    assert lines[0] == "matches     2 sessions, 1 unopened link"
    assert lines[1].startswith("stored      event 01")
    assert lines[2] == "applied     BLOCKLIST 7"
    assert [line.split(" after ")[0] for line in lines[3:5]] == [
        "edge-1      refuses",
        "edge-2      refuses",
    ]
    assert lines[3].endswith(" ms")
    assert lines[5] == "everywhere  2 of 2 live edges refuse"
    assert cast.asked == [MatchRequest(scope="subject", id="ada@example.com")]
    assert [(e.scope, e.sub, e.reason, e.actor) for e in cast.events] == [
        ("subject", "ada@example.com", "laptop stolen", "operator")
    ]


async def test_in_json_it_is_one_object(latchwire: CommandLine, bus_of: BusFactory) -> None:
    """For a script: what was matched, what it became, who confirmed after how many ms, and that it is whole."""
    cast = Cast(became("stored"), Match(sessions=1, links=0, at=1))
    async with cast.on(bus_of):
        answer = await latchwire.run("revoke", "session", SID, *WHY, "--json")

    told = answer.json
    assert (told["matched"], told["outcome"], told["complete"]) == (
        {"sessions": 1, "links": 0},
        "stored",
        True,
    )
    assert (told["epoch"], told["seq"], told["token_seq"]) == (EPOCH, 7, 1)
    assert 0 <= _wait_ms(told) <= 6_000, "the moment at which all had confirmed"
    edges = told["edges"]
    assert isinstance(edges, list)
    assert [(e["edge_id"], e["confirmed"]) for e in edges] == [("edge-1", True), ("edge-2", True)]
    assert all(0 <= e["after_ms"] < 5_000 for e in edges)


async def test_a_silent_edge_is_exit_3_with_the_time_at_which_all_is_safe(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """In words HH:MM:SS UTC; in JSON the date too, and which edge."""
    async with Cast(became("stored"), confirming=("edge-1",)).on(bus_of):
        words = await latchwire.run("revoke", "session", SID, *WHY, "--timeout", "3")
        told = await latchwire.run("revoke", "session", SID, *WHY, "--timeout", "3", "--json")

    assert (words.code, told.code) == (exits.PARTLY, exits.PARTLY)
    assert "edge-2      has not confirmed" in words.out
    last = words.out.splitlines()[-1]
    assert last.startswith("safe everywhere at ")
    assert " UTC: by then a silent edge has closed itself" in last
    edges = told.json["edges"]
    assert isinstance(edges, list)
    assert edges[1] == {"edge_id": "edge-2", "confirmed": False, "after_ms": None}
    safe, stored = str(told.json["safe_everywhere_at"]), str(told.json["stored_at"])
    assert safe.endswith("Z")
    assert safe > stored


def _wait_ms(told: dict[str, object]) -> float:
    """From the PubAck to the time at which all is safe, to the second."""
    safe, stored = str(told["safe_everywhere_at"]), str(told["stored_at"])
    return (datetime.fromisoformat(safe) - datetime.fromisoformat(stored)).total_seconds() * 1000


async def test_safe_everywhere_is_not_before_the_most_patient_edge_has_closed(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """As the worker tells it; where none answers, by the settings: never a guess of 10 s."""
    command = ("revoke", "session", SID, *WHY, "--timeout", "3", "--json")
    latchwire.variables["LATCHWIRE_MAX_STALENESS"] = "3m"
    alone = await latchwire.run(*command)
    async with Cast(became("stored"), confirming=(), window_ms=902_000).on(bus_of):
        told = await latchwire.run(*command)

    assert (alone.code, told.code) == (exits.PARTLY, exits.PARTLY)
    assert _wait_ms(alone.json) == pytest.approx(182_000, abs=1_000)
    assert _wait_ms(told.json) == pytest.approx(902_000, abs=1_000)


async def test_nothing_matched_is_a_warning_and_it_is_sent_all_the_same(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """The token may come from a store that auth does not have: the id is refused whoever counts."""
    cast = Cast(became("stored"), Match(at=1))
    async with cast.on(bus_of):
        answer = await latchwire.run("revoke", "session", SID, *WHY)

    assert answer.code == exits.DONE
    assert "matches     0 sessions, 0 unopened links" in answer.out
    assert "warning: 0 matched" in answer.err
    assert len(cast.events) == 1


async def test_where_nobody_counts_that_is_said_and_it_goes_on(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """Auth is away: the revocation is not held up, and no number is made up."""
    async with Cast(became("stored")).on(bus_of):
        words = await latchwire.run("revoke", "session", SID, *WHY)
        told = await latchwire.run("revoke", "session", SID, *WHY, "--json")

    assert words.code == exits.DONE
    assert "matches     not counted: auth does not answer" in words.out
    assert "warning" not in words.err
    assert told.json["matched"] is None


async def test_a_single_token_is_not_counted_and_that_is_no_zero(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """Auth keeps no list of access tokens: it says so, and nothing warns."""
    async with Cast(became("stored"), Match(counted=False, at=1)).on(bus_of):
        answer = await latchwire.run("revoke", "token", SID, *WHY)

    assert "matches     not counted: auth keeps no list of these" in answer.out
    assert "warning" not in answer.err


async def test_a_dry_run_tells_and_sends_nothing(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """The match and the event as it would go, and TOKEN as empty as before; no confirmation either."""
    cast = Cast(became("stored"), Match(sessions=3, links=0, at=1))
    async with cast.on(bus_of):
        words = await latchwire.run("revoke", "person", "Ada@example.com", *WHY, "--dry-run")
        told = await latchwire.run("revoke", "key", "kid-1", *WHY, "--dry-run", "--json")

    assert (words.code, told.code) == (exits.DONE, exits.DONE)
    assert "matches     3 sessions, 0 unopened links" in words.out
    assert "would send  token.revoked  scope=subject  sub=ada@example.com" in words.out
    assert words.out.endswith("nothing was sent\n")
    event = {"scope": "key", "kid": "kid-1", "reason": "laptop stolen", "actor": "operator"}
    assert (told.json["dry_run"], told.json["event"]) == (True, event)
    assert cast.events == []
    assert (await (await bus_of("operator")).stream_position(TOKEN)).last_seq == 0


async def test_a_refused_event_is_exit_1_with_the_workers_reason(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """It will never be in force: no receipts, no time at which all is safe."""
    async with Cast(became("refused", 0, "before is in the future"), confirming=()).on(bus_of):
        words = await latchwire.run("revoke", "session", SID, *WHY)
        told = await latchwire.run("revoke", "session", SID, *WHY, "--json")

    assert (words.code, told.code) == (exits.FAILED, exits.FAILED)
    assert "refused by the revocation worker: before is in the future" in words.err
    assert "safe everywhere" not in words.out
    assert (told.json["outcome"], told.json["reason"]) == ("refused", "before is in the future")
    assert (told.json["complete"], told.json["safe_everywhere_at"]) == (False, None)


async def test_a_dead_letter_says_refused_when_the_workers_signal_is_lost(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """A signal is never promised; the letter is stored, and heard."""
    operator, worker = await bus_of("operator"), await bus_of("revocation")

    async def bury(event: TokenRevoked) -> None:
        letter = DeadLetter(
            id=event.id or "",
            at=1,
            subject="token.revoked",
            stream="TOKEN",
            sequence=1,
            consumer="revocation",
            deliveries=1,
            reason="not an address",
            payload=None,
            payload_sha256="0" * 64,
            payload_bytes=1,
        )
        await worker.publish(contract.dead_letter_subject("token.revoked"), letter)

    await operator.listen(contract.TOKEN_REVOKED, bury)
    answer = await latchwire.run("revoke", "session", SID, *WHY)

    assert answer.code == exits.FAILED, answer
    assert "refused by the revocation worker: not an address" in answer.err


async def test_what_was_known_or_has_lapsed_is_said_so(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """Known: the edges refused it before. Lapsed: nothing alive that an edge could refuse; both are done."""
    async with Cast(became("known", 3), confirming=(), at_start=5).on(bus_of):
        known = await latchwire.run("revoke", "session", SID, *WHY)
    assert known.code == exits.DONE, known
    assert "applied     BLOCKLIST 3: all of it was refused before" in known.out
    assert "edge-1      refused it already" in known.out


async def test_an_event_that_can_hit_nothing_any_more_is_done_at_once(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """No edge has anything to do: exit 0 without a receipt."""
    async with Cast(became("lapsed", 0), confirming=()).on(bus_of):
        lapsed = await latchwire.run("revoke", "session", SID, *WHY)
    assert lapsed.code == exits.DONE, lapsed
    assert "lapsed      nothing that it names can still be alive" in lapsed.out


async def test_without_the_workers_word_its_consumer_tells_that_it_is_applied(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """The signal is lost, the acknowledgement is not: receipts are counted from BLOCKLIST's end."""
    worker = await bus_of("revocation")
    epoch = (await worker.stream_position(contract.BLOCKLIST)).epoch
    stopping = asyncio.Event()

    async def take(_event: TokenRevoked, _delivery: object) -> None:
        stopping.set()

    async with asyncio.TaskGroup() as group:
        running = group.create_task(
            latchwire.run("revoke", "session", SID, *WHY, "--timeout", "3", "--json")
        )
        group.create_task(
            worker.consume(
                contract.REVOCATION, contract.TOKEN_REVOKED, take, concurrency=1, stopping=stopping
            )
        )
    answer = running.result()

    assert (answer.json["outcome"], answer.json["epoch"]) == ("applied", epoch)
    assert answer.code == exits.PARTLY, "and without an edge nobody has confirmed it"


async def test_what_names_nobody_is_exit_2_with_the_cure_and_repeats_nothing(
    latchwire: CommandLine,
) -> None:
    """Before anything is connected: what was given may be a secret."""
    token = sign(make_claims()).decode()
    latchwire.variables.clear()

    answer = await latchwire.run("revoke", "session", token, *WHY)

    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert "give its jti" in answer.err
    assert token not in answer.err


async def test_revoking_the_key_that_signs_names_the_kill_switch(
    latchwire: CommandLine, bus_of: BusFactory, nats_server: NatsServer
) -> None:
    """Everybody would be locked out: it is said before, also in a rehearsal; a retired key hits nobody new."""
    signing = signing_paths(nats_server.secrets_dir)[-1].stem
    cure = f"`latchwire keys compromise {signing}`"

    rehearsed = await latchwire.run("revoke", "key", signing, *WHY, "--dry-run")
    done = await latchwire.run("--yes", "revoke", "key", signing, *WHY, "--no-wait")

    assert (rehearsed.code, done.code) == (exits.DONE, exits.DONE)
    for answer in (rehearsed, done):
        assert f"{signing} signs now: everybody is locked out" in answer.err
        assert cure in answer.err


async def test_a_kid_that_nobody_knows_is_a_warning(
    latchwire: CommandLine, nats_server: NatsServer
) -> None:
    """A typing mistake would be kept for ten years; a key that is here is no mistake."""
    (refresh,) = (nats_server.secrets_dir / "refresh").glob("*.key")
    strange, known = [
        await latchwire.run("revoke", "key", kid, *WHY, "--no-wait", "--yes")
        for kid in ("20260101-sig-zzzzzz", f"refresh/{refresh.stem}")
    ]

    assert (strange.code, known.code) == (exits.DONE, exits.DONE)
    assert "20260101-sig-zzzzzz is in no keys document and no file here" in strange.err
    assert "warning" not in known.err


async def test_what_reaches_further_than_one_person_needs_a_second_word(
    latchwire: CommandLine, bus_of: BusFactory
) -> None:
    """A script without --yes does nothing; with it, it is done."""
    refused = await latchwire.run("revoke", "service", "shop", *WHY, "--no-wait", stdin="yes\n")
    done = await latchwire.run("revoke", "key", "kid-1", *WHY, "--no-wait", "--yes")

    assert (refused.code, done.code) == (exits.USAGE, exits.DONE)
    assert "repeat it with --yes" in refused.err
    assert (await (await bus_of("operator")).stream_position(TOKEN)).last_seq == 1
