"""What a stolen credential can revoke: every credential that strangers may reach, by every way there is.

Each tries to log somebody out in each scope; what counts is not what the server said, but which records lie in
BLOCKLIST when the worker has taken everything there was.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from latchwire import Claims, RevocationFeed, decode_access_token
from latchwire.records import Record, record_key
from shared import contract
from shared.bus import Bus
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.messages import TokenRevoked
from shared.messages.token import ID_FIELD
from shared.secrets import load_blocklist_key, new_seed, write_private
from tests.support.mailer import login
from tests.support.revocation import Ledger, Worker, make_worker
from tests.support.servers import CREDENTIALS, NatsServer, make_nats, start_in_thread
from tests.support.tokens import POLICY, make_claims, ring, sign
from tests.support.waiting import eventually

TABLE = "shop: [session, token]\nhr: [subject]\nreports: []\n"
NOBODY = "redis://127.0.0.1:1/0"
SCOPES = tuple(ID_FIELD)
GUESTS = ("edge-1", "service-shop", "service-reports")
POISONED = "bl.s" + "a" * 26
MAILS = "$JS.API.CONSUMER.MSG.NEXT.LOGIN.mailer"
SID = "01J00000000000000000000S1D"
ALLOWED = {("service-shop", "session"), ("service-shop", "token")}


@pytest.fixture
async def house(tmp_path: Path, secrets_dir: Path) -> AsyncIterator[NatsServer]:
    """NATS with three services, whose rows are `TABLE`."""
    services = ("service-reports", "service-hr")
    for name in services:
        write_private(secrets_dir / "nats" / f"{name}.seed", new_seed())
    server = make_nats(tmp_path / "nats", secrets_dir, (*CREDENTIALS, *services))
    server.start()
    try:
        await server.provision()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def worker(house: NatsServer, tmp_path: Path) -> AsyncIterator[Worker]:
    """A revocation worker that goes by `TABLE`."""
    table = tmp_path / "revokers.yaml"
    table.write_text(TABLE)
    worker = make_worker(house, NOBODY, tmp_path, REVOKERS=str(table))
    await start_in_thread(worker)
    yield worker
    worker.kill()


@asynccontextmanager
async def as_thief(server: NatsServer, name: str) -> AsyncIterator[Client]:
    """A bare client with the stolen credential *name*: it does what no worker of ours would."""

    async def denied(_error: Exception) -> None:
        return

    client = await nats.connect(
        server.url, nkeys_seed_str=server.seed(name), inbox_prefix=f"_INBOX_{name}", error_cb=denied
    )
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def opened_feed(server: NatsServer, secrets_dir: Path) -> AsyncIterator[RevocationFeed]:
    """The feed as a service opens it."""
    key = (secrets_dir / "blocklist.key").read_text().strip()
    seed, name = server.seed("service-shop"), "service-shop"
    opened = RevocationFeed.open(server.url, name=name, nkey_seed=seed, blocklist_key=key)
    async with opened as feed:
        yield feed


@dataclass(frozen=True)
class Target:
    """Somebody to log out: the victim of *thief* in *scope*, told apart by its id."""

    thief: str
    scope: str

    @property
    def identifier(self) -> str:
        """Its id, which no other try names."""
        return f"{self.scope}-of-{self.thief}"

    @property
    def body(self) -> bytes:
        """The event that would do it."""
        event = {"scope": self.scope, ID_FIELD[self.scope]: self.identifier, "reason": "theft"}
        return json.dumps(event).encode()

    def key(self, hash_key: bytes) -> str:
        """Where its record would lie."""
        return record_key(hash_key, self.scope, self.identifier)


def direct_ways(key: str) -> Iterator[str]:
    """Every subject on which a revocation could be said or written."""
    yield "token.revoked"
    for name in ("shop", "hr", "reports", "edge-1", "mailer", "x"):
        yield f"token.revoked.by.{name}"
    yield from (f"bl.{key}", f"blocklist.{key}", "snapshot.head", "document.keys")
    yield "$JS.API.CONSUMER.CREATE.TOKEN"


async def try_everything(thief: Client, target: Target, hash_key: bytes) -> None:
    """Say it and write it wherever a client can name a subject; once more under another name's header."""
    key = target.key(hash_key)
    record = Record(SystemClock().now_ms() + 3_600_000).pack()
    for subject in direct_ways(key):
        await thief.publish(subject, target.body)
        await thief.publish(subject, target.body, headers={"ce-source": "latchwire/operator"})
        await thief.publish(subject, record)
    await thief.flush()


async def all_is_taken(operator: Bus, ledger: Ledger) -> None:
    """Return when the worker has nothing left of either stream."""
    marker = f"marker-{SystemIds().secret()}"
    event = TokenRevoked(scope="session", sid=marker, reason="marker", actor="operator")
    await operator.publish(contract.TOKEN_REVOKED, event)

    async def idle() -> bool:
        infos = [
            await operator.state.consumer(d) for d in (contract.REVOCATION, contract.REVOCATION_BY)
        ]
        waiting = sum(info["num_pending"] + info["num_ack_pending"] for info in infos)
        return not waiting and await ledger.record("session", marker) is not None

    await eventually(idle, within=60)


async def test_a_stolen_credential_logs_nobody_out_beyond_its_scopes(
    house: NatsServer, worker: Worker, secrets_dir: Path
) -> None:
    """Edge, mailer and services, in every scope, on every subject: in BLOCKLIST lies what the table allows."""
    hash_key = load_blocklist_key(secrets_dir)
    targets = [Target(thief, scope) for thief in (*GUESTS, "mailer") for scope in SCOPES]
    for target in targets:
        async with as_thief(house, target.thief) as thief:
            await try_everything(thief, target, hash_key)

    async with house.connect("operator") as operator, house.connect("revocation") as bus:
        ledger = Ledger(bus, secrets_dir)
        await all_is_taken(operator, ledger)
        hit = {
            (t.thief, t.scope)
            for t in targets
            if await ledger.record(t.scope, t.identifier) is not None
        }

    assert hit == ALLOWED


@pytest.mark.parametrize("name", GUESTS)
async def test_an_answer_sent_elsewhere_revokes_nothing(
    house: NatsServer, worker: Worker, secrets_dir: Path, name: str
) -> None:
    """The server answers to any subject that a question names (and asks nobody): what it says is no event.

    Read: each stream's info, a record, a head, a document that *is* a revocation's text; asked: a probe.
    """
    victim = Target(name, "session")
    hash_key = load_blocklist_key(secrets_dir)
    async with house.connect("revocation") as writer, house.connect("operator") as operator:
        await writer.put_state(
            "j" + "a" * 26, Record(1 << 41).pack(), expected_seq=0, ttl_seconds=60
        )
        await writer.js.publish(contract.SNAPSHOT_HEAD, b'{"id":"x"}')
        before = {
            s: await operator.stream_position(s) for s in (contract.TOKEN, contract.BLOCKLIST)
        }
        async with as_thief(house, name) as thief:
            for reply in direct_ways(victim.key(hash_key)):
                await ask_with_reply(thief, reply)
            await thief.flush()
        after = {s: await operator.stream_position(s) for s in (contract.TOKEN, contract.BLOCKLIST)}
        ledger = Ledger(writer, secrets_dir)
        await all_is_taken(operator, ledger)
        letters = await operator.stream_position(contract.DEADLETTER)

    assert after == before, "neither TOKEN nor BLOCKLIST took anything"
    async with house.connect("operator") as operator:
        end = await operator.stream_position(contract.BLOCKLIST)
    assert end.last_seq == after[contract.BLOCKLIST].last_seq + 1, (
        "the marker's record and no other"
    )
    assert letters.last_seq <= 200, "what came under a service's name is put aside"


async def ask_with_reply(thief: Client, reply: str) -> None:
    """Every question a guest may ask, the answer to go to *reply*."""
    for stream in ("BLOCKLIST", "SNAPSHOT", "DOCUMENT"):
        subject = f"{{}}.{stream}".format
        ask: list[tuple[str, dict[str, Any]]] = [
            (subject("CORE.API.DIRECT.GET"), {"seq": 1}),
            (subject("CORE.API.STREAM.MSG.GET"), {"seq": 1}),
            (subject("CORE.API.STREAM.INFO"), {}),
        ]
        for question, body in ask:
            await thief.publish(question, json.dumps(body).encode(), reply=reply)
    await thief.publish("revocation.probe", b'{"scope":"session","sid":"x"}', reply=reply)


async def test_what_a_mailer_has_delivered_elsewhere_revokes_nothing_and_closes_no_edge(
    house: NatsServer, worker: Worker, secrets_dir: Path
) -> None:
    """It lives beside the workers: the server delivers its mails, and its receipts, to any subject it names.

    So they come to lie in TOKEN and even in BLOCKLIST; a reader must pass over them, and never call that stale.
    """
    async with house.connect("auth") as auth, house.connect("operator") as operator:
        now = SystemClock().now_ms()
        for n in range(6):
            await auth.publish(
                contract.LOGIN_REQUESTED, login(f"victim-{n}@example.com", now_ms=now)
            )
        async with as_thief(house, "mailer") as thief:
            for reply in ("token.revoked", "token.revoked.by.hr", POISONED):
                await thief.publish(MAILS, b'{"batch":1}', reply=reply)
                await thief.publish("$JS.API.STREAM.MSG.GET.LOGIN", b'{"seq":1}', reply=reply)
                await thief.publish("mail.sent", b"{}", reply=reply)
            for _ in range(8):  # when no mail is left, the answer is a bare status
                await thief.publish(MAILS, b'{"batch":1,"no_wait":true}', reply=f"{POISONED[:-1]}b")
            await thief.flush()
        async with house.connect("revocation") as bus:
            await all_is_taken(operator, Ledger(bus, secrets_dir))
        assert (await operator.stream_position(contract.BLOCKLIST)).last_seq > 1, (
            "it did come to lie there"
        )

        async with opened_feed(house, secrets_dir) as feed:
            await feed.wait_ready(60)
            assert len(feed.blocklist) == 1, "the marker alone"


async def test_a_record_that_auth_has_stored_elsewhere_closes_no_edge(
    house: NatsServer, worker: Worker, secrets_dir: Path
) -> None:
    """It reads the list as every reader does, so it can have a true record stored anywhere in BLOCKLIST.

    Under one that is no key it is passed over, by who is there already, by who comes later, by the workers.
    """
    async with house.connect("revocation") as bus, house.connect("operator") as operator:
        ledger = Ledger(bus, secrets_dir)
        await all_is_taken(operator, ledger)
        async with opened_feed(house, secrets_dir) as feed:
            await feed.wait_ready(60)
            async with as_thief(house, "auth") as thief:
                before = (await operator.stream_position(contract.BLOCKLIST)).last_seq
                for reply in ("bl.x", "bl.sABC", "bl.q" + "a" * 26):
                    # the first marker, as it is
                    question = b'{"seq":1}'
                    await thief.publish("$JS.API.DIRECT.GET.BLOCKLIST", question, reply=reply)
                await thief.flush()

                async def stored() -> bool:
                    end = await operator.stream_position(contract.BLOCKLIST)
                    return end.last_seq == before + 3

                await eventually(stored)
            await all_is_taken(operator, ledger)
            await eventually(lambda: len(feed.blocklist) == 2)
            await eventually(lambda: feed.staleness_seconds() < 1)
            async with opened_feed(house, secrets_dir) as newcomer:
                await newcomer.wait_ready(60)
                assert len(newcomer.blocklist) == 2, "the markers alone"


async def test_a_service_reads_the_feed_and_revokes_within_its_row(
    house: NatsServer, worker: Worker, secrets_dir: Path
) -> None:
    """What it is given is enough: the feed proves itself, and its word is acknowledged across accounts."""
    claims = decode_access_token(sign(make_claims(sid=SID)), ring(), POLICY)
    assert isinstance(claims, Claims)
    async with opened_feed(house, secrets_dir) as feed, as_thief(house, "service-shop") as shop:
        await feed.wait_ready(60)
        assert not feed.is_revoked(claims)

        body = json.dumps({"scope": "session", "sid": claims.sid, "reason": "order cancelled"})
        ack = await shop.jetstream().publish("token.revoked.by.shop", body.encode(), timeout=5)

        assert ack.stream == "TOKEN_BY"
        await eventually(lambda: feed.is_revoked(claims))


async def test_a_service_reads_snapshots_and_documents_and_no_other_stream(
    house: NatsServer, secrets_dir: Path
) -> None:
    """Under the prefix it was told: the head of a snapshot, a document, and the news of one; nobody's mail."""
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(f"{message.subject} {message.data.decode()}")

    async with (
        house.connect("revocation") as worker,
        house.connect("operator") as operator,
        as_thief(house, "service-shop") as shop,
    ):
        await shop.subscribe("documents.*", cb=hear)
        await shop.flush()
        await worker.js.publish(contract.SNAPSHOT_HEAD, b"a head")
        await operator.js.publish(contract.DOCUMENT_KEYS, b"a document")

        for stream, subject, body in (
            ("SNAPSHOT", "snapshot.head", b"a head"),
            ("DOCUMENT", "document.keys", b"a document"),
        ):
            question = json.dumps({"last_by_subj": subject}).encode()
            answer = await shop.request(f"CORE.API.DIRECT.GET.{stream}", question, timeout=5)
            assert answer.data == body
        await eventually(lambda: heard == ["documents.keys a document"])
        for stream in ("TOKEN", "TOKEN_BY", "LOGIN", "USER", "DEADLETTER"):
            with pytest.raises(nats.errors.Error):
                await shop.request(f"CORE.API.STREAM.INFO.{stream}", b"", timeout=0.2)


async def test_a_service_cannot_empty_the_stream_it_writes_to(
    house: NatsServer, worker: Worker
) -> None:
    """A roll-up header would throw away what others said before the worker has read it."""
    async with house.connect("operator") as operator, as_thief(house, "service-hr") as hr:
        for _ in range(3):
            await hr.publish("token.revoked.by.hr", b"{}")
        await hr.flush()
        for word in ("all", "sub"):
            with pytest.raises(nats.errors.Error):
                await hr.jetstream().publish(
                    "token.revoked.by.hr", b"{}", headers={"Nats-Rollup": word}, timeout=2
                )
        position = await operator.stream_position(contract.TOKEN_BY)
    assert (position.first_seq, position.last_seq) == (1, 3)
