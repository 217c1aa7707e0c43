"""The revocation worker as a process, against real NATS and Redis."""

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from latchwire.blocklist import Blocklist
from latchwire.claims import Claims
from latchwire.records import Record
from latchwire.tokens import verify_access_token
from services.revocation.domain.clock import MAX_SKEW_MS
from services.revocation.domain.records import KEY_LIFE_MS, MARGIN_MS, SESSION_LIFE_MS
from services.revocation.flows.revoke import Revoker, Stored
from shared import contract
from shared.bus import Bus, NoAnswerError
from shared.bus.streams import apply_streams
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.messages import DeadLetter, Freshness, Probe, TokenRevoked
from shared.redis import connect_redis
from tests.conftest import BusFactory
from tests.support.revocation import Ledger, Worker, make_worker
from tests.support.servers import NatsServer, RedisServer, start_in_thread
from tests.support.tokens import POLICY, make_claims, ring, sign
from tests.support.waiting import eventually

ADA = "ada@example.com"
NOBODY = "redis://127.0.0.1:1/0"  # nothing listens there
WorkerFactory = Callable[..., Worker]


@pytest.fixture
def worker_of(nats_server: NatsServer, tmp_path: Path) -> Iterator[WorkerFactory]:
    """``worker_of(redis_url)``: a worker, not started; killed at the end."""
    workers: list[Worker] = []

    def make(redis_url: str = NOBODY) -> Worker:
        workers.append(make_worker(nats_server, redis_url, tmp_path))
        return workers[-1]

    yield make
    for worker in workers:
        worker.kill()


async def revoke(bus: Bus, body: object) -> dict[str, object]:
    """``nats req token.revoked BODY``: the PubAck."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await bus.client.request("token.revoked", data, timeout=5)
    answer: dict[str, object] = json.loads(reply.data)
    return answer


async def freshness(bus: Bus) -> Freshness | None:
    """The answer to a probe, or None while nobody answers."""
    await eventually(lambda: bus.connected)
    try:
        return await bus.ask(contract.BLOCKLIST_PROBE, Probe(), timeout=1.0)
    except NoAnswerError:
        return None


async def test_a_request_typed_by_hand_becomes_a_record(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger, redis_server: RedisServer
) -> None:
    """DESIGN section 4 to the letter: capitals, no id, no time; the reply is the PubAck."""
    await start_in_thread(worker_of(redis_server.url))
    before = SystemClock().now_ms()

    ack = await revoke(
        operator,
        {"scope": "subject", "sub": "Ada@example.com", "reason": "laptop stolen"},
    )
    record = await eventually(lambda: ledger.record("subject", ADA))

    assert ack == {"stream": "TOKEN", "seq": 1}
    assert before <= record.sessions_before <= SystemClock().now_ms() + MAX_SKEW_MS
    assert record.tokens_before == 0
    assert record.until_ms - before == pytest.approx(SESSION_LIFE_MS + MARGIN_MS, abs=60_000)


async def test_the_server_itself_forgets_a_record_whose_time_is_over(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger
) -> None:
    """The message's own life is the record's, rounded up to whole seconds."""
    await start_in_thread(worker_of())
    await eventually(lambda: freshness(operator))  # it is at work
    until = SystemClock().now_ms() - MARGIN_MS + 3_000

    await revoke(operator, {"scope": "token", "jti": "t1", "affected_until": until})
    record = await eventually(lambda: ledger.record("token", "t1"))

    async def forgotten() -> bool:
        return await ledger.record("token", "t1") is None

    assert record.until_ms == until + MARGIN_MS
    await eventually(forgotten)
    assert SystemClock().now_ms() >= record.until_ms


@pytest.mark.parametrize("ahead_ms", [75_000, 24 * 3600 * 1000])
async def test_a_session_stamped_by_a_clock_that_runs_ahead_is_refused(
    worker_of: WorkerFactory,
    operator: Bus,
    ledger: Ledger,
    redis_server: RedisServer,
    ahead_ms: int,
) -> None:
    """Auth's floor keeps sessions ahead of every other clock: the watermark follows it there.

    Until its time has come the edge refuses the token as one from the future; afterwards as revoked.
    """
    started = SystemClock().now_ms() + ahead_ms
    async with connect_redis(redis_server.url) as redis:
        await redis.set("lw:clock", started)
    claims = make_claims(now_ms=started, sub=ADA, email=ADA)
    token = verify_access_token(sign(claims), ring(), POLICY, now_ms=started)
    assert isinstance(token, Claims)
    await start_in_thread(worker_of(redis_server.url))

    await revoke(operator, {"scope": "subject", "sub": ADA})
    record = await eventually(lambda: ledger.record("subject", ADA))

    edge = Blocklist(ledger.hash_key)
    edge.apply(ledger.key("subject", ADA), record)
    assert edge.find(edge.fingerprint(token), started)


async def test_a_revoked_key_stays_revoked_in_every_copy(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger, redis_server: RedisServer
) -> None:
    """Ten years are a life that the server's own clock of messages and Redis take."""
    await start_in_thread(worker_of(redis_server.url))
    began = SystemClock().now_ms()

    await revoke(operator, {"scope": "key", "kid": "k1"})
    record = await eventually(lambda: ledger.record("key", "k1"))

    assert record.until_ms - began == pytest.approx(KEY_LIFE_MS + MARGIN_MS, abs=60_000)
    found = await operator.js.get_last_msg("BLOCKLIST", f"bl.{ledger.key('key', 'k1')}")
    assert found.headers is not None
    assert int(found.headers["Nats-TTL"]) == pytest.approx(KEY_LIFE_MS / 1000, abs=75)
    async with connect_redis(redis_server.url) as redis:
        name = f"lw:bl:{ledger.key('key', 'k1')}"
        await eventually(lambda: redis.exists(name))
        assert Record.unpack(await redis.get(name)) == record
        assert await redis.pttl(name) == pytest.approx(KEY_LIFE_MS, abs=75_000)


async def test_without_redis_revocations_go_on(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger
) -> None:
    """The watermark comes from the broker's clock, with what it may be behind; nothing waits."""
    await start_in_thread(worker_of())
    await eventually(lambda: freshness(operator))
    took: list[int] = []
    for sub in (ADA, "bob@example.com", "eve@example.com"):
        began = SystemClock().now_ms()
        await revoke(operator, {"scope": "subject", "sub": sub})
        record = await eventually(lambda sub=sub: ledger.record("subject", sub))
        took.append(SystemClock().now_ms() - began)
        assert 0 <= record.sessions_before - began - MAX_SKEW_MS <= took[-1]

    assert min(took) < 1_000, took


async def test_two_workers_on_the_same_keys_lose_nothing(
    worker_of: WorkerFactory, bus_of: BusFactory, ledger: Ledger
) -> None:
    """Four hundred revocations of four people, each with its own watermark: the greatest stand."""
    await asyncio.gather(*(start_in_thread(worker_of()) for _ in range(2)))
    auth = await bus_of("auth")
    base = SystemClock().now_ms() - 100_000
    events = [
        TokenRevoked(
            scope="subject",
            sub=f"p{n % 4}@example.com",
            applies_to="access" if n % 8 < 4 else "sessions",
            before=base + (n * 7919) % 1000,
        )
        for n in range(400)
    ]

    await asyncio.gather(*(auth.publish(contract.TOKEN_REVOKED, event) for event in events))
    await eventually(lambda: drained(auth), within=60)

    for person in range(4):
        sub = f"p{person}@example.com"
        mine = [event for event in events if event.sub == sub]
        record = await ledger.record("subject", sub)
        assert record is not None
        assert record.sessions_before == greatest(mine, "sessions")
        assert record.tokens_before == greatest(mine, "access")


async def drained(bus: Bus) -> bool:
    """Whether a probe finds no revocation waiting."""
    found = await freshness(bus)
    return found is not None and found.backlog_ms == 0


def greatest(events: list[TokenRevoked], applies_to: str) -> int:
    """The last watermark among *events*."""
    return max((e.before or 0 for e in events if e.applies_to == applies_to), default=0)


async def test_killed_again_and_again_in_the_middle_it_loses_nothing(
    worker_of: WorkerFactory, bus_of: BusFactory, ledger: Ledger
) -> None:
    """kill -9 under load, three times: each acknowledged revocation is in BLOCKLIST afterwards."""
    auth = await bus_of("auth")
    worker = worker_of()
    await start_in_thread(worker)
    sids = [f"sid-{n}" for n in range(300)]

    async def publish(part: list[str]) -> None:
        for sid in part:
            await auth.publish(contract.TOKEN_REVOKED, TokenRevoked(scope="session", sid=sid))

    async with asyncio.TaskGroup() as group:
        for start in range(3):
            group.create_task(publish(sids[start::3]))
        for stored in (30, 90, 150):
            await eventually(lambda least=stored: recorded(auth, least))
            worker.kill()
            await start_in_thread(worker)
    await eventually(lambda: drained(auth), within=60)

    missing = [sid for sid in sids if await ledger.record("session", sid) is None]
    assert missing == []


async def test_killed_between_merge_and_acknowledgement_it_repeats_itself_harmlessly(
    worker_of: WorkerFactory, operator: Bus, bus_of: BusFactory, ledger: Ledger
) -> None:
    """The event comes again, finds its own record, writes nothing and is acknowledged."""
    event = TokenRevoked(scope="subject", sub=ADA, before=SystemClock().now_ms() - 1)
    ack = await operator.publish(contract.TOKEN_REVOKED, event)
    crashed = Revoker(await bus_of("revocation"), NoStoreClock(), SystemClock(), ledger.hash_key)
    merged = await crashed.revoke(event, stored_at_ms=SystemClock().now_ms())
    assert isinstance(merged, Stored)

    await start_in_thread(worker_of())
    await eventually(lambda: drained(operator), within=60)

    record = await ledger.record("subject", ADA)
    assert record is not None
    assert record.sessions_before == event.before
    floor = (await operator.state.consumer(contract.REVOCATION))["ack_floor"]["stream_seq"]
    assert floor == ack.seq


class NoStoreClock:
    """Redis is away."""

    def now_ms(self) -> int | None:
        return None


async def recorded(bus: Bus, least: int) -> bool:
    """Whether BLOCKLIST has come to *least*."""
    return (await bus.stream_position(contract.BLOCKLIST)).last_seq >= least


# What was sent, and what an operator reads about it. None of the latter repeats what was sent.
TOO_LARGE = "Unable to parse input string as an integer, exceeded maximum size"
ONE_ID = "Value error, scope session takes exactly the id sid (value_error)"
POISON = {
    "not JSON": (b"\xff\xfe{", "not JSON: expected value at line 1 column 1"),
    "empty": (b"", "not JSON: EOF while parsing a value at line 1 column 0"),
    "no object": (b"[]", "Input should be an object (model_type)"),
    "wrong types": (
        b'{"scope":"session","sid":7}',
        "sid: Input should be a valid string (string_type)",
    ),
    "unknown scope": (
        b'{"scope":"everybody","sub":"x"}',
        "scope: Input should be 'token', 'session', 'subject', 'service' or 'key' (literal_error)",
    ),
    "two ids": (b'{"scope":"session","sid":"s","sub":"ada@example.com"}', ONE_ID),
    "no id": (b'{"scope":"session"}', ONE_ID),
    "another scope's id": (b'{"scope":"session","jti":"t"}', ONE_ID),
    "an end in the far future": (
        b'{"scope":"session","sid":"s","affected_until":9e99}',
        f"affected_until: {TOO_LARGE} (int_parsing_size)",
    ),
    "not a number": (
        b'{"scope":"session","sid":"s","affected_until":NaN}',
        "affected_until: Input should be a finite number (finite_number)",
    ),
    "negative time": (
        b'{"scope":"subject","sub":"s","before":-1}',
        "before: Input should be greater than or equal to 0 (greater_than_equal)",
    ),
    "an id of 3 kB": (  # more than 4 kB the stream does not take
        b'{"scope":"token","jti":"' + b"j" * 3_000 + b'"}',
        "jti: String should have at most 255 characters (string_too_long)",
    ),
    "control characters": (
        b'{"scope":"session","sid":"a\\u0000b"}',
        r"sid: String should match pattern '^[^\x00-\x1f\x7f]+$' (string_pattern_mismatch)",
    ),
    "nested": (
        b'{"scope":"session","sid":"s","more":' + b"[" * 1_900 + b"]" * 1_900 + b"}",
        "not JSON: recursion limit exceeded at line 1 column 237",
    ),
    "watermark for a session's access": (
        b'{"scope":"session","sid":"s","applies_to":"access"}',
        "Value error, applies_to belongs to scope subject (value_error)",
    ),
}


async def test_poison_is_put_aside_without_its_payload_and_the_next_event_goes_on(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger
) -> None:
    """One dead letter each: hash, size, and which field broke which rule; the next event is applied."""
    letters: list[DeadLetter] = []

    async def keep(letter: DeadLetter) -> None:
        letters.append(letter)

    await operator.listen(contract.DEADLETTER_TOKEN, keep)
    await start_in_thread(worker_of())
    await eventually(lambda: freshness(operator))
    for name, (body, _) in POISON.items():
        await revoke(operator, body)
        await revoke(operator, {"scope": "session", "sid": name})
        await eventually(lambda sid=name: ledger.record("session", sid))
    await eventually(lambda: len(letters) == len(POISON))

    assert {letter.payload_sha256: letter.reason for letter in letters} == {
        hashlib.sha256(body).hexdigest(): f"undecodable: {why}" for body, why in POISON.values()
    }
    assert {letter.payload for letter in letters} == {None}
    assert await eventually(lambda: drained(operator))


async def test_a_person_nobody_can_be_is_put_aside_and_never_called_revoked(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger
) -> None:
    """A display name or a comma is a dead letter; whitespace is dropped."""
    letters: list[DeadLetter] = []

    async def keep(letter: DeadLetter) -> None:
        letters.append(letter)

    await operator.listen(contract.DEADLETTER_TOKEN, keep)
    await start_in_thread(worker_of())
    for sub in ("Ada <ada@example.com>", "ada@example.com,", " ada@example.com "):
        await revoke(operator, {"scope": "subject", "sub": sub})

    assert await eventually(lambda: ledger.record("subject", ADA))
    await eventually(lambda: len(letters) == 2)
    reasons = sorted(
        letter.reason.removeprefix("the subject is not an address: ") for letter in letters
    )
    assert reasons == ["display_name", "whitespace"]


async def test_a_revocation_larger_than_the_stream_takes_is_refused_to_its_sender(
    worker_of: WorkerFactory, operator: Bus
) -> None:
    """Half a megabyte gets an error instead of a PubAck; nothing is stored."""
    body = b'{"scope":"token","jti":"' + b"j" * 500_000 + b'"}'

    answer = await revoke(operator, body)

    assert "error" in answer


async def test_fields_of_a_later_version_are_ignored(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger
) -> None:
    """An old worker applies what a newer publisher says, as far as it knows it."""
    await start_in_thread(worker_of())

    await revoke(operator, {"scope": "session", "sid": "s", "tenant": "t1"})

    assert await eventually(lambda: ledger.record("session", "s"))


async def test_a_probe_tells_how_long_revocations_have_waited(
    worker_of: WorkerFactory, operator: Bus, bus_of: BusFactory
) -> None:
    """A stopped worker's events count from when they were stored; afterwards nothing waits."""
    first, second = worker_of(), worker_of()
    await start_in_thread(first)
    before = await eventually(lambda: freshness(operator))
    first.kill()
    assert await freshness(operator) is None
    stored = SystemClock().monotonic()
    await revoke(operator, {"scope": "session", "sid": "s"})
    await start_in_thread(second)

    answers: list[Freshness] = []

    async def done() -> bool:
        found = await freshness(operator)
        answers.extend([found] if found else [])
        return bool(found and found.backlog_ms == 0)

    await eventually(done, within=60)
    waited_ms = (SystemClock().monotonic() - stored) * 1000

    assert before.backlog_ms == 0
    assert answers[-1].last_seq == before.last_seq + 1
    assert all(a.backlog_ms <= waited_ms + 1 for a in answers)
    assert all(a.backlog_ms > 0 or a.last_seq > before.last_seq for a in answers)


async def test_redis_flushed_and_restarted_is_filled_again(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger, redis_server: RedisServer
) -> None:
    """Readers that see "trusted" find every record, and BLOCKLIST never noticed."""
    await start_in_thread(worker_of(redis_server.url))
    for n in range(20):
        await revoke(operator, {"scope": "session", "sid": f"s{n}"})
    keys = [f"lw:bl:{ledger.key('session', f's{n}')}" for n in range(21)]

    async with connect_redis(redis_server.url) as redis:

        async def copied(count: int) -> bool:
            return (
                await redis.exists("lw:bl:trusted") == 1
                and await redis.exists(*keys[:count]) == count
            )

        await eventually(lambda: copied(20))
        body = await redis.get(keys[0])
        assert Record.unpack(body) == await ledger.record("session", "s0")

        await redis.flushall()
        await eventually(lambda: copied(20))

    redis_server.kill()
    await revoke(operator, {"scope": "session", "sid": "s20"})
    await eventually(lambda: ledger.record("session", "s20"))
    await start_in_thread(redis_server)
    async with connect_redis(redis_server.url) as redis:
        await eventually(lambda: redis.exists(*keys))

        async def whole() -> bool:
            return await redis.exists(*keys) == 21

        await eventually(whole)


async def test_redis_restored_from_an_old_copy_is_not_trusted_until_it_has_caught_up(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger, redis_server: RedisServer
) -> None:
    """The old copy's own mark says where to go on; its "trusted" had run out."""
    worker = worker_of(redis_server.url)
    await start_in_thread(worker)
    await revoke(operator, {"scope": "session", "sid": "early"})
    async with connect_redis(redis_server.url) as redis:
        early = f"lw:bl:{ledger.key('session', 'early')}"
        late = f"lw:bl:{ledger.key('session', 'late')}"
        await eventually(lambda: redis.exists(early))
        await eventually(lambda: redis.exists("lw:bl:position"))
        old = {key: await redis.dump(key) for key in (b"lw:bl:position", early.encode())}
        await revoke(operator, {"scope": "session", "sid": "late"})
        await eventually(lambda: redis.exists(late))
        worker.kill()

        await redis.flushall()
        for key, value in old.items():
            await redis.restore(key, 0, value)
        assert not await redis.exists("lw:bl:trusted")
        await start_in_thread(worker)
        await eventually(lambda: redis.exists("lw:bl:trusted"))

        assert await redis.exists(early, late) == 2


async def test_a_lost_blocklist_is_filled_from_token_before_anything_is_proven_again(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger, nats_server: NatsServer
) -> None:
    """`streams apply` makes it anew under another epoch, and replays what was acknowledged long ago."""
    await start_in_thread(worker_of())
    for n in range(50):
        await revoke(operator, {"scope": "session", "sid": f"s{n}"})
    before = await eventually(lambda: freshness(operator))
    await eventually(lambda: drained(operator))
    await lose_blocklist(nats_server)
    assert await freshness(operator) is None

    await nats_server.provision()
    answers: list[Freshness] = []

    async def proven() -> bool:
        found = await freshness(operator)
        answers.extend([found] if found else [])
        return bool(found and found.backlog_ms == 0)

    await eventually(proven, within=60)

    assert {answer.epoch for answer in answers} - {before.epoch} == {answers[-1].epoch}
    assert answers[-1].last_seq >= 50
    missing = [n for n in range(50) if await ledger.record("session", f"s{n}") is None]
    assert missing == []


async def lose_blocklist(nats: NatsServer) -> None:
    """What no credential may do: the stream's files are gone after a crash."""
    nats.kill()
    found = list(nats.log.parent.glob("js/jetstream/CORE/streams/BLOCKLIST"))
    assert len(found) == 1
    shutil.rmtree(found[0])
    await start_in_thread(nats)


async def test_a_restored_blocklist_gets_a_new_epoch_and_what_it_missed(
    worker_of: WorkerFactory, operator: Bus, ledger: Ledger, nats_server: NatsServer
) -> None:
    """`streams apply --restored` renews the epoch and replays TOKEN on top of what is there."""
    await start_in_thread(worker_of())
    await revoke(operator, {"scope": "session", "sid": "s"})
    before = await eventually(lambda: ledger.record("session", "s"))
    epoch = (await operator.stream_position(contract.BLOCKLIST)).epoch

    async with nats_server.connect("provisioner") as provisioner:
        found = await apply_streams(provisioner, SystemIds(), restored=True)
    await eventually(lambda: drained(operator), within=60)
    after = await operator.stream_position(contract.BLOCKLIST)

    assert [(d.field, d.mended) for d in found] == [("epoch", True), ("", True), ("", True)]
    assert after.epoch not in {"", epoch}
    assert await ledger.record("session", "s") == before


async def test_an_orderly_stop_finishes_what_was_begun(
    worker_of: WorkerFactory, operator: Bus
) -> None:
    """SIGTERM ends it with code 0 within the drain time."""
    worker = worker_of()
    await start_in_thread(worker)
    await eventually(lambda: freshness(operator))
    assert worker.process is not None

    await asyncio.to_thread(worker.stop)

    assert worker.process.returncode == 0
