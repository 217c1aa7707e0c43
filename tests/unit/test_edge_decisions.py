"""The edge's decision table: who gets through, who does not, and with which code."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latchwire.records import Record
from services.edge.domain.decision import Allowed, Denied
from tests.support.edge import COOKIE, ORIGIN, Desk, code_of, make_desk, request, token
from tests.support.properties import damaged_bytes, examples
from tests.support.tokens import NOW_MS, make_claims

DAY = 86_400_000
GOOD = token()


@pytest.fixture
def desk() -> Desk:
    """A fresh desk."""
    return make_desk()


def test_a_good_bearer_token_passes_with_its_identity(desk: Desk) -> None:
    """200 carries who it is."""
    decision = desk.check(request(bearer=GOOD))

    assert isinstance(decision, Allowed)
    assert decision.token is not None
    assert b"X-User-Id: ada@example.com\r\n" in decision.token.identity


def test_a_good_cookie_passes(desk: Desk) -> None:
    """The browser's way in."""
    assert desk.outcome(request(cookie=GOOD)) == "allow"


@pytest.mark.parametrize("uri", ["/demo/public", "/demo/public/x", "/open", "/open/y?z"])
def test_public_routes_need_nothing_and_say_nobody(desk: Desk, uri: str) -> None:
    """Even a good token is not looked at: the upstream sees nobody."""
    decision = desk.check(request(uri, bearer=GOOD))

    assert isinstance(decision, Allowed)
    assert decision.token is None


@pytest.mark.parametrize("uri", ["/", "/other", "/demonstration", "/Demo", "/demo/public.html/x"])
def test_what_is_not_in_the_catalogue_is_refused(desk: Desk, uri: str) -> None:
    """Default deny, with the best of tokens."""
    expected = "allow" if uri.startswith("/demo/") else "no_route"

    assert desk.outcome(request(uri, bearer=GOOD)) == expected


@pytest.mark.parametrize("header", ["method", "proto", "host", "uri"])
def test_a_missing_or_repeated_forwarded_header_is_never_guessed(desk: Desk, header: str) -> None:
    """Each of the four exactly once."""
    name = f"x-forwarded-{header}".encode()
    missing, doubled = request(bearer=GOOD), request(bearer=GOOD)
    del missing[name]
    doubled[name] = doubled[name] * 2

    assert [desk.outcome(missing), desk.outcome(doubled)] == ["bad_forwarded"] * 2


@pytest.mark.parametrize(
    "odd",
    [
        {"method": "get"},
        {"method": ""},
        {"method": "GET, POST"},
        {"method": "G" * 5000},
        {"method": "GET\r\n"},
        {"proto": "ftp"},
        {"proto": "HTTPS"},
        {"proto": "https,http"},
        {"host": ""},
        {"host": "a b"},
        {"host": "a, b"},
        {"host": "a@b"},
        {"host": "a/b"},
        {"host": "é"},
        {"host": "a:b"},
        {"host": "a" * 300},
        {"host": "localhost.."},
        {"host": "localhost..:8080"},
        {"host": "a..b"},
        {"host": "."},
        {"host": ".a"},
        {"host": "localhost:8080."},
        {"uri": ""},
        {"uri": "demo"},
        {"uri": "http://localhost/demo"},
        {"uri": "/demo\r\nX: 1"},
        {"uri": "/d\xff"},
        {"uri": "/demo, /open"},
    ],
)
def test_an_odd_forwarded_header_is_refused(desk: Desk, odd: dict[str, str]) -> None:
    """Lower case, lists, spaces, other alphabets: what no proxy writes describes no request."""
    assert desk.outcome(request(bearer=GOOD, **odd)) in {"bad_forwarded", "ambiguous_path"}  # type: ignore[arg-type]


def test_websocket_schemes_are_their_http_ones(desk: Desk) -> None:
    """Traefik says ws and wss of a handshake."""
    assert desk.outcome(request(proto="ws", bearer=GOOD)) == "allow"
    assert desk.outcome(request(proto="wss", bearer=GOOD)) == "allow"


def test_a_websocket_on_a_cookie_from_another_site_is_refused(desk: Desk) -> None:
    """Cross-site WebSocket hijacking: a handshake is a GET, and not a safe one."""
    evil = request(proto="ws", cookie=GOOD, origin="https://evil.example")
    own = request(proto="ws", cookie=GOOD, origin=ORIGIN)

    assert (desk.outcome(evil), desk.outcome(own)) == ("csrf_failed", "allow")


@pytest.mark.parametrize(
    "mark",
    [{"sec-fetch-mode": "websocket"}, {"sec-websocket-key": "dGhlIHNhbXBsZQ=="}, {"upgrade": "x"}],
)
def test_a_handshake_is_known_by_its_marks_and_needs_the_very_origin(
    desk: Desk, mark: dict[str, str]
) -> None:
    """Proxies say http of it, and neither another header nor the CSRF token stands in for Origin."""
    csrf = hashlib.sha256(b"secret").hexdigest()
    cookie = token(csrf=csrf)
    sibling = "http://sibling.localhost:8080"

    def outcome(**more: str) -> str:
        return desk.outcome(request(cookie=cookie, **{**mark, **more}))  # type: ignore[arg-type]

    assert outcome() == "csrf_failed"
    assert outcome(origin=sibling) == "csrf_failed"
    assert outcome(origin=sibling, **{"sec-fetch-site": "same-origin"}) == "csrf_failed"
    assert outcome(**{"sec-fetch-site": "none"}) == "csrf_failed"
    assert outcome(origin=sibling, **{"x-csrf-token": "secret"}) == "csrf_failed"
    assert outcome(origin=ORIGIN) == "allow"
    assert desk.outcome(request(bearer=GOOD, origin=sibling, **mark)) == "allow"  # type: ignore[arg-type]


def test_what_the_gateway_chose_must_be_what_the_edge_reads(desk: Desk) -> None:
    """A rule for another service, however lenient or strict, is no answer for this one."""

    def outcome(uri: str, chosen: str) -> str:
        return code_of(desk.check(request(uri, bearer=GOOD), chosen))

    assert outcome("/demo", "demo") == "allow"
    assert outcome("/demo/public", "demo") == "allow"
    assert outcome("/open", "demo") == "wrong_service"
    assert outcome("/demo", "open") == "wrong_service"
    assert outcome("/demo", "nobody") == "wrong_service"
    assert outcome("/nowhere", "demo") == "no_route"


def test_every_ambiguous_path_is_refused_by_name(desk: Desk) -> None:
    """403 ambiguous_path, whatever the token."""
    for uri in ("/demo/../staff", "/demo//x", "/demo%2fx", "/demo/%2e%2e/x", "/demo;x", "/demo#x"):
        assert desk.outcome(request(uri, bearer=GOOD)) == "ambiguous_path"


def test_nothing_presented_is_no_credentials(desk: Desk) -> None:
    """No header, no cookie, a cleared cookie, somebody else's cookie."""
    assert desk.outcome(request()) == "no_credentials"
    assert desk.outcome(request(cookie=b"")) == "no_credentials"
    assert desk.outcome(request(cookie_=f"{COOKIE}x=1")) == "no_credentials"


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer",
        b"Bearer ",
        b"Bearer  x",
        b"Basic " + GOOD,
        GOOD,
        b"Bearer \xff.a.b",
        b"Bearer a.b",
        b"Bearer a,b",
        b"Bearer " + b"a" * 10_000_000,
        b"",
        b"Bearer " + GOOD + b" ",
        b"Bearer " + GOOD + b"=",
        b"bearer\t" + GOOD,
    ],
)
def test_what_is_no_bearer_token_is_invalid_and_nothing_worse(desk: Desk, value: bytes) -> None:
    """Bytes, sizes, schemes: one answer."""
    fields = request() | {b"authorization": [value]}

    assert desk.outcome(fields) == "token_invalid"


_SCHEMES = st.sampled_from([b"", b"Bearer ", b"bEARER ", b"Bearer  ", b"Bearer\t", b"Basic "])
_NEARLY = damaged_bytes(GOOD).filter(lambda nearly: GOOD not in nearly)


@given(
    st.lists(st.binary(max_size=60) | st.tuples(_SCHEMES, _NEARLY).map(b"".join), max_size=2),
    st.lists(st.binary(max_size=60) | _NEARLY, max_size=2),
)
@settings(max_examples=examples(200))
def test_no_bytes_in_credentials_break_the_check_or_open_it(
    authorization: list[bytes], cookies: list[bytes]
) -> None:
    """Fuzzed headers are refused with a code of the table."""
    names = [f"{COOKIE}=".encode() + c for c in cookies]
    outcome = make_desk().outcome(request() | {b"authorization": authorization, b"cookie": names})

    assert outcome in {"no_credentials", "token_invalid", "two_credentials"}


def test_two_authorization_headers_are_refused_even_when_equal(desk: Desk) -> None:
    """Parsers disagree about which counts, so neither does."""
    fields = request() | {b"authorization": [b"Bearer " + GOOD] * 2}

    assert desk.outcome(fields) == "two_credentials"


@pytest.mark.parametrize("separate", [True, False])
def test_two_session_cookies_are_refused_wherever_they_stand(desk: Desk, separate: bool) -> None:
    """Cookie tossing: a second one from a sibling subdomain, in one header or in two."""
    one = f"{COOKIE}=".encode() + GOOD
    cookies = [one, one] if separate else [one + b"; a=b;" + one]

    assert desk.outcome(request() | {b"cookie": cookies}) == "two_credentials"


def test_bearer_and_cookie_of_two_people_are_refused(desk: Desk) -> None:
    """Never whichever comes first."""
    other = token(sub="eve@example.com", email="eve@example.com")

    assert desk.outcome(request(bearer=GOOD, cookie=other)) == "two_subjects"
    assert desk.outcome(request(bearer=GOOD, cookie=token(jti="another"))) == "allow"
    assert desk.outcome(request(bearer=GOOD, cookie=b"junk")) == "allow"
    assert desk.outcome(request(bearer=b"junk", cookie=GOOD)) == "token_invalid"


def test_time_is_asked_on_every_request_cached_or_not(desk: Desk) -> None:
    """A token that was good a moment ago is refused the moment it has run out."""
    assert desk.outcome(request(bearer=GOOD)) == "allow"
    desk.clock.advance(904_000)
    assert desk.outcome(request(bearer=GOOD)) == "allow"
    desk.clock.advance(1_000)
    assert desk.outcome(request(bearer=GOOD)) == "token_expired"
    assert desk.tokens.misses == 1


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("token", make_claims()["jti"]),
        ("session", make_claims()["sid"]),
        ("subject", "ada@example.com"),
        ("service", "browser"),
        ("key", ""),
    ],
)
def test_revocation_is_asked_on_every_request_cached_or_not(
    desk: Desk, scope: str, name: str
) -> None:
    """The very token that just worked is refused with the next request."""
    decision = desk.check(request(bearer=GOOD))
    assert isinstance(decision, Allowed)
    assert decision.token is not None

    desk.revocations.revoke(
        scope, name or decision.token.claims.kid, Record(NOW_MS + DAY, NOW_MS, NOW_MS)
    )

    assert desk.outcome(request(bearer=GOOD)) == "token_revoked"
    assert desk.outcome(request(cookie=GOOD)) == "token_revoked"
    assert desk.outcome(request("/demo/public", bearer=GOOD)) == "allow"


def test_a_stale_edge_says_so_and_never_that_you_are_logged_out(desk: Desk) -> None:
    """stale comes before every question about a credential; public routes go on."""
    desk.revocations.staleness = 10.1

    for fields in (request(), request(bearer=GOOD), request(bearer=b"junk"), request(cookie=GOOD)):
        assert desk.outcome(fields) == "stale"
    assert desk.outcome(request("/open")) == "allow"
    assert desk.outcome(request("/nowhere")) == "no_route"
    desk.revocations.staleness = 10.0
    assert desk.outcome(request(bearer=GOOD)) == "allow"


def test_a_route_may_allow_itself_more_staleness(desk: Desk) -> None:
    """/patient waits 60 s, everybody else 10."""
    desk.revocations.staleness = 59

    assert desk.outcome(request("/patient", bearer=GOOD)) == "allow"
    assert desk.outcome(request("/demo", bearer=GOOD)) == "stale"
    desk.revocations.staleness = float("inf")
    assert desk.outcome(request("/patient", bearer=GOOD)) == "stale"


@pytest.mark.parametrize(
    ("roles", "outcome"), [([], "not_allowed"), (["reader"], "not_allowed"), (["auditor"], "allow")]
)
def test_a_route_with_roles_wants_one_of_them(desk: Desk, roles: list[str], outcome: str) -> None:
    """Signed in but not allowed is its own answer."""
    assert desk.outcome(request("/staff", bearer=token(roles=roles))) == outcome


@pytest.mark.parametrize(
    ("email", "outcome"),
    [
        ("ada@example.com", "allow"),
        ("x@acme.com", "allow"),
        ("x@evilacme.com", "not_allowed"),
        ("bob@example.com", "not_allowed"),
        ("acme.com@x.org", "not_allowed"),
    ],
)
def test_a_route_with_emails_wants_one_of_them(desk: Desk, email: str, outcome: str) -> None:
    """A whole address or a whole domain."""
    assert desk.outcome(request("/family", bearer=token(sub=email, email=email))) == outcome


CSRF = "readable-value"
WITH_CSRF = token(csrf=hashlib.sha256(CSRF.encode()).hexdigest())


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, "csrf_failed"),
        ({"sec_fetch_site": "same-origin"}, "allow"),
        ({"sec_fetch_site": "none"}, "allow"),
        ({"sec_fetch_site": "same-site"}, "csrf_failed"),
        ({"sec_fetch_site": "cross-site"}, "csrf_failed"),
        ({"origin": ORIGIN}, "allow"),
        ({"origin": "null"}, "csrf_failed"),
        ({"origin": "http://localhost"}, "csrf_failed"),
        ({"origin": "https://localhost:8080"}, "csrf_failed"),
        ({"origin": f"{ORIGIN}.evil.example"}, "csrf_failed"),
        ({"x_csrf_token": CSRF}, "allow"),
        ({"x_csrf_token": "guess"}, "csrf_failed"),
        ({"sec_fetch_site": "same-site", "x_csrf_token": CSRF}, "allow"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "LOCK"])
def test_an_unsafe_request_on_a_cookie_must_show_where_it_is_from(
    desk: Desk, method: str, headers: dict[str, str], outcome: str
) -> None:
    """Sec-Fetch-Site, else Origin, else the token; a bearer token needs none of it."""
    assert desk.outcome(request(method=method, cookie=WITH_CSRF, **headers)) == outcome
    assert desk.outcome(request(method=method, bearer=WITH_CSRF, **headers)) == "allow"
    assert desk.outcome(request(method="GET", cookie=WITH_CSRF, **headers)) == "allow"


def test_doubled_proofs_of_origin_prove_nothing(desk: Desk) -> None:
    """An attacker who can add a header cannot choose which one counts."""
    for name, value in (("sec-fetch-site", b"none"), ("origin", ORIGIN.encode())):
        fields = request(method="POST", cookie=GOOD) | {name.encode(): [value, value]}
        assert desk.outcome(fields) == "csrf_failed"


def test_only_a_real_preflight_passes_and_only_from_a_page_that_the_service_lets_in(
    desk: Desk,
) -> None:
    """OPTIONS with Origin and Access-Control-Request-Method; nothing else that calls itself one."""
    asked = {"origin": "https://a.example", "access_control_request_method": "PUT"}
    shared = "/shared"

    decision = desk.check(request(shared, method="OPTIONS", **asked))
    assert isinstance(decision, Allowed)
    assert decision.token is None
    assert desk.outcome(request("/demo", method="OPTIONS", **asked)) == "preflight_refused"
    other = {**asked, "origin": "https://b.example"}
    assert desk.outcome(request(shared, method="OPTIONS", **other)) == "preflight_refused"
    no_preflight = {"origin": "https://a.example"}
    assert desk.outcome(request(shared, method="OPTIONS")) == "no_credentials"
    assert desk.outcome(request(shared, method="OPTIONS", **no_preflight)) == "no_credentials"
    assert desk.outcome(request(shared, method="GET", **asked)) == "no_credentials"


def test_the_cache_keeps_what_is_used_and_never_grows_past_two_generations() -> None:
    """A flood of other tokens pushes out only what nobody asks for."""
    desk = make_desk(capacity=3)
    crowd = [token(jti=f"t{n}") for n in range(8)]

    for other in crowd:
        assert desk.outcome(request(bearer=other)) == "allow"
        assert desk.outcome(request(bearer=GOOD)) == "allow"

    assert desk.tokens.misses == len(crowd) + 1
    assert len(desk.tokens._young) + len(desk.tokens._old) <= 6


def test_a_forgery_is_never_remembered() -> None:
    """Only what verified is kept, so forgeries cannot fill the cache."""
    desk = make_desk()
    forged = GOOD[:-4] + (b"AAAA" if not GOOD.endswith(b"AAAA") else b"BBBB")

    for _ in range(3):
        assert desk.outcome(request(bearer=forged)) == "token_invalid"

    assert (desk.tokens.misses, len(desk.tokens._young)) == (3, 0)


def test_a_refusal_names_the_service_and_whether_a_cookie_came(desk: Desk) -> None:
    """What the log line and the redirect need."""
    desk.clock.advance(DAY)

    denied = desk.check(request(cookie=GOOD))

    assert isinstance(denied, Denied)
    assert (denied.code, denied.service, denied.cookie) == ("token_expired", "demo", True)
