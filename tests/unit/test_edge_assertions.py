"""What an edge tells a service of its caller, and what a service may pass on of whom called it."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwire.assertions import Assertion, read_assertion
from latchwire.claims import build_claims
from latchwire.records import Record
from services.edge.domain.assertion import pass_on
from services.edge.domain.decision import Allowed, Denied
from services.edge.domain.identity import header_safe
from services.edge.domain.routes import RouteTable
from services.edge.flows.assertions import RENEW_MS, Assertions
from services.edge.flows.standings import MOST_PER_TOKEN
from shared.catalogue import parse_catalogue
from shared.edge_keys import EdgeKey, ring_of
from tests.support.assertions import assert_, members, of_service
from tests.support.edge import EDGE_KEY, Desk, make_desk, request, token
from tests.support.tokens import ABSENT, ISSUER, NOW_MS, make_claims, sign

CATALOGUE = """
services:
  shop:
    paths: [/shop]
    upstream: http://127.0.0.1:9100
    token_types: [user, service]
    callers: ["*"]
  orders:
    paths: [/orders]
    upstream: http://127.0.0.1:9101
    token_types: [user, service]
    callers: [shop, till]
    permissions: [orders.read, orders.write]
    emails: ["@example.com"]
    login_age: 10m
    headers: { X-User-Permissions: permissions, X-Login-Time: auth_time, X-Client: client_id }
  ledger:
    paths: [/ledger]
    upstream: http://127.0.0.1:9102
    token_types: [service]
    callers: [shop, orders]
    permissions: [ledger.write]
  people:
    paths: [/people]
    upstream: http://127.0.0.1:9103
  open:
    paths: [/open]
    upstream: http://127.0.0.1:9104
    require_auth: false
    headers: { X-Client: client_id }
"""
EDGES = ring_of([EDGE_KEY.public])
OTHER_EDGE = EdgeKey.named("edge-2", Ed25519PrivateKey.generate())
SESSION_MS = 7 * 86_400_000


def service_token(name: str = "shop", *permissions: str, **claims: Any) -> bytes:
    """The at+jwt of a service."""
    own = {
        "sub": name,
        "client_id": name,
        "service": name,
        "sid": f"sid-{name}",
        "jti": f"jti-{name}",
    }
    nothing = {"email": ABSENT, "roles": [], "org": "", "amr": []}
    return sign(make_claims(**own, **nothing, permissions=list(permissions)) | claims)


def desk() -> Desk:
    """An edge that believes `EDGE_KEY` and nobody else."""
    return make_desk(CATALOGUE)


def allowed(desk: Desk, fields: dict[bytes, list[bytes]]) -> Allowed:
    """The decision, which must be yes."""
    decision = desk.check(fields)
    assert isinstance(decision, Allowed), decision
    return decision


def spoken(desk: Desk, decision: Allowed, key: EdgeKey | None = EDGE_KEY) -> dict[str, str]:
    """The headers of the answer."""
    lines = Assertions(key, issuer=ISSUER, clock=desk.clock).lines(decision)
    assert lines.endswith(b"\r\n")
    pairs = [line.split(": ", 1) for line in lines.decode("ascii").splitlines()]
    assert len(dict(pairs)) == len(pairs), "a name twice"
    return dict(pairs)


def told(headers: dict[str, str], audience: str) -> Assertion:
    """What the service *audience* reads in the assertion of *headers*."""
    value = headers["X-Latchwire-Assertion"].encode("ascii")
    found = read_assertion(value, EDGES, issuer=ISSUER, audience=audience)
    assert isinstance(found, Assertion), found
    return found


def test_a_person_is_asserted_to_the_service_that_is_called_and_no_other() -> None:
    """Audience: the route. Everything the headers say stands in it too, signed."""
    d = desk()
    headers = spoken(
        d, allowed(d, request("/shop", bearer=token(permissions=["orders.read"], org="o1")))
    )
    found = told(headers, "shop")

    assert (found.sub, found.email, found.org, found.roles) == (
        "ada@example.com", "ada@example.com", "o1", ("reader",),
    )  # fmt: skip
    assert (found.permissions, found.token_type, found.service) == (("orders.read",), "user", "")
    assert (found.iat, found.exp) == (NOW_MS // 1000, NOW_MS // 1000 + 60)
    assert headers["X-User-Id"] == header_safe(found.sub)
    value = headers["X-Latchwire-Assertion"].encode()
    assert not isinstance(read_assertion(value, EDGES, issuer=ISSUER, audience="orders"), Assertion)


def test_a_service_is_asserted_as_itself() -> None:
    """Its name, its permissions, nothing of a person."""
    d = desk()
    headers = spoken(d, allowed(d, request("/shop", bearer=service_token("till", "a.b"))))
    found = told(headers, "shop")

    assert (found.sub, found.service, found.token_type) == ("till", "till", "service")
    assert (found.email, found.roles, found.permissions) == ("", (), ("a.b",))
    assert (headers["X-Service-Name"], headers["X-Token-Type"]) == ("till", "service")
    assert headers["X-User-Id"] == headers["X-User-Email"] == headers["X-Session-Id"] == ""


def test_an_edge_without_a_key_says_nothing_but_still_claims_the_header() -> None:
    """What a client sent under that name does not survive."""
    d = desk()
    headers = spoken(d, allowed(d, request("/shop", bearer=token())), key=None)

    assert headers["X-Latchwire-Assertion"] == ""
    assert headers["X-User-Id"] == "ada@example.com"


def test_nobody_is_asserted_on_an_open_route_and_its_own_headers_are_there_and_empty() -> None:
    """A token that came along is not looked at there."""
    d = desk()
    headers = spoken(d, allowed(d, request("/open", bearer=token())))

    assert set(headers.values()) == {""}
    assert {"X-Client", "X-Latchwire-Assertion", "X-User-Id"} <= headers.keys()


def test_the_headers_a_route_asks_for_carry_the_token_s_claims() -> None:
    """Lists as in X-User-Roles, numbers as digits."""
    d = desk()
    good = token(permissions=["orders.read", "a b"])
    headers = spoken(d, allowed(d, request("/orders", bearer=good)))

    assert headers["X-User-Permissions"] == "orders.read,a%20b"
    assert headers["X-Login-Time"] == str(NOW_MS // 1000)
    assert headers["X-Client"] == "browser"


def test_an_assertion_is_kept_for_half_its_life_then_made_anew() -> None:
    """One signature for many requests; whoever gets it has half a minute left at least."""
    d = desk()
    assertions = Assertions(EDGE_KEY, issuer=ISSUER, clock=d.clock)
    decision = allowed(d, request("/shop", bearer=token()))
    first = assertions.lines(decision)

    d.clock.advance(RENEW_MS - 1)
    assert assertions.lines(decision) == first
    d.clock.advance(1)
    assert assertions.lines(decision) != first
    d.clock.advance(-RENEW_MS)
    assert assertions.lines(decision) == first, "a clock that is set back: not one of the future"


def test_another_entry_of_the_catalogue_gets_another_assertion_at_once() -> None:
    """Its headers may be others under the same name."""
    d = desk()
    assertions = Assertions(EDGE_KEY, issuer=ISSUER, clock=d.clock)
    person = request("/shop", bearer=token())
    before = assertions.lines(allowed(d, person))
    changed = CATALOGUE.replace("paths: [/shop]", "headers: { X-Mail: email }\n    paths: [/shop]")

    d.checker.use_routes(RouteTable(parse_catalogue(changed)), 2)

    assert b"X-Mail" not in before
    assert b"X-Mail: ada@example.com\r\n" in assertions.lines(allowed(d, person))


def test_another_key_signs_what_is_made_from_now_on() -> None:
    """The operator certified a new one; nothing of the one before is told any more."""
    d = desk()
    assertions = Assertions(None, issuer=ISSUER, clock=d.clock)
    decision = allowed(d, request("/shop", bearer=token()))
    assertions.lines(decision)

    assertions.use(EDGE_KEY)

    assert assertions.kid == EDGE_KEY.kid
    assert not assertions.lines(decision).endswith(b"X-Latchwire-Assertion: \r\n")


def test_one_token_keeps_a_bounded_number_of_assertions() -> None:
    """A crawler with one token, and hundreds of services."""
    stanza = "  s{0}:\n    paths: [/s{0}]\n    upstream: http://127.0.0.1:9000\n"
    d = make_desk("services:\n" + "".join(stanza.format(n) for n in range(3 * MOST_PER_TOKEN)))
    assertions = Assertions(EDGE_KEY, issuer=ISSUER, clock=d.clock)
    for number in range(3 * MOST_PER_TOKEN):
        decision = allowed(d, request(f"/s{number}", bearer=token()))
        assertions.lines(decision)

    assert decision.token is not None
    assert len(decision.token.standings) <= MOST_PER_TOKEN


def passing(bearer: bytes, assertion: bytes, path: str = "/orders") -> dict[bytes, list[bytes]]:
    """A service's request on somebody's behalf."""
    return request(path, bearer=bearer) | {b"x-latchwire-assertion": [assertion]}


SHOP = service_token("shop", "orders.read", "ledger.write")
ADA = assert_(members())


def test_a_person_who_is_passed_on_is_told_with_the_service_that_does_it() -> None:
    """Headers and assertion name both, and the next service can pass it on again."""
    d = desk()
    headers = spoken(d, allowed(d, passing(SHOP, ADA)))
    found = told(headers, "orders")

    assert (headers["X-User-Id"], headers["X-Service-Name"]) == ("ada@example.com", "shop")
    assert (headers["X-Token-Type"], headers["X-Session-Id"]) == ("service", members()["sid"])
    assert (found.sub, found.service, found.actors) == ("ada@example.com", "shop", ("shop",))
    assert (found.client_id, found.token_type) == ("shop", "service")
    assert found.permissions == ("orders.read",), "what both have"
    assert headers["X-User-Permissions"] == "orders.read"
    again = allowed(
        d,
        passing(
            service_token("orders", "ledger.write"),
            headers["X-Latchwire-Assertion"].encode(),
            "/ledger",
        ),
    )
    assert told(spoken(d, again), "ledger").actors == ("orders", "shop")


def test_what_is_passed_on_never_outlives_what_was_received() -> None:
    """Services that pass one to each other cannot keep it alive."""
    d = desk()
    d.clock.advance(40_000)
    decision = allowed(d, passing(SHOP, ADA))

    assert told(spoken(d, decision), "orders").exp == members()["exp"]
    d.clock.advance(19_876)
    assert d.outcome(passing(SHOP, ADA)) == "allow"
    d.clock.advance(1)
    assert d.outcome(passing(SHOP, ADA)) == "token_invalid"


TILL = service_token("till", "orders.read")
LEDGERS = service_token("shop", "ledger.write")
OUTSIDER = assert_(members(email="eve@evil.example"))
LONG_AGO = assert_(members(auth_time=NOW_MS // 1000 - 601))
CHAIN = {"sub": "a", "act": {"sub": "b", "act": {"sub": "c", "act": {"sub": "d"}}}}
OFTEN = assert_(members(service="a", client_id="a", token_type="service", act=CHAIN))
REFUSED: list[tuple[str, bytes, bytes, str, str]] = [
    ("a stranger's", SHOP, assert_(members(), OTHER_EDGE), "/orders", "token_invalid"),
    ("made for another service", SHOP, assert_(members(aud="till")), "/orders", "token_invalid"),
    ("made for another caller", TILL, ADA, "/orders", "token_invalid"),
    ("noise", SHOP, b"x", "/orders", "token_invalid"),
    ("an access token", SHOP, token(), "/orders", "token_invalid"),
    ("over", SHOP, assert_(members(now_ms=NOW_MS - 61_000)), "/orders", "token_invalid"),
    ("of the future", SHOP, assert_(members(now_ms=NOW_MS + 7_000)), "/orders", "token_invalid"),
    ("passed on too often", SHOP, OFTEN, "/orders", "token_invalid"),
    ("a person without the permission", SHOP, assert_(members(permissions=[])), "/orders", "not_allowed"),
    ("a service without the permission", LEDGERS, ADA, "/orders", "not_allowed"),
    ("both, but not the same one", service_token("shop", "orders.write"), ADA, "/orders", "not_allowed"),
    ("a person with a wrong address", SHOP, OUTSIDER, "/orders", "not_allowed"),
    ("a login that is too old", SHOP, LONG_AGO, "/orders", "login_too_old"),
    ("to where no service may", SHOP, ADA, "/people", "wrong_token_type"),
    ("a caller that may not", service_token("other"), assert_(members(aud="other")), "/orders", "not_allowed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "bearer", "assertion", "path", "code"), REFUSED, ids=[row[0] for row in REFUSED]
)
def test_what_may_not_be_passed_on_is_refused(
    name: str, bearer: bytes, assertion: bytes, path: str, code: str
) -> None:
    """Malformed, somebody else's, over; or one of the two may not come in."""
    assert desk().outcome(passing(bearer, assertion, path)) == code


@pytest.mark.parametrize(
    ("bound", "active", "code"),
    [
        ("", "acme", "allow"),
        ("acme", "acme", "allow"),
        ("acme", "evil", "not_allowed"),
        ("acme", "", "not_allowed"),
    ],
)
def test_a_service_of_an_organisation_calls_for_nobody_of_another(
    bound: str, active: str, code: str
) -> None:
    """X-Org-Id would name the person's: a tenant's service would be let in as any tenant."""
    shop = service_token("shop", "orders.read", org=bound)
    assert desk().outcome(passing(shop, assert_(members(org=active)))) == code


TENANTS = """
services:
  shop:
    paths: [/shop]
    upstream: http://127.0.0.1:9100
    token_types: [user, service]
    callers: ["*"]
  books:
    paths: [/books]
    upstream: http://127.0.0.1:9101
    token_types: [user, service]
    callers: ["*"]
    organisation: [acme]
  ledger:
    paths: [/ledger]
    upstream: http://127.0.0.1:9102
    token_types: [service]
    callers: ["*"]
    organisation: [acme]
"""
OF_EVIL, OF_ACME, OF_NONE = (service_token("bot", org=org) for org in ("evil", "acme", ""))


@pytest.mark.parametrize("path", ["/books", "/ledger"])
@pytest.mark.parametrize(
    ("first", "code"),
    [
        (OF_EVIL, "not_allowed"),
        (OF_ACME, "allow"),
        (OF_NONE, "allow"),
        (token(org="evil"), "not_allowed"),
        (token(org="acme"), "allow"),
    ],
    ids=["evil's bot", "acme's bot", "a bot of none", "evil's person", "acme's person"],
)
def test_nobody_reaches_a_route_of_another_organisation_through_a_service_of_none(
    path: str, first: bytes, code: str
) -> None:
    """What is told of him there names his own: X-Org-Id is never one that the route does not name."""
    d = make_desk(TENANTS)
    assert d.outcome(request(path, bearer=first)) in {code, "wrong_token_type"}
    shop = service_token("shop")
    given = spoken(d, allowed(d, request("/shop", bearer=first)))["X-Latchwire-Assertion"].encode()
    assert d.outcome(passing(shop, given, path)) == code
    again = spoken(d, allowed(d, passing(shop, given, "/shop")))["X-Latchwire-Assertion"].encode()
    assert d.outcome(passing(shop, again, path)) == code, "in two steps"


def test_the_refusal_names_the_assertion_to_an_operator() -> None:
    """The service's own token is fine, and its owner looks at the wrong place otherwise."""
    found = desk().check(passing(SHOP, b"x"))

    assert isinstance(found, Denied)
    assert found.detail.startswith("assertion")


PERSON_PATHS = ["/shop", "/orders", "/ledger", "/people"]


@pytest.mark.parametrize("path", PERSON_PATHS)
@pytest.mark.parametrize("assertion", [ADA, b"x", assert_(of_service(aud="shop"))])
def test_an_assertion_never_lets_in_who_is_not_let_in_without(path: str, assertion: bytes) -> None:
    """Beside a person's token, none at all, or a service's: the header only ever takes away."""
    bearers = [None, token(), token(permissions=["orders.read"]), SHOP, service_token("till")]
    for bearer in bearers:
        plain = desk().outcome(request(path, bearer=bearer))
        given = desk().outcome(
            request(path, bearer=bearer) | {b"x-latchwire-assertion": [assertion]}
        )
        assert (given == "allow" and plain == "allow") or given != "allow" or plain == given
        if plain != "allow":
            assert given == plain


def test_beside_a_person_s_token_the_header_is_not_looked_at() -> None:
    """Only a service passes anybody on; a browser that sends noise is the person it is."""
    d = desk()
    person = token(sub="eve@example.com", email="eve@example.com")

    found = allowed(d, passing(person, ADA, "/shop"))

    assert found.token is not None
    assert found.token.claims.sub == "eve@example.com"


def test_an_empty_header_is_none_and_two_are_refused() -> None:
    """An open route gave it an empty one; two are read in two ways."""
    d = desk()
    one = request("/orders", bearer=SHOP)

    alone = allowed(d, one | {b"x-latchwire-assertion": [b""]})
    assert alone.token is not None
    assert alone.token.claims.sub == "shop"
    assert d.outcome(one | {b"x-latchwire-assertion": [ADA, ADA]}) == "token_invalid"
    assert d.outcome(one | {b"x-latchwire-assertion": [b"", ADA]}) == "token_invalid"


def test_where_only_services_may_call_a_person_behind_one_needs_nothing() -> None:
    """Its rules are of services; the person is there to be told of."""
    d = desk()
    stranger = assert_(members(email="eve@evil.example", permissions=[]))

    found = allowed(d, passing(SHOP, stranger, "/ledger"))

    assert told(spoken(d, found), "ledger").email == "eve@evil.example"


def test_a_service_that_was_passed_on_is_told_as_the_subject() -> None:
    """No person anywhere: X-User-Id stays empty, and the assertion tells who asked first."""
    d = desk()
    headers = spoken(d, allowed(d, passing(SHOP, assert_(of_service()), "/ledger")))
    found = told(headers, "ledger")

    assert (found.sub, found.service, found.actors) == ("till", "shop", ("shop",))
    assert (headers["X-User-Id"], headers["X-Service-Name"]) == ("", "shop")


Revoke = tuple[str, str]
REVOKED: list[tuple[str, Revoke]] = [
    ("the person's session", ("session", members()["sid"])),
    ("the person's token", ("token", members()["jti"])),
    ("the edge that said it", ("key", EDGE_KEY.kid)),
    ("the service's own token", ("session", "sid-shop")),
    ("the service", ("service", "shop")),
]


@pytest.mark.parametrize(("name", "revoke"), REVOKED, ids=[row[0] for row in REVOKED])
def test_what_is_revoked_is_passed_on_no_more(name: str, revoke: Revoke) -> None:
    """Also when it was verified a moment ago."""
    d = desk()
    assert d.outcome(passing(SHOP, ADA)) == "allow"

    d.revocations.revoke(*revoke, Record(NOW_MS + SESSION_MS))

    assert d.outcome(passing(SHOP, ADA)) in {"token_invalid", "token_revoked"}


def test_a_person_who_ended_all_sessions_is_passed_on_no_more() -> None:
    """The watermark counts for the assertion's session as it does for the token's."""
    d = desk()
    assert d.outcome(passing(SHOP, ADA)) == "allow"

    d.revocations.revoke("subject", "ada@example.com", Record(NOW_MS + SESSION_MS, NOW_MS + 1, 0))

    assert d.outcome(passing(SHOP, ADA)) == "token_invalid"


def test_an_edge_that_was_withdrawn_is_believed_no_more() -> None:
    """The operator's document takes its key away from one check to the next."""
    d = desk()
    assert d.outcome(passing(SHOP, ADA)) == "allow"

    d.checker.passing.use(ring_of([OTHER_EDGE.public]), 2)

    assert d.outcome(passing(SHOP, ADA)) == "token_invalid"
    assert d.outcome(passing(SHOP, assert_(members(), OTHER_EDGE))) == "allow"


def test_one_assertion_beside_two_tokens_of_a_service_gives_each_its_own_rights() -> None:
    """What is remembered of the one must not be told of the other."""
    d = desk()
    read, write = (
        service_token("shop", "orders.read"),
        service_token("shop", "orders.write", jti="j2"),
    )
    both = assert_(members(permissions=["orders.read", "orders.write"]))

    for bearer, permission in (
        (read, "orders.read"),
        (write, "orders.write"),
        (read, "orders.read"),
    ):
        found = told(spoken(d, allowed(d, passing(bearer, both))), "orders")
        assert found.permissions == (permission,)


def test_the_use_of_a_service_s_token_is_its_own_whoever_it_calls_for() -> None:
    """The session in the claims is the person's: that is no token's last use, and nobody is told of it."""
    d = desk()
    bearer = service_token("till", "orders.read", sid="01J00000000000000000000T1L")
    alone = allowed(d, request("/orders", bearer=bearer)).token
    behind = allowed(d, passing(bearer, assert_(members(aud="till", sid="boom")))).token
    assert alone is not None
    assert behind is not None
    assert behind.claims.sid == "boom"
    assert alone.own_sid == behind.own_sid == "01J00000000000000000000T1L"


def test_a_stale_edge_passes_nobody_on() -> None:
    """503, as for everybody."""
    d = desk()
    d.revocations.staleness = 11.0

    assert d.outcome(passing(SHOP, ADA)) == "stale"


def test_nothing_of_the_caller_is_told_as_the_subject_s() -> None:
    """Member by member: which of the two each claim of what is passed on comes from."""
    own = {"sub": "c", "client_id": "c", "service": "c", "jti": "cj", "sid": "cs"}
    caller = build_claims(make_claims(**own, permissions=["p", "q"]), "k")
    ada = assert_(members(permissions=["q", "r"], org="o"))
    received = read_assertion(ada, EDGES, issuer=ISSUER, audience="shop")
    assert isinstance(received, Assertion)

    claims, passed = pass_on(received, caller)

    assert claims.permissions == ("q",)
    assert (claims.client_id, claims.service, claims.kid) == ("c", "c", "k")
    for name in ("sub", "email", "roles", "org", "sid", "jti", "amr", "auth_time", "iat_ms", "sst"):
        assert getattr(claims, name) == getattr(received, name), name
    assert passed == type(passed)(("c",), received.exp, "cs")
