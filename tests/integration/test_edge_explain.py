"""An edge explains on the bus: what it would decide, by which rule and which record; to operators alone."""

import asyncio

import pytest

from latchwire.records import Record, record_key
from services.edge.adapters.bus_records import BusRecords
from services.edge.handlers.explain import Explainer
from shared.bus import Bus, NoAnswerError
from shared.clock import SystemClock
from shared.contract import OP_EXPLAIN, OP_EXPLAIN_AT
from shared.messages import ExplainedRule, ExplainRequest, Explanation
from tests.conftest import BusFactory
from tests.support.edge import Desk, make_desk, token
from tests.support.servers import NatsServer
from tests.support.tokens import NOW_MS, make_claims, sign, signing_key

SID = "01J00000000000000000000S1D"
HOST = "localhost:8080"
HASH_KEY = b"k" * 32  # of the desk's revocations


async def explains(bus: Bus, desk: Desk) -> None:
    """*bus*, an edge's, answers as the edge does."""
    explainer = Explainer(bus.name, desk.checker, desk.revocations, BusRecords(bus), desk.clock)
    await bus.answer(OP_EXPLAIN, explainer.explain)
    await bus.answer(OP_EXPLAIN_AT.of(bus.name), explainer.explain)


@pytest.fixture
async def desk(bus_of: BusFactory) -> Desk:
    """The checker of edge-1, which answers."""
    desk = make_desk()
    await explains(await bus_of("edge-1"), desk)
    return desk


async def ask(bus_of: BusFactory, **request: str) -> Explanation:
    """An operator's question."""
    return await (await bus_of("operator")).ask(
        OP_EXPLAIN, ExplainRequest.model_validate(request), timeout=5
    )


async def test_a_token_is_explained_alone_and_for_a_request(desk: Desk, bus_of: BusFactory) -> None:
    """From the operator's account into the edges' and back; forged is told as forged, and nobody's."""
    good = token().decode()

    alone = await ask(bus_of, token=good + "\n")
    routed = await ask(bus_of, token=good, host=HOST, uri="/staff/x?y=1")
    forged = await ask(bus_of, token="x.y.z")

    assert (alone.outcome, alone.reason, alone.status) == ("allow", "token", 200)
    assert (alone.sub, alone.route, alone.record) == ("ada@example.com", None, None)
    assert alone.issued_at is not None
    assert (routed.outcome, routed.reason, routed.status) == ("deny", "not_allowed", 403)
    assert routed.rule == "staff"
    assert routed.route == ExplainedRule(service="staff", path="/staff", roles=("admin", "auditor"))
    assert routed.sub == "ada@example.com", "who is not allowed is told as well"
    assert (forged.outcome, forged.reason, forged.status, forged.sub) == (
        "deny",
        "token_invalid",
        401,
        "",
    )


async def test_a_request_is_explained_as_a_gateway_asks_that_chose_a_service(
    desk: Desk, bus_of: BusFactory
) -> None:
    """For services that are not exposed that is the only question with another answer."""
    good = token().decode()

    right = await ask(bus_of, token=good, host=HOST, uri="/demo", chosen="demo")
    other = await ask(bus_of, token=good, host=HOST, uri="/demo", chosen="staff")

    assert (right.outcome, other.reason) == ("allow", "wrong_service")
    assert right.logged_in_at is not None


async def test_an_account_is_told_by_id_and_address(desk: Desk, bus_of: BusFactory) -> None:
    """Where the sub is the address, it is not said twice."""
    account = await ask(bus_of, token=token(sub="01ADA", org="01ORG").decode())
    person = await ask(bus_of, token=token().decode())

    assert ("01ADA", "ada@example.com", "01ORG") == (account.sub, account.email, account.org)
    assert ("ada@example.com", "", "") == (person.sub, person.email, person.org)


async def test_a_request_is_explained_with_nobodys_credentials(
    desk: Desk, bus_of: BusFactory
) -> None:
    """Open, closed and unknown paths; the longest prefix is the one that is named."""
    public = await ask(bus_of, host=HOST, uri="/demo/public/logo.png")
    closed = await ask(bus_of, host=HOST, uri="/demo")
    unknown = await ask(bus_of, host=HOST, uri="/nowhere")
    ambiguous = await ask(bus_of, host=HOST, uri="/demo/../staff")

    assert (public.outcome, public.reason, public.status) == ("allow", "public", 200)
    assert public.route == ExplainedRule(service="demo", path="/demo/public", public=True)
    assert (closed.reason, closed.status, closed.rule) == ("no_credentials", 401, "demo")
    assert (unknown.reason, unknown.status, unknown.route) == ("no_route", 403, None)
    assert (ambiguous.reason, ambiguous.route) == ("ambiguous_path", None)


@pytest.mark.parametrize(
    ("uri", "more", "outcome", "reason"),
    [
        ("/shared", {"origin": "https://a.example", "asks_method": "PUT"}, "allow", "preflight"),
        ("/shared", {"origin": "https://b.example", "asks_method": "PUT"}, "deny", "preflight_refused"),
        ("/demo", {"origin": "https://a.example", "asks_method": "PUT"}, "deny", "preflight_refused"),
        ("/demo/public", {"origin": "https://b.example", "asks_method": "PUT"}, "allow", "public"),
        ("/shared", {"origin": "https://a.example"}, "deny", "no_credentials"),
        ("/shared", {"asks_method": "PUT"}, "deny", "no_credentials"),
        ("/shared", {}, "deny", "no_credentials"),
    ],
)  # fmt: skip
async def test_a_preflight_is_explained_as_it_is_decided(
    desk: Desk, bus_of: BusFactory, uri: str, more: dict[str, str], outcome: str, reason: str
) -> None:
    """By the page's origin; without its two headers it is an OPTIONS like any request."""
    told = await ask(bus_of, host=HOST, uri=uri, method="OPTIONS", **more)

    assert (told.outcome, told.reason) == (outcome, reason)


async def test_the_record_is_named_with_its_place_and_time(desk: Desk, bus_of: BusFactory) -> None:
    """Scope, key, BLOCKLIST sequence, when it was stored, until when; read on the edge's own connection."""
    record, worker = Record(NOW_MS + 60_000), await bus_of("revocation")
    key = record_key(HASH_KEY, "session", SID)
    began = SystemClock().now_ms()
    ack = await worker.put_state(key, record.pack(), expected_seq=0, ttl_seconds=60)
    desk.revocations.revoke("session", SID, record)

    told = await ask(bus_of, token=token(sid=SID).decode())

    assert ack is not None
    assert (told.outcome, told.reason, told.detail) == ("deny", "token_revoked", "session")
    assert told.record is not None
    assert (told.record.scope, told.record.key, told.record.seq) == ("session", key, ack.seq)
    assert told.record.until == NOW_MS + 60_000
    assert told.record.stored_at is not None
    assert abs(told.record.stored_at - began) < 5_000


async def test_watermarks_stand_against_the_tokens_own_times(
    desk: Desk, bus_of: BusFactory
) -> None:
    """A person who was signed out everywhere: sessions begun until then, and when this one began."""
    before = NOW_MS - 1_000
    record, worker = Record(NOW_MS + 60_000, sessions_before=before), await bus_of("revocation")
    key = record_key(HASH_KEY, "subject", "ada@example.com")
    await worker.put_state(key, record.pack(), expected_seq=0, ttl_seconds=60)
    desk.revocations.revoke("subject", "ada@example.com", record)

    told = await ask(bus_of, token=token(sst=before).decode())
    later = await ask(bus_of, token=token(sst=before + 1).decode())

    assert told.record is not None
    assert (told.record.scope, told.record.sessions_before) == ("subject", before)
    assert told.session_began_at == before
    assert (later.outcome, later.record) == ("allow", None)


async def test_a_key_that_was_taken_off_the_ring_is_told_by_its_name(
    desk: Desk, bus_of: BusFactory
) -> None:
    """Compromised: its record. Retired: its name, which is all that can be known. Nothing of the claims."""
    compromised, retired = signing_key(name="compromised"), signing_key(name="retired")
    record, worker = Record(NOW_MS + 60_000), await bus_of("revocation")
    key = record_key(HASH_KEY, "key", compromised.kid)
    ack = await worker.put_state(key, record.pack(), expected_seq=0, ttl_seconds=60)
    desk.revocations.revoke("key", compromised.kid, record)

    hit = await ask(bus_of, token=sign(make_claims(), compromised).decode(), host=HOST, uri="/demo")
    miss = await ask(bus_of, token=sign(make_claims(), retired).decode())

    assert ack is not None
    assert (hit.reason, hit.detail, hit.kid) == ("token_invalid", "kid unknown", compromised.kid)
    assert hit.record is not None
    assert (hit.record.scope, hit.record.key, hit.record.seq) == ("key", key, ack.seq)
    assert hit.record.stored_at is not None
    assert (miss.reason, miss.kid, miss.record) == ("token_invalid", retired.kid, None)
    assert (hit.sub, hit.jti, miss.sub, miss.jti) == ("", "", "", "")


async def test_it_answers_without_the_records_place_when_that_cannot_be_read(
    desk: Desk, bus_of: BusFactory
) -> None:
    """The record has gone from BLOCKLIST, or NATS is slow: what the edge does is told all the same."""
    desk.revocations.revoke("token", SID, Record(NOW_MS + 60_000))

    told = await ask(bus_of, token=token(jti=SID).decode())

    assert told.reason == "token_revoked"
    assert told.record is not None
    assert (told.record.scope, told.record.seq, told.record.stored_at) == ("token", 0, None)


async def test_one_edge_can_be_asked_by_its_name(desk: Desk, bus_of: BusFactory) -> None:
    """Another edge that knows of a revocation is not taken for it."""
    other = make_desk()
    other.revocations.revoke("session", SID, Record(NOW_MS + 60_000))
    await explains(await bus_of("edge-2"), other)
    operator, request = await bus_of("operator"), ExplainRequest(token=token(sid=SID).decode())

    first = await operator.ask(OP_EXPLAIN_AT.of("edge-1"), request, timeout=5)
    second = await operator.ask(OP_EXPLAIN_AT.of("edge-2"), request, timeout=5)

    assert (first.edge_id, first.outcome) == ("edge-1", "allow")
    assert (second.edge_id, second.outcome) == ("edge-2", "deny")


@pytest.mark.parametrize("name", ["service-shop", "edge-2", "auth", "mailer", "revocation"])
async def test_nobody_but_an_operator_gets_an_explanation(
    desk: Desk, nats_server: NatsServer, name: str
) -> None:
    """An oracle for tokens would tell a thief which of them still work."""
    async with nats_server.connect(name) as stranger:
        request = ExplainRequest(token=token().decode())
        for question in (OP_EXPLAIN, OP_EXPLAIN_AT.of("edge-1")):
            with pytest.raises(NoAnswerError):
                await stranger.ask(question, request, timeout=0.3)


async def test_an_edge_cannot_hear_the_questions_to_another(desk: Desk, bus_of: BusFactory) -> None:
    """They carry a token: a stolen edge may hear those that are for any edge, and none by another's name."""
    thief, operator = await bus_of("edge-2"), await bus_of("operator")
    heard = asyncio.Event()

    async def hear(_message: object) -> None:
        heard.set()

    await thief.client.subscribe(OP_EXPLAIN_AT.of("edge-1").name, cb=hear)
    await thief.client.subscribe(OP_EXPLAIN_AT.name, cb=hear)
    await thief.client.flush()
    request = ExplainRequest(token=token().decode())
    answer = await operator.ask(OP_EXPLAIN_AT.of("edge-1"), request, timeout=5)
    await thief.client.flush()

    assert answer.edge_id == "edge-1"
    assert not heard.is_set()
