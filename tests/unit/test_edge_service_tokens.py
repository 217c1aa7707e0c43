"""A service at the edge: its token opens what is for services, nowhere else, and only while it counts."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from latchwire.claims import find_bad_claim
from latchwire.records import Record
from services.edge.domain.decision import Allowed, Denied
from services.edge.flows.usage import TELL_AGAIN_MS, TokenUse
from shared.messages import TokensUsed
from shared.service_tokens import DAY_MS
from tests.support.edge import Desk, make_desk, request
from tests.support.service_tokens import Made, made_token
from tests.support.tokens import NOW_MS, make_claims, sign

CATALOGUE = """
services:
  api:
    paths: [/api]
    upstream: http://127.0.0.1:9100
    token_types: [user, service]
    callers: [bot]
  people:
    paths: [/people]
    upstream: http://127.0.0.1:9101
  patient:
    paths: [/patient]
    upstream: http://127.0.0.1:9102
    token_types: [service]
    callers: ["*"]
    permissions: [orders.read]
  acme:
    paths: [/acme]
    upstream: http://127.0.0.1:9103
    token_types: [service]
    callers: ["*"]
    organisation: ["01ARZ3NDEKTSV4RRFFQ69G5FAV"]
  tenants:
    paths: [/tenants]
    upstream: http://127.0.0.1:9104
    token_types: [user, service]
    callers: [bot]
    organisation: "*"
"""
ACME, EVIL = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"


def desk_with(*made: Made) -> Desk:
    """An edge that knows these tokens."""
    desk = make_desk(CATALOGUE)
    desk.tokens.use_service_tokens(tuple(m.row for m in made))
    return desk


def test_a_service_is_let_in_with_its_token_as_it_is() -> None:
    """No exchange first; the upstream hears the service's name and of no person."""
    bot = made_token("bot")
    decision = desk_with(bot).check(request("/api", bearer=bot.raw))
    assert isinstance(decision, Allowed)
    assert decision.token is not None
    lines = decision.token.identity.decode().split("\r\n")
    assert "X-Service-Name: bot" in lines
    assert "X-Token-Type: service" in lines
    for name in ("X-User-Id", "X-User-Email", "X-User-Roles", "X-Org-Id", "X-Session-Id"):
        assert f"{name}: " in lines, name


@pytest.mark.parametrize(
    ("org", "opened"),
    [
        (None, {"/api", "/acme", "/tenants"}),
        (ACME, {"/api", "/acme", "/tenants"}),
        (EVIL, {"/api", "/tenants"}),
    ],
    ids=["none", "acme", "evil"],
)
def test_a_token_of_an_organisation_opens_what_is_the_organisation_s(
    org: str | None, opened: set[str]
) -> None:
    """And nothing of another's; one that is bound to none is the installation's own. The upstream is told."""
    bot = made_token("bot", org=org)
    desk = desk_with(bot)
    seen = {
        path: desk.outcome(request(path, bearer=bot.raw)) for path in ("/api", "/acme", "/tenants")
    }
    assert {path for path, outcome in seen.items() if outcome == "allow"} == opened
    assert set(seen.values()) <= {"allow", "not_allowed"}
    decision = desk.check(request("/api", bearer=bot.raw))
    assert isinstance(decision, Allowed)
    assert decision.token is not None
    assert f"X-Org-Id: {org or ''}" in decision.token.identity.decode().split("\r\n")


def test_a_person_is_not_taken_for_a_service() -> None:
    """The header that names services stays empty, whatever the person is called."""
    decision = make_desk(CATALOGUE).check(request("/people", bearer=sign(make_claims(sub="bot"))))
    assert isinstance(decision, Allowed)
    assert decision.token is not None
    lines = decision.token.identity.decode().split("\r\n")
    assert "X-Service-Name: " in lines
    assert "X-Token-Type: user" in lines


FALSE: tuple[Callable[[Made], bytes], ...] = (
    lambda _: made_token("bot").raw,
    lambda bot: bot.raw[:-1] + (b"a" if bot.raw[-1:] != b"a" else b"b"),
    lambda bot: bot.raw[:-1],
    lambda bot: bot.raw + b"a",
    lambda bot: bot.raw.upper(),
    lambda _: b"lws_",
    lambda bot: bot.row.sha256.encode(),
    lambda bot: bot.row.id.encode(),
    lambda bot: bot.raw + b".e30.x",
)


@pytest.mark.parametrize("make", FALSE)
def test_nothing_but_the_token_itself_opens(make: Callable[[Made], bytes]) -> None:
    """Neither another well-formed one, nor its hash or its id, nor half of it."""
    bot = made_token("bot")
    assert desk_with(bot).outcome(request("/api", bearer=make(bot))) == "token_invalid"


def test_a_service_token_in_a_cookie_is_refused() -> None:
    """A browser sends cookies of itself: a service's token there would be anybody's to use."""
    bot = made_token("bot")
    desk = desk_with(bot)
    assert desk.outcome(request("/api", cookie=bot.raw)) == "token_invalid"
    exchanged = sign(
        make_claims(sub="bot", client_id="bot", service="bot", email="", roles=[], org="", csrf="")
    )
    assert desk.outcome(request("/api", bearer=exchanged)) == "allow"
    assert desk.outcome(request("/api", cookie=exchanged)) == "token_invalid"


def test_a_service_goes_only_where_the_catalogue_lets_it() -> None:
    """Not among people, not where another caller is named, not without the permission."""
    bot, till = made_token("bot"), made_token("till", scopes=("orders.read",))
    desk = desk_with(bot, till)
    assert desk.outcome(request("/people", bearer=bot.raw)) == "wrong_token_type"
    assert desk.outcome(request("/api", bearer=till.raw)) == "not_allowed"
    assert desk.outcome(request("/patient", bearer=bot.raw)) == "not_allowed"
    assert desk.outcome(request("/patient", bearer=till.raw)) == "allow"


def test_a_token_is_refused_once_its_time_is_over_and_before_it_began() -> None:
    """The clock is asked on every request, also of a token that was let in a moment before."""
    bot = made_token("bot", expires_at=NOW_MS + 60_000)
    desk = desk_with(bot)
    assert desk.outcome(request("/api", bearer=bot.raw)) == "allow"
    desk.clock.advance(66_000)
    assert desk.outcome(request("/api", bearer=bot.raw)) == "token_expired"
    early = made_token("bot", created_at=NOW_MS + DAY_MS, expires_at=NOW_MS + 2 * DAY_MS)
    assert desk_with(early).outcome(request("/api", bearer=early.raw)) == "token_invalid"


@pytest.mark.parametrize(
    ("scope", "field"), [("session", "id"), ("token", "id"), ("service", "service")]
)
def test_a_revocation_refuses_a_token_that_the_edge_already_knows(scope: str, field: str) -> None:
    """By its id as session and as token, and with all others of its service; at the next request."""
    bot = made_token("bot")
    desk = desk_with(bot)
    assert desk.outcome(request("/api", bearer=bot.raw)) == "allow"
    desk.revocations.revoke(scope, getattr(bot.row, field), Record(NOW_MS + DAY_MS))
    assert desk.outcome(request("/api", bearer=bot.raw)) == "token_revoked"


def test_a_token_that_left_the_document_is_unknown_at_once() -> None:
    """Also one that the edge has in its memory of verified tokens; the others stay."""
    bot, second = made_token("bot"), made_token("bot")
    desk = desk_with(bot, second)
    assert desk.outcome(request("/api", bearer=bot.raw)) == "allow"
    desk.tokens.use_service_tokens((second.row,))
    assert desk.outcome(request("/api", bearer=bot.raw)) == "token_invalid"
    assert desk.outcome(request("/api", bearer=second.raw)) == "allow"


def test_a_token_that_the_document_marks_is_told_as_revoked() -> None:
    """Also without a record, which lapses first; it is none of those that the edge accepts."""
    bot, second = made_token("bot"), made_token("bot")
    desk = desk_with(bot, second)
    assert desk.outcome(request("/api", bearer=bot.raw)) == "allow"
    past = bot.row.model_copy(update={"revoked_at": NOW_MS - 8 * DAY_MS})
    desk.tokens.use_service_tokens((second.row, past))
    assert desk.outcome(request("/api", bearer=bot.raw)) == "token_revoked"
    assert desk.outcome(request("/api", bearer=bot.raw)) == "token_revoked"
    assert desk.outcome(request("/api", bearer=second.raw)) == "allow"
    assert desk.tokens.service_tokens == 1
    desk.clock.advance(120 * DAY_MS)
    desk.revocations.staleness = 0.0
    assert desk.outcome(request("/api", bearer=bot.raw)) == "token_revoked"


def test_fewer_rights_count_at_once() -> None:
    """A row that is written again with fewer scopes is not remembered with the old ones."""
    till = made_token("till", scopes=("orders.read",))
    desk = desk_with(till)
    assert desk.outcome(request("/patient", bearer=till.raw)) == "allow"
    desk.tokens.use_service_tokens((till.row.model_copy(update={"scopes": ()}),))
    assert desk.outcome(request("/patient", bearer=till.raw)) == "not_allowed"


def test_a_stale_edge_says_neither_yes_nor_no_to_a_service() -> None:
    """503, as to everybody: a service that hears 401 would be taken for revoked."""
    bot = made_token("bot")
    desk = desk_with(bot)
    desk.revocations.staleness = 60.0
    assert desk.outcome(request("/api", bearer=bot.raw)) == "stale"


def test_a_service_and_a_person_in_one_request_are_two_subjects() -> None:
    """Nobody can say who is meant."""
    bot = made_token("bot")
    fields = request("/api", bearer=bot.raw, cookie=sign(make_claims()))
    assert desk_with(bot).outcome(fields) == "two_subjects"


def test_refusals_repeat_nothing_of_the_token() -> None:
    """The detail is for the log."""
    bot = made_token("bot")
    for make in FALSE:
        denied = desk_with(bot).check(request("/api", bearer=make(bot)))
        assert isinstance(denied, Denied)
        assert "lws_" not in repr(replace(denied, original=None))


def test_uses_are_told_at_once_and_then_once_a_minute() -> None:
    """However many requests come; what nobody used since is not told again."""
    use, now = TokenUse(), NOW_MS
    a, b = made_token("a").row.id, made_token("b").row.id
    use.note(a)
    assert use.due(now) == {a: now}
    for _ in range(1_000):
        use.note(a)
    use.note(b)
    assert use.due(now + 1_000) == {b: now + 1_000}
    assert use.due(now + TELL_AGAIN_MS - 1) == {}
    assert use.due(now + TELL_AGAIN_MS) == {a: now + TELL_AGAIN_MS}
    assert use.due(now + 10 * TELL_AGAIN_MS) == {}


@pytest.mark.parametrize("seen", ["", "boom", "session-7", "01hzzzzzzzzzzzzzzzzzzzzzzz", "x" * 300])
def test_what_is_no_id_of_a_token_is_not_told_and_keeps_nothing_back(seen: str) -> None:
    """One value that auth would not take must not end the telling of all others."""
    use, bot = TokenUse(), made_token("bot").row.id
    use.note(seen)
    use.note(bot)
    due = use.due(NOW_MS)
    assert due == {bot: NOW_MS}
    assert TokensUsed(edge_id="edge-1", used=due).used == due
    assert use.due(NOW_MS + 10 * TELL_AGAIN_MS) == {}


def test_a_revoked_signing_key_ends_the_tokens_of_its_document_at_once() -> None:
    """As all that it signed; those of a document that another key signed go on."""
    bot = made_token("bot")
    desk = desk_with(bot)
    desk.tokens.use_service_tokens((bot.row,), "k1")
    assert desk.outcome(request("/api", bearer=bot.raw)) == "allow"
    desk.revocations.revoke("key", "k1", Record(NOW_MS + DAY_MS))
    assert desk.outcome(request("/api", bearer=bot.raw)) == "token_revoked"
    desk.tokens.use_service_tokens((bot.row,), "k2")
    assert desk.outcome(request("/api", bearer=bot.raw)) == "allow"


@pytest.mark.parametrize(
    ("more", "bad"),
    [
        ({"org": ACME}, None),
        ({"org": ""}, None),
        ({"org": 7}, "org"),
        ({"org": ACME, "roles": ["org:owner"]}, "roles"),
        ({"org": ACME, "email": "ada@example.com"}, "email"),
        ({"org": ACME, "csrf": "c" * 43}, "csrf"),
    ],
)
def test_an_access_token_of_a_service_says_its_organisation_and_nothing_else_of_people(
    more: dict[str, object], bad: str | None
) -> None:
    """Every reader's package looks at that: nobody can be taken for both."""
    own = {"sub": "bot", "client_id": "bot", "service": "bot", "email": "", "roles": [], "csrf": ""}
    assert find_bad_claim(make_claims(**own) | more) == bad
