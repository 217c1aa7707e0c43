"""The bus against a real nats-server: acknowledgement, policy, dead letters, grants."""

import asyncio

import pytest

from shared import contract
from shared.bus import (
    BusUnavailableError,
    Delivery,
    NoAnswerError,
    Reject,
    Retry,
    verify_grants,
)
from shared.bus.streams import apply_streams
from shared.ids import SystemIds
from shared.messages import (
    Freshness,
    Heartbeat,
    LoginRequested,
    Probe,
    RevocationApplied,
    TokenRevoked,
)
from tests.conftest import BusFactory
from tests.support.servers import NatsServer
from tests.support.waiting import PATIENCE, eventually

NOW = 1_795_312_000_000


def request(login_id: str | None = None) -> LoginRequested:
    """A login event as auth would publish it."""
    ulid = SystemIds().ulid(NOW)
    return LoginRequested(
        id=ulid,
        at=NOW,
        login_id=login_id or ulid,
        email="ada@example.com",
        expires_at=NOW + 600_000,
    )


async def test_every_role_may_do_what_the_contract_says(bus_of: BusFactory) -> None:
    """The start-up self-test passes for each worker's own credential."""
    for name in ("auth", "mailer", "revocation", "edge-1", "operator"):
        await verify_grants(await bus_of(name))


async def test_of_what_was_acknowledged_the_latest_is_read_and_ever_less_of_the_older(
    bus_of: BusFactory,
) -> None:
    """So that what is missing is met also when many came after it."""
    auth, worker = await bus_of("auth"), await bus_of("revocation")
    for number in range(1, 101):
        await auth.publish(contract.TOKEN_REVOKED, TokenRevoked(scope="session", sid=str(number)))
    durable = contract.REVOCATION
    pulled = await worker.js.pull_subscribe_bind(durable.name, durable.stream.name)
    for message in await pulled.fetch(90, timeout=PATIENCE):
        await message.ack_sync()

    found = await worker.state.acknowledged(durable, 5)

    read = [contract.TOKEN_REVOKED.decode(message.data).sid for message in found]
    assert read == ["90", "89", "88", "87", "86", "84", "81", "77", "71", "62", "48", "27"]


async def test_the_end_of_blocklist_is_known_again_by_its_time(bus_of: BusFactory) -> None:
    """The stream's own words and the message's are the same, to the letter."""
    worker = await bus_of("revocation")
    for number in range(20):  # a time that ends in zeros is written shorter
        stored = await worker.put_state(f"jk{number}", b"x", expected_seq=0, ttl_seconds=60)
        position = await worker.stream_position(contract.BLOCKLIST)

        assert stored is not None
        assert position.last_ts == await worker.state.stored_at(stored.seq)
    assert await worker.state.stored_at(stored.seq + 1) is None


async def test_publishing_twice_under_one_id_stores_once(bus_of: BusFactory) -> None:
    """A retry after a lost PubAck is told that the message is already there."""
    bus = await bus_of("auth")
    message = request()

    first = await bus.publish(contract.LOGIN_REQUESTED, message)
    second = await bus.publish(contract.LOGIN_REQUESTED, message)

    assert (second.seq, second.duplicate) == (first.seq, True)


async def test_a_denied_publish_is_an_error_and_not_silence(bus_of: BusFactory) -> None:
    """The mailer cannot pretend to be auth."""
    bus = await bus_of("mailer")

    with pytest.raises(BusUnavailableError):
        await bus.publish(contract.LOGIN_REQUESTED, request(), within=0.6)


async def test_a_message_is_retried_until_the_handler_is_content(bus_of: BusFactory) -> None:
    """Retry means redelivery after the delay; success means never again."""
    auth, mailer = await bus_of("auth"), await bus_of("mailer")
    seen: list[int] = []
    stopping = asyncio.Event()

    async def handle(_message: LoginRequested, delivery: Delivery) -> None:
        seen.append(delivery.deliveries)
        if delivery.deliveries < 3:
            raise Retry(0.01, "not yet")

    async with asyncio.TaskGroup() as group:
        group.create_task(
            mailer.consume(
                contract.MAILER, contract.LOGIN_REQUESTED, handle, concurrency=2, stopping=stopping
            )
        )
        await auth.publish(contract.LOGIN_REQUESTED, request())
        await eventually(lambda: len(seen) == 3)
        stopping.set()

    assert seen == [1, 2, 3]
    assert (await mailer.state.consumer(contract.MAILER))["num_ack_pending"] == 0


async def test_poison_is_buried_without_its_payload_and_the_next_message_is_handled(
    bus_of: BusFactory, nats_server: NatsServer
) -> None:
    """An undecodable body leaves a dead letter with hash and size only."""
    auth, worker, operator = (
        await bus_of("auth"),
        await bus_of("revocation"),
        await bus_of("operator"),
    )
    letters = []
    handled: list[str] = []
    stopping = asyncio.Event()

    async def handle(message: TokenRevoked, _delivery: Delivery) -> None:
        handled.append(message.target)
        if message.target == "bad":
            raise Reject("no such thing")

    async def letter(message: object) -> None:
        letters.append(message)

    await operator.listen(contract.DEADLETTER_TOKEN, letter)
    async with asyncio.TaskGroup() as group:
        group.create_task(
            worker.consume(
                contract.REVOCATION,
                contract.TOKEN_REVOKED,
                handle,
                concurrency=1,
                stopping=stopping,
            )
        )
        await auth.js.publish("token.revoked", b'{"scope":"token","secret":"CANARY"}')
        await auth.publish(contract.TOKEN_REVOKED, TokenRevoked(scope="token", jti="bad"))
        await auth.publish(contract.TOKEN_REVOKED, TokenRevoked(scope="token", jti="good"))
        await eventually(lambda: handled[-1:] == ["good"] and len(letters) == 2)
        stopping.set()

    assert letters[0].payload is None
    assert letters[0].payload_bytes == 35
    assert letters[1].reason == "no such thing"


async def test_a_question_without_anybody_to_answer_says_so_at_once(bus_of: BusFactory) -> None:
    """No revocation worker: the probe fails in milliseconds, not after its timeout."""
    edge = await bus_of("edge-1")

    with pytest.raises(NoAnswerError):
        await edge.ask(contract.BLOCKLIST_PROBE, Probe(edge_id="edge-1"), timeout=30)


async def test_an_edge_in_its_own_account_can_ask_how_far_it_must_be(bus_of: BusFactory) -> None:
    """The probe crosses from the edge account to the revocation worker and back."""
    edge, worker = await bus_of("edge-1"), await bus_of("revocation")

    async def answer(probe: Probe) -> Freshness:
        assert probe.edge_id == "edge-1"
        return Freshness(epoch="e", last_seq=7, backlog_ms=0)

    await worker.answer(contract.BLOCKLIST_PROBE, answer)

    reply = await edge.ask(contract.BLOCKLIST_PROBE, Probe(edge_id="edge-1"))

    assert reply.last_seq == 7


async def test_an_edge_cannot_speak_for_another(bus_of: BusFactory) -> None:
    """A stolen edge credential forges no receipt: the body has to name the subject it came on."""
    thief, honest = await bus_of("edge-2"), await bus_of("edge-1")
    operator = await bus_of("operator")
    heard: list[tuple[str, int]] = []

    async def hear(beat: Heartbeat) -> None:
        heard.append((beat.edge_id, beat.seq))

    def claim(edge_id: str, seq: int) -> Heartbeat:
        return Heartbeat(
            edge_id=edge_id,
            at=NOW,
            epoch="e",
            seq=seq,
            ready=True,
            staleness_ms=0,
            blocklist_size=0,
        )

    await operator.listen(contract.EDGE_HEARTBEAT, hear)
    await thief.signal(contract.EDGE_HEARTBEAT.of("edge-2"), claim("edge-1", 10**9))
    await thief.client.flush()
    await honest.signal(contract.EDGE_HEARTBEAT.of("edge-1"), claim("edge-1", 7))
    await eventually(lambda: heard)

    assert heard == [("edge-1", 7)]


async def test_compare_and_set_lets_one_of_two_writers_win(bus_of: BusFactory) -> None:
    """The loser is told, and reads what the winner wrote."""
    worker = await bus_of("revocation")

    won = await worker.put_state("jabc", b"one", expected_seq=0, ttl_seconds=30)
    lost = await worker.put_state("jabc", b"two", expected_seq=0, ttl_seconds=30)

    assert won is not None
    assert lost is None
    assert await worker.get_state("jabc") == (b"one", won.seq)


async def test_provisioning_again_finds_no_difference(bus_of: BusFactory) -> None:
    """Applying the contract twice changes nothing the second time."""
    provisioner = await bus_of("provisioner")

    assert await apply_streams(provisioner, SystemIds()) == []


async def test_backlog_is_the_age_of_the_oldest_unacknowledged_revocation(
    bus_of: BusFactory,
) -> None:
    """Nothing waiting is 0; something waiting has an age."""
    auth, worker = await bus_of("auth"), await bus_of("revocation")

    assert await worker.consumer_backlog_ms(contract.REVOCATION) == 0
    await auth.publish(contract.TOKEN_REVOKED, TokenRevoked(scope="token", jti="x"))

    assert await worker.consumer_backlog_ms(contract.REVOCATION) >= 1


async def test_what_is_said_of_an_event_is_heard_by_who_listened_before_publishing_it(
    bus_of: BusFactory,
) -> None:
    """Without a round trip for the subscription; each hears its own event's, once."""
    auth, revocation = await bus_of("auth"), await bus_of("revocation")

    async def say(message: TokenRevoked) -> None:
        assert message.id
        name = contract.REVOCATION_APPLIED.of(message.id)
        for outcome in ("stored", "known"):
            said = RevocationApplied(event=message.id, token_seq=1, outcome=outcome)
            await revocation.signal(name, said)

    async def handle(message: TokenRevoked, _delivery: Delivery) -> None:
        await say(message)

    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(
            revocation.consume(
                contract.REVOCATION,
                contract.TOKEN_REVOKED,
                handle,
                concurrency=1,
                stopping=stopping,
            )
        )
        for _ in range(20):
            event = TokenRevoked(scope="session", sid="s", id=SystemIds().ulid(NOW))
            assert event.id
            async with auth.hear_once(contract.REVOCATION_APPLIED.of(event.id)) as heard:
                await auth.publish(contract.TOKEN_REVOKED, event)
                async with asyncio.timeout(PATIENCE):
                    assert (event.id, "stored") == ((await heard).event, heard.result().outcome)
        stopping.set()

    assert 0 == len([s for s in auth.client._subs.values() if "applied" in s.subject])


async def test_nothing_is_listened_for_without_a_connection(
    bus_of: BusFactory, nats_server: NatsServer
) -> None:
    """It says so at once instead of waiting for what cannot come."""
    auth = await bus_of("auth")
    nats_server.kill()
    await eventually(lambda: not auth.connected)

    with pytest.raises(BusUnavailableError):
        async with auth.hear_once(contract.REVOCATION_APPLIED.of("x")):
            pass


async def test_who_has_less_time_hears_sooner_that_nothing_was_acknowledged(
    bus_of: BusFactory, nats_server: NatsServer
) -> None:
    """A person waits for the answer: three tries within what was given, not within eight seconds."""
    auth = await bus_of("auth")
    nats_server.kill()

    async with asyncio.timeout(6):
        with pytest.raises(BusUnavailableError):
            await auth.publish(contract.LOGIN_REQUESTED, request(), within=0.6)
