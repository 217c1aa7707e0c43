"""Keys change while people are at work: no false refusal, and a key that is killed is dead everywhere."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ctl import exits
from ctl.commands.keys import _list, _retire, _rotate
from ctl.commands.kill_key import _begin, _compromise
from ctl.key_desk import KeyDesk
from ctl.key_states import KeyStateError, next_key, state_of
from ctl.session import Session
from ctl.vouched import last_of
from latchwire.documents import TOKENS, Document
from services.auth.adapters.pyjwt_tokens import Signer
from shared import contract
from shared.bus.documents import DocumentStore
from shared.clock import SystemClock
from shared.messages import Heartbeat, KeyRotated, ServiceToken, TokenRevoked
from shared.secrets import load_signing_key, signing_paths
from shared.service_tokens import tokens_body
from tests.conftest import BusFactory
from tests.support.documents import write
from tests.support.edge import ORIGIN
from tests.support.key_house import House, open_house, session_of
from tests.support.servers import NatsServer, start_in_thread
from tests.support.service_tokens import made_token
from tests.support.tokens import make_claims
from tests.support.waiting import eventually

ROTATE = partial(_rotate, algorithm=None, settle=None, least=lambda _desk: 0.3)
HANDS = 8  # checks under way at once


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The command's answer."""
    answer: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return answer


def kill(kid: str) -> Callable[[Session, KeyDesk], Coroutine[Any, Any, int]]:
    event = TokenRevoked(scope="key", kid=kid, reason="stolen", actor="operator")
    return partial(_compromise, event=event)


async def hammer(house: House, old: list[bytes], stop: asyncio.Event, seen: Counter[str]) -> None:
    """Check tokens of before and of this moment in turn, as fast as it goes."""
    while not stop.is_set():
        for token in (house.signer.token(), *old):
            seen[await house.check(token)] += 1


async def test_a_rotation_refuses_nobody(
    nats_server: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under checks without a pause, with tokens of before, of during and of after."""
    async with open_house(nats_server, tmp_path, patient=True) as house:
        before = house.signer.tokens.kid
        old, stop, seen = [house.signer.token() for _ in range(3)], asyncio.Event(), Counter[str]()
        async with asyncio.TaskGroup() as group:
            for _ in range(HANDS):
                group.create_task(hammer(house, old, stop, seen))
            await eventually(lambda: seen.total() > 200, within=60)
            code = await house.keys(ROTATE)
            await eventually(lambda: house.signer.tokens.kid != before)
            after = house.signer.tokens.kid
            done = seen.total()
            await eventually(lambda: seen.total() > done + 200, within=60)
            stop.set()

        assert code == exits.DONE
        assert dict(seen) == {"allow": seen.total()}
        answer = said(capsys)
        assert (answer["kid"], answer["before"], answer["complete"]) == (after, before, True)
        assert after != before
        assert await house.check(old[0]) == "allow"
        assert answer["generation"] == 2
        await eventually(lambda: house.heard["edge-1"].keys_generation == 2)

        # The overlap is enforced, and the start state is in step.
        with pytest.raises(KeyStateError, match=r"retire it from \d{4}-\d\d-\d\dT"):
            await house.keys(partial(_retire, kid=before))
        with pytest.raises(KeyStateError, match="rotate first"):
            await house.keys(partial(_retire, kid=after))
        files = json.loads((house.secrets_dir / "jwks.json").read_text())["keys"]
        assert [key["kid"] for key in files] == [before, after]
        assert [path.stem for path in signing_paths(house.secrets_dir)][-1:] == [max(before, after)]

        await house.keys(_list)
        rows = {row["kid"]: row for row in said(capsys)["keys"]}  # type: ignore[attr-defined]
        assert (rows[before]["state"], rows[after]["state"]) == ("accepted", "signing")
        assert rows[after]["edges"] == ["edge-1"]


async def vouch(nats: NatsServer, house: House, row: ServiceToken) -> None:
    """The register of service tokens is *row*, by the key that signs."""
    payload = {"name": TOKENS, "generation": 1, "at": 1, "body": tokens_body([row])}
    async with nats.connect("auth") as bus:
        jws = house.signer.tokens.sign_document(payload)
        await DocumentStore(bus.client, bus.js).put(TOKENS, jws, after_seq=0)


async def test_a_compromised_key_is_dead_everywhere_and_stays_so(
    nats_server: NatsServer, tmp_path: Path, bus_of: BusFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every token of it, at edges, auth and SDK; after a restart; and when an older document is replayed."""
    told: list[tuple[str, str, int]] = []

    async def heard(event: KeyRotated) -> None:
        told.append((event.kid, event.change, event.generation))

    await (await bus_of("operator")).listen(contract.KEY_ROTATED, heard)
    async with open_house(nats_server, tmp_path, patient=True) as house:
        first = house.signer.tokens.kid
        assert await house.keys(ROTATE) == exits.DONE
        await eventually(lambda: house.signer.tokens.kid != first)
        killed = house.signer.tokens.kid
        bot = made_token("bot", now_ms=SystemClock().now_ms(), created_by="a-thief").row
        await vouch(nats_server, house, bot)
        tokens = [house.signer.token(sub=f"p{n}@example.com") for n in range(5)]
        tokens.append(house.signer.token(iat=1))  # never looked at before
        assert await house.check(tokens[0]) == "allow"
        older = (await house.operator.js.get_last_msg("DOCUMENT", "document.keys")).data
        assert older is not None

        code = await house.keys(kill(killed))

        answer = said(capsys)
        assert code == exits.DONE, answer
        assert answer["signs"] != killed
        await eventually(lambda: house.signer.tokens.kid == answer["signs"])
        await eventually(lambda: house.signer.tokens.read_expired(tokens[0].decode()) is None)
        assert answer["revoked"]["complete"] is True  # type: ignore[index]
        ended = [(row["id"], row["created_by"]) for row in answer["service_tokens"]]  # type: ignore[attr-defined]
        assert ended == [(bot.id, "a-thief")]
        assert not list((house.secrets_dir / "signing").glob(f"{killed}.pem"))
        for token in tokens:
            assert await house.check(token) in ("token_revoked", "token_invalid")
            assert not house.signer.accepts(token)
            assert house.signer.tokens.read_expired(token.decode()) is None
        after = str(answer["signs"])
        await eventually(lambda: len(told) == 5)
        assert told[2:] == [(after, "added", 3), (after, "used", 4), (killed, "compromised", 5)]
        fresh = house.signer.token()
        assert await house.check(fresh) == "allow"
        assert house.signer.accepts(fresh)

        # An older document, in which it still counts, is the newest message now; the edge starts anew.
        await write(house.operator, "keys", older)
        house.edges[0].kill()
        await start_in_thread(house.edges[0])
        await house.ready("edge-1")
        assert [await house.check(token) for token in tokens[:2]] == ["token_invalid"] * 2
        assert await house.check(fresh) == "allow"

        # Nor can it be used again by way of the files, or published again.
        files = json.loads((house.secrets_dir / "jwks.json").read_text())["keys"]
        assert killed not in [key["kid"] for key in files]
        assert state_of((await house.desk()).body, killed) == "compromised"


async def test_a_new_key_that_waited_beside_a_stolen_one_never_signs(
    nats_server: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who read signing/ has the published next key and a left-over one too: both end, a third one signs."""
    async with open_house(nats_server, tmp_path, patient=True) as house:
        killed = house.signer.tokens.kid
        desk = await house.desk()
        next_one = await desk.publish_next(None)
        left_over = desk.files.prepare("20261231", "RS256")
        file = house.secrets_dir / "signing" / f"{next_one}.pem.next"
        claims = make_claims(now_ms=SystemClock().now_ms(), iss=ORIGIN)
        forged = Signer(next_one, load_signing_key(file)).sign(claims).encode()
        await eventually(partial(checks, house, forged, "allow"))

        assert await house.keys(kill(killed)) == exits.DONE

        captured = capsys.readouterr()
        answer = json.loads(captured.out.splitlines()[-1])
        assert answer["signs"] not in (killed, next_one, left_over)
        assert await house.check(forged) in ("token_revoked", "token_invalid")
        body = (await house.desk()).body
        states = {kid: state_of(body, kid) for kid in (killed, next_one, left_over)}
        assert set(states.values()) == {"compromised"}, states
        assert list(body.kids) == [answer["signs"]]
        assert not list((house.secrets_dir / "signing").glob("*.pem.next"))
        assert f"{next_one} waited to sign next" in captured.err
        await eventually(lambda: house.signer.tokens.kid == answer["signs"])
        assert await house.check(house.signer.token()) == "allow"


async def test_a_kill_comes_out_where_no_other_key_can_be_made(
    nats_server: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the operator's key nothing else can sign: that is said, exit 1; a rerun does the rest."""
    async with open_house(nats_server, tmp_path, patient=True) as house:
        killed, token = house.signer.tokens.kid, house.signer.token()
        assert await house.check(token) == "allow"
        (operator,) = (house.secrets_dir / "operator").glob("*.pem")
        operator.rename(operator.with_suffix(".elsewhere"))

        assert await house.keys(kill(killed)) == exits.FAILED

        captured = capsys.readouterr()
        assert json.loads(captured.out.splitlines()[-1])["revoked"]["complete"] is True
        assert "nobody can sign in" in captured.err
        assert await house.check(token) == "token_revoked"

        operator.with_suffix(".elsewhere").rename(operator)
        assert await house.keys(kill(killed)) == exits.DONE
        assert state_of((await house.desk()).body, killed) == "compromised"
        await eventually(lambda: house.signer.tokens.kid != killed)
        assert await house.check(house.signer.token()) == "allow"


async def test_a_kill_comes_out_where_the_documents_cannot_be_read(
    nats_server: NatsServer, bus_of: BusFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which keys count is not known then; that this one does not, is."""
    operator = await bus_of("operator")
    (nats_server.secrets_dir / "operator.jwks.json").unlink()
    event = TokenRevoked(scope="key", kid="k", reason="stolen", actor="operator")

    assert await _begin(session_of(nats_server, operator), event=event) == exits.FAILED

    assert (await operator.stream_position(contract.TOKEN)).last_seq == 1
    assert "k is revoked, and still in the keys document" in capsys.readouterr().err


async def test_a_key_leaves_the_document_whatever_edges_say_of_themselves(
    nats_server: NatsServer, tmp_path: Path, bus_of: BusFactory
) -> None:
    """One that never confirms holds up the receipts, not the key's end."""
    async with open_house(nats_server, tmp_path) as house:
        ghost, killed = await bus_of("edge-2"), house.signer.tokens.kid
        last = Heartbeat(
            edge_id="edge-2", at=1, epoch="", seq=0, ready=True, staleness_ms=0, blocklist_size=0,
            max_staleness_ms=60_000,
        )  # fmt: skip
        await eventually(partial(_remembered, house, ghost, last))
        async with asyncio.TaskGroup() as group:
            command = group.create_task(house.keys(kill(killed), timeout=30.0))
            await eventually(partial(gone, house, killed), within=25)
            assert not command.done(), "the receipts are still awaited"
            command.cancel()


async def checks(house: House, token: bytes, outcome: str) -> bool:
    """Whether the edge says *outcome*."""
    return await house.check(token) == outcome


async def gone(house: House, kid: str) -> bool:
    """Whether the document counts *kid* as compromised."""
    return state_of((await house.desk()).body, kid) == "compromised"


async def test_a_key_nobody_knows_is_not_compromised(
    nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """A typing mistake hits nobody."""
    session = session_of(nats_server, await bus_of("operator"))
    desk = KeyDesk(session)
    await desk.open()

    with pytest.raises(KeyStateError, match="no key of this installation"):
        await kill("20260101-sig-zzzzzz")(session, desk)

    assert (await session.bus.stream_position(contract.TOKEN)).last_seq == 0


async def test_an_interrupted_rotation_goes_on_where_it_stopped(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """After each of its steps: the same new key, and never a signature that edges do not know."""
    async with open_house(nats_server, tmp_path, patient=True) as house:
        first = house.signer.tokens.kid
        desk = await house.desk()
        kid = desk.files.prepare("20261122", "RS256")  # killed before it was published
        assert signing_paths(house.secrets_dir)[-1].stem == first, "auth must not find it yet"

        desk = await house.desk()
        assert await desk.publish_next(None) == kid  # killed before the edges confirmed
        assert next_key((await house.desk()).body) == kid
        assert house.signer.tokens.kid == first

        desk = await house.desk()
        desk.files.enable(kid)  # killed before it was said
        assert house.signer.tokens.kid == first
        assert await house.check(house.signer.token()) == "allow"

        assert await house.keys(ROTATE) == exits.DONE
        await eventually(lambda: house.signer.tokens.kid == kid)
        assert await house.check(house.signer.token()) == "allow"
        assert len((await house.desk()).body.keys) == 2


async def test_an_edge_that_is_silent_holds_the_new_key_back(
    nats_server: NatsServer, tmp_path: Path, bus_of: BusFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may let people in and not know the key: exit 3, the old key signs; a rerun goes on."""
    async with open_house(nats_server, tmp_path) as house:
        ghost, before = await bus_of("edge-2"), house.signer.tokens.kid
        # Made now: while it was made, the ghost could close itself.
        (await house.desk()).files.prepare("20261122", "RS256")
        last = Heartbeat(
            edge_id="edge-2", at=1, epoch="", seq=0, ready=True, staleness_ms=0, blocklist_size=0,
            max_staleness_ms=2_000,
        )  # fmt: skip
        await eventually(partial(_remembered, house, ghost, last))

        assert await house.keys(ROTATE, timeout=1.0) == exits.PARTLY
        answer = said(capsys)
        assert (answer["signs"], house.signer.tokens.kid) == (False, before)

        # It has closed itself by now, or says that it knows.
        assert await house.keys(ROTATE, timeout=15.0) == exits.DONE
        assert said(capsys)["kid"] == answer["kid"]


async def _remembered(house: House, ghost: object, last: Heartbeat) -> bool:
    await ghost.signal(contract.EDGE_HEARTBEAT.of("edge-2"), last)  # type: ignore[attr-defined]
    told = await house.operator.ask(contract.OP_EDGES_LIST, contract.m.ListEdges())
    return "edge-2" in [seen.beat.edge_id for seen in told.edges]


BOT = made_token("bot").row
SIGNED = (("k1", (BOT,)), ("k1", ()), ("k2", (BOT,)))


@pytest.mark.parametrize(
    ("upto", "kid", "rows"),
    [(1, "k1", (BOT,)), (2, "k1", (BOT,)), (3, "k1", ()), (3, "k2", (BOT,))],
)
def test_what_a_key_vouches_for_is_what_it_signed_last(
    upto: int, kid: str, rows: tuple[ServiceToken, ...]
) -> None:
    """Also where auth has struck them a moment ago; what another key has signed since goes on."""
    documents = [
        Document(TOKENS, number, 1, tokens_body(rows), signer)
        for number, (signer, rows) in enumerate(SIGNED[:upto], start=1)
    ]
    assert last_of(documents, kid) == rows
