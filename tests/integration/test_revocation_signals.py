"""What the worker says of each event, and what it takes from services."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared import contract
from shared.bus import Bus, NoAnswerError
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.messages import (
    DeadLetter,
    Freshness,
    Heartbeat,
    Probe,
    ReceiptsRequest,
    RevocationApplied,
    TokenRevoked,
)
from tests.conftest import BusFactory
from tests.support.revocation import Ledger, Worker, make_worker
from tests.support.servers import NatsServer, start_in_thread
from tests.support.waiting import eventually

TABLE = "shop: [session, token]\nreports: []\n"
NOBODY = "redis://127.0.0.1:1/0"
ADA = "ada@example.com"
STALENESS_MS = 60_000  # so long, and two seconds more, nobody knows which edges there are
PROMPT = 2.0  # seconds; a lost request is asked again after 2.5


@pytest.fixture
def worker_of(nats_server: NatsServer, tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    """A worker with a table of services, not started; killed at the end."""
    workers: list[Worker] = []
    table = tmp_path / "revokers.yaml"
    table.write_text(TABLE)

    def make() -> Worker:
        settings = {"REVOKERS": str(table), "MAX_STALENESS": f"{STALENESS_MS / 1000:g}"}
        workers.append(make_worker(nats_server, NOBODY, tmp_path, **settings))
        return workers[-1]

    yield make
    for worker in workers:
        worker.kill()


@pytest.fixture
async def told(operator: Bus) -> list[RevocationApplied]:
    """Every signal."""
    signals: list[RevocationApplied] = []

    async def hear(signal: RevocationApplied) -> None:
        signals.append(signal)

    await operator.listen(contract.REVOCATION_APPLIED, hear)
    return signals


@pytest.fixture
async def letters(operator: Bus) -> list[DeadLetter]:
    """Every dead letter."""
    found: list[DeadLetter] = []

    async def hear(letter: DeadLetter) -> None:
        found.append(letter)

    await operator.listen(contract.DEADLETTER_TOKEN, hear)
    return found


def new_id() -> str:
    """An event's id."""
    return SystemIds().ulid(SystemClock().now_ms())


async def proof(bus: Bus) -> Freshness | None:
    """The answer to a probe, or None while nobody answers."""
    try:
        return await bus.ask(contract.BLOCKLIST_PROBE, Probe(), timeout=1.0)
    except NoAnswerError:
        return None


async def request(
    bus: Bus, subject: str, body: bytes, headers: dict[str, str] | None = None
) -> int:
    """Publish *body* as it is; the sequence of the PubAck."""
    reply = await bus.client.request(subject, body, timeout=5, headers=headers)
    seq: int = json.loads(reply.data)["seq"]
    return seq


async def test_each_event_is_answered_with_its_place_once_it_is_there(
    worker_of: Callable[[], Worker], operator: Bus, ledger: Ledger, told: list[RevocationApplied]
) -> None:
    """New, known and lapsed; the sequence is the record's, in the epoch that BLOCKLIST has."""
    await start_in_thread(worker_of())
    until = SystemClock().now_ms() + 60_000
    for count in (1, 2):
        event = TokenRevoked(scope="session", sid="s", affected_until=until, id=new_id())
        await operator.publish(contract.TOKEN_REVOKED, event)
        await eventually(lambda count=count: len(told) == count)
        assert await ledger.record("session", "s") is not None
    lapsed = TokenRevoked(scope="token", jti="t", affected_until=1)
    seq = await request(operator, "token.revoked", contract.TOKEN_REVOKED.encode(lapsed))
    await eventually(lambda: len(told) == 3)

    position = await operator.stream_position(contract.BLOCKLIST)
    place = (position.epoch, position.last_seq)
    assert [(t.outcome, t.epoch, t.seq) for t in told] == [
        ("stored", *place), ("known", *place), ("lapsed", "", 0),
    ]  # fmt: skip
    assert told[2].event == str(seq), "without an id it goes by its sequence"


async def test_a_permitted_service_revokes_in_its_own_name(
    worker_of: Callable[[], Worker],
    bus_of: BusFactory,
    ledger: Ledger,
    told: list[RevocationApplied],
) -> None:
    """From the account of the edges, with a PubAck, whatever actor the body claims."""
    await start_in_thread(worker_of())
    shop = await bus_of("service-shop")
    event = TokenRevoked(scope="session", sid="s", actor="operator", id=new_id())

    await shop.publish(contract.TOKEN_REVOKED_BY.of("shop"), event)
    await eventually(lambda: told)

    assert (told[0].event, told[0].outcome) == (event.id, "stored")
    assert told[0].stream == "TOKEN_BY", "nobody takes it for the word about an event of their own"
    assert await ledger.record("session", "s") is not None


REFUSED = {
    "another scope": b'{"scope":"subject","sub":"ada@example.com"}',
    "a key": b'{"scope":"key","kid":"k1"}',
    "a service": b'{"scope":"service","service":"hr"}',
    "unknown scope": b'{"scope":"everybody","sub":"x"}',
    "two ids": b'{"scope":"session","sid":"s","jti":"t"}',
    "no JSON": b"\xff{",
    "empty, and it says it is the server's word": b"",
    "an id of 3 kB": b'{"scope":"token","jti":"' + b"j" * 3_000 + b'"}',
}


async def test_what_a_service_may_not_say_is_put_aside_and_it_is_told(
    worker_of: Callable[[], Worker],
    bus_of: BusFactory,
    operator: Bus,
    ledger: Ledger,
    told: list[RevocationApplied],
    letters: list[DeadLetter],
) -> None:
    """One dead letter and one refusal each; nothing undecodable is kept; nobody waits behind it."""
    await start_in_thread(worker_of())
    await eventually(lambda: proof(operator))
    shop = await bus_of("service-shop")
    for body in REFUSED.values():
        said = new_id()
        marks = {"Nats-Msg-Id": said, "Status": "503"}
        seq = await request(shop, "token.revoked.by.shop", body, marks)
        await eventually(lambda seq=seq: [t for t in told if t.token_seq == seq])
        assert told[-1].event in {said, str(seq)}, "an id that can be read, or the sequence"

    assert {t.outcome for t in told} == {"refused"}
    assert len(told) == len(REFUSED)
    assert [t.reason for t in told][:3] == [
        f"shop may not revoke in scope {scope}" for scope in ("subject", "key", "service")
    ]
    await eventually(lambda: len(letters) == len(REFUSED))
    kept = [letter.payload for letter in letters if letter.payload is not None]
    assert sorted(kept) == sorted(body.decode() for body in list(REFUSED.values())[:3])
    assert (await operator.stream_position(contract.BLOCKLIST)).last_seq == 0
    found = await proof(operator)
    assert found is not None
    assert found.backlog_ms == 0


async def test_a_service_without_a_row_revokes_nothing(
    worker_of: Callable[[], Worker], operator: Bus, bus_of: BusFactory, tmp_path: Path,
    ledger: Ledger,
) -> None:  # fmt: skip
    """The credential alone is no permission: what it says is ended unread, and leaves no dead letter."""
    (tmp_path / "revokers.yaml").write_text("reports: [session]\n")
    await start_in_thread(worker_of())
    shop = await bus_of("service-shop")

    event = TokenRevoked(scope="session", sid="s", id=new_id())
    ack = await shop.publish(contract.TOKEN_REVOKED_BY.of("shop"), event)

    async def done() -> bool:
        info = await operator.state.consumer(contract.REVOCATION_BY)
        floor: int = info["ack_floor"]["stream_seq"]
        return floor >= ack.seq

    await eventually(done)
    assert await ledger.record("session", "s") is None
    assert (await operator.stream_position(contract.DEADLETTER)).last_seq == 0


async def test_a_revocation_is_as_long_as_its_longest_text_and_no_longer(
    operator: Bus, bus_of: BusFactory
) -> None:
    """Our own always fits; sixty kilobytes of a service fill nobody's stream."""
    longest = "\N{GRINNING FACE}" * 255
    event = TokenRevoked(
        scope="subject", sub=longest, reason=longest, actor=longest, applies_to="sessions",
        affected_until=1 << 41, before=1 << 41, id=new_id(), at=1 << 41,
    )  # fmt: skip
    shop = await bus_of("service-shop")

    await operator.publish(contract.TOKEN_REVOKED, event)
    await shop.publish(contract.TOKEN_REVOKED_BY.of("shop"), event)

    reply = await shop.client.request("token.revoked.by.shop", b"x" * 60_000, timeout=5)
    assert b"message size exceeds" in reply.data


async def test_receipts_come_when_the_last_edge_has_spoken(
    worker_of: Callable[[], Worker], bus_of: BusFactory, operator: Bus
) -> None:
    """A hundred who wait hold up nobody who asks for a proof."""
    await start_in_thread(worker_of())
    await eventually(lambda: proof(operator))
    edge, auth = await bus_of("edge-1"), await bus_of("auth")
    subject = contract.EDGE_HEARTBEAT.of("edge-1")
    beat = Heartbeat(
        edge_id="edge-1", at=0, epoch="e", seq=4, ready=True, staleness_ms=0, blocklist_size=0,
        max_staleness_ms=STALENESS_MS,
    )  # fmt: skip
    await edge.signal(subject, beat)
    question = ReceiptsRequest(epoch="e", seq=5, wait_ms=5_000)

    async with asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(auth.ask(contract.REVOCATION_RECEIPTS, question, timeout=60))
            for _ in range(100)
        ]
        await eventually(lambda: proof(operator))
        assert not any(task.done() for task in waiting)
        await edge.signal(subject, beat.model_copy(update={"seq": 5}))

    answer = waiting[0].result()
    assert [(e.edge_id, e.confirmed) for e in answer.edges] == [("edge-1", True)]
    assert not answer.whole, "it has listened for a few seconds only"
    assert 0 < answer.safe_in_ms <= STALENESS_MS + 2_000


async def test_what_waited_for_room_in_blocklist_is_done_as_soon_as_there_is_some(
    worker_of: Callable[[], Worker], operator: Bus, bus_of: BusFactory, ledger: Ledger
) -> None:
    """More than a worker holds at once: none is lost, and none waits half a minute for its next try."""
    await start_in_thread(worker_of())
    await eventually(lambda: proof(operator))
    provisioner, auth = await bus_of("provisioner"), await bus_of("auth")
    config = (await provisioner.js.stream_info("BLOCKLIST")).config
    await provisioner.js.update_stream(config.evolve(max_bytes=1))
    events = [TokenRevoked(scope="session", sid=f"s{n}") for n in range(300)]
    async with asyncio.TaskGroup() as group:
        for event in events:
            group.create_task(auth.publish(contract.TOKEN_REVOKED, event))

    async def waited() -> bool:
        found = await proof(operator)
        return found is not None and found.backlog_ms > 2_500

    await eventually(waited, within=60)
    await provisioner.js.update_stream(config)

    async def done() -> bool:
        found = await proof(operator)
        return found is not None and found.last_seq >= 300 and found.backlog_ms == 0

    await eventually(done, within=25)  # not half a minute


async def test_after_a_restart_of_nats_the_first_revocation_does_not_wait_for_a_timeout(
    worker_of: Callable[[], Worker], operator: Bus, nats_server: NatsServer,
    told: list[RevocationApplied],
) -> None:  # fmt: skip
    """The request that waited at the server died with it; the worker asks again as soon as it is back.

    In the best of three: a machine may be busy.
    """
    await start_in_thread(worker_of())
    await eventually(lambda: proof(operator))
    clock, took = SystemClock(), list[float]()
    while len(took) < 3 and min(took, default=PROMPT) >= PROMPT:
        nats_server.kill()
        await start_in_thread(nats_server)
        await eventually(lambda: operator.connected)
        await eventually(lambda: proof(operator))
        began, heard = clock.monotonic(), len(told)

        event = TokenRevoked(scope="session", sid=f"s{len(took)}")
        await operator.publish(contract.TOKEN_REVOKED, event)

        await eventually(lambda heard=heard: len(told) > heard)
        took.append(clock.monotonic() - began)
    assert min(took) < PROMPT, took
