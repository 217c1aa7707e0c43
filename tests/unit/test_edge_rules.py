"""Who may use a service: every rule of the catalogue, one at a time and together, at the checker."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latchwire.claims import Claims, build_claims
from services.edge.domain.decision import STATUS, Denied
from services.edge.domain.rules import judge
from shared.catalogue import Service, parse_catalogue
from tests.support.edge import Desk, make_desk, request, token
from tests.support.properties import examples
from tests.support.tokens import NOW_MS, make_claims

NOW = NOW_MS // 1000
LOGIN_AGE = "login_age: 15m"
ANY_CALLER = 'token_types: [user, service], callers: ["*"]'


def service(*keys: str) -> Service:
    """The service ``a`` with these keys."""
    return parse_catalogue(
        f"services: {{a: {{upstream: 'http://a:1', {', '.join(keys)}}}}}"
    ).services[0]


def person(**claims: Any) -> Claims:
    """Ada, with claims replaced."""
    return build_claims(make_claims(**claims), "kid")


def machine(name: str = "bot", **claims: Any) -> Claims:
    """A service that calls."""
    return build_claims(
        make_claims(sub=name, client_id=name, service=name, email="", roles=[], **claims), "kid"
    )


CASES: list[tuple[list[str], Claims, tuple[str, str] | None]] = [
    ([], person(), None),
    ([], machine(), ("wrong_token_type", "service")),
    (["token_types: [service]", 'callers: ["*"]'], person(), ("wrong_token_type", "user")),
    # Roles.
    (["roles: [a, b]"], person(roles=["b"]), None),
    (["roles: [a, b]"], person(roles=["c"]), ("not_allowed", "roles")),
    (["roles: [a]"], person(roles=["A"]), ("not_allowed", "roles")),
    (["roles: {all: [a, b]}"], person(roles=["b", "a", "c"]), None),
    (["roles: {all: [a, b]}"], person(roles=["a"]), ("not_allowed", "roles")),
    (["roles: {any: [a, b], all: [c]}"], person(roles=["a", "c"]), None),
    (["roles: {any: [a, b], all: [c]}"], person(roles=["c"]), ("not_allowed", "roles")),
    (["roles: {any: [a, b], all: [c]}"], person(roles=["a"]), ("not_allowed", "roles")),
    (["roles: ['org:owner']"], person(roles=["owner"]), ("not_allowed", "roles")),
    # Addresses.
    (["emails: ['@acme.com']"], person(email="x@acme.com"), None),
    (["emails: ['@acme.com']"], person(email="x@evil-acme.com"), ("not_allowed", "emails")),
    (["emails: ['@acme.com']"], person(email="x@acme.com.evil.org"), ("not_allowed", "emails")),
    (["emails: ['@acme.com']"], person(email="x@sub.acme.com"), ("not_allowed", "emails")),
    (["emails: ['@acme.com']"], person(email="x@acme.com@evil.org"), ("not_allowed", "emails")),
    (["emails: [ada@a.b]"], person(email="ada@a.b"), None),
    (["emails: [ada@a.b]"], person(email="eve+ada@a.b"), ("not_allowed", "emails")),
    # Organisations.
    (["organisation: '*'"], person(org="o1"), None),
    (["organisation: '*'"], person(org=""), ("not_allowed", "organisation")),
    (["organisation: [o1, o2]"], person(org="o2"), None),
    (["organisation: [o1, o2]"], person(org="o3"), ("not_allowed", "organisation")),
    (["organisation: o1"], person(org=""), ("not_allowed", "organisation")),
    # Permissions, of both kinds.
    (["permissions: [r, w]"], person(permissions=["w"]), None),
    (["permissions: [r, w]"], person(), ("not_allowed", "permissions")),
    (["permissions: {all: [r, w]}"], person(permissions=["w"]), ("not_allowed", "permissions")),
    (["token_types: [service]", "permissions: [r]"], machine(permissions=["r"]), None),
    (["token_types: [service]", "permissions: [r]"], machine(), ("not_allowed", "permissions")),
    # Callers.
    ([ANY_CALLER], machine(), None),
    (["token_types: [service]", "callers: [bot, cron]"], machine("cron"), None),
    (["token_types: [service]", "callers: [bot]"], machine("bott"), ("not_allowed", "callers")),
    (
        ["token_types: [service]", "callers: [bot]", "permissions: [r]"],
        machine(),
        ("not_allowed", "permissions"),
    ),
    # A rule for people is none for services, and the other way round.
    ([ANY_CALLER, "roles: [a]", LOGIN_AGE], machine(auth_time=NOW - 9_999), None),
    (["token_types: [user, service]", "callers: [bot]"], person(), None),
    # A person cannot call themselves a service by any other claim.
    (
        ["token_types: [service]", "callers: [bot]"],
        person(sub="bot", client_id="bot"),
        ("wrong_token_type", "user"),
    ),
    # How long ago the login was: 15 minutes to the second.
    ([LOGIN_AGE], person(auth_time=NOW - 900 + 1), None),
    ([LOGIN_AGE], person(auth_time=NOW - 901), ("login_too_old", "")),
    ([LOGIN_AGE], person(auth_time=NOW + 60), None),
    # Who may not come in at all is not sent to log in again.
    ([LOGIN_AGE, "roles: [a]"], person(auth_time=NOW - 9_999), ("not_allowed", "roles")),
    ([LOGIN_AGE, "permissions: [r]"], person(auth_time=NOW - 9_999), ("not_allowed", "permissions")),
    ([LOGIN_AGE, "organisation: '*'"], person(auth_time=NOW - 9_999), ("not_allowed", "organisation")),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "claims", "expected"), CASES, ids=range(len(CASES)))
def test_the_first_rule_that_is_not_met_refuses_and_is_named(
    keys: list[str], claims: Claims, expected: tuple[str, str] | None
) -> None:
    """None of them lets in whom another one keeps out."""
    assert judge(service(*keys), claims, NOW_MS) == expected


def test_the_millisecond_decides_about_a_login() -> None:
    """A login is as old as its second: 15 minutes later it is too old one millisecond later."""
    told, ada = service(LOGIN_AGE), person(auth_time=NOW - 900)

    assert judge(told, ada, NOW * 1000) is None
    assert judge(told, ada, NOW * 1000 + 1) == ("login_too_old", "")


CATALOGUE = """
services:
  recent: {paths: [/recent], upstream: "http://a:1", login_age: 15m}
  internal: {paths: [/internal], upstream: "http://b:1", expose_publicly: false, public_paths: [/internal/open]}
  machines: {paths: [/machines], upstream: "http://c:1", token_types: [service], callers: [bot]}
  pages:
    paths: [/pages]
    upstream: "http://d:1"
    allowed_origins: ["https://app.example", "http://localhost:3000"]
    allow_credentials: true
  scripts: {paths: [/scripts], upstream: "http://e:1", allowed_origins: ["https://app.example"]}
  anyone: {paths: [/anyone], upstream: "http://f:1", allowed_origins: ["*"]}
"""
APP = "https://app.example"
STRANGER = "https://evil.example"


@pytest.fixture
def desk() -> Desk:
    """A desk with that catalogue."""
    return make_desk(CATALOGUE)


def test_an_old_login_is_asked_for_another_and_told_how_old_it_may_be(desk: Desk) -> None:
    """401 with the seconds for RFC 9470; a fresh login passes."""
    stale = token(auth_time=NOW - 3600, sst=NOW_MS - 3_600_000)

    denied = desk.check(request("/recent", cookie=stale))

    assert isinstance(denied, Denied)
    assert (denied.code, STATUS[denied.code], denied.max_age) == ("login_too_old", 401, 900)
    assert denied.cookie
    assert desk.outcome(request("/recent", cookie=token())) == "allow"


def test_a_login_grows_old_while_its_token_is_remembered(desk: Desk) -> None:
    """Its age is asked on every request, cached or not."""
    nearly = token(auth_time=NOW - 899)

    assert desk.outcome(request("/recent", bearer=nearly)) == "allow"
    desk.clock.advance(2_000)
    assert desk.outcome(request("/recent", bearer=nearly)) == "login_too_old"
    assert desk.tokens.misses == 1


@pytest.mark.parametrize("path", ["/internal", "/internal/x", "/internal/open"])
def test_a_service_that_is_not_for_the_internet_answers_only_to_its_name(
    desk: Desk, path: str
) -> None:
    """Its open paths too: they are open to everybody inside."""
    good = request(path, bearer=token())

    assert desk.outcome(good) == "not_exposed"
    assert desk.outcome(good, "internal") == "allow"
    assert desk.outcome(good, "pages") == "wrong_service"


def test_a_person_is_no_service_and_is_told_so(desk: Desk) -> None:
    """By a code of its own: no other role would help."""
    denied = desk.check(request("/machines", bearer=token(roles=["admin"])))

    assert isinstance(denied, Denied)
    assert (denied.code, denied.detail, STATUS[denied.code]) == ("wrong_token_type", "user", 403)


PREFLIGHTS = [
    ("/pages", APP, "allow"),
    ("/pages", "http://localhost:3000", "allow"),
    ("/pages", "http://localhost", "preflight_refused"),
    ("/pages", STRANGER, "preflight_refused"),
    ("/pages", "null", "preflight_refused"),
    ("/pages", "HTTPS://APP.EXAMPLE", "preflight_refused"),
    ("/pages", f"{APP}:443", "preflight_refused"),
    ("/pages", f"{APP}.evil.example", "preflight_refused"),
    ("/pages", f"{APP}, {STRANGER}", "preflight_refused"),
    ("/pages", "*", "preflight_refused"),
    ("/scripts", APP, "allow"),
    ("/anyone", STRANGER, "allow"),
    ("/anyone", "null", "allow"),
    ("/recent", APP, "preflight_refused"),
    ("/machines", APP, "preflight_refused"),
]


@pytest.mark.parametrize(("path", "origin", "outcome"), PREFLIGHTS)
def test_a_preflight_passes_where_the_catalogue_lets_its_page_in(
    desk: Desk, path: str, origin: str, outcome: str
) -> None:
    """Compared as a browser writes it, byte for byte."""
    asked = {"origin": origin, "access_control_request_method": "PUT"}

    assert desk.outcome(request(path, method="OPTIONS", **asked)) == outcome


FORGERIES = [
    ("/pages", APP, "allow"),
    ("/pages", STRANGER, "csrf_failed"),
    ("/pages", "*", "csrf_failed"),
    ("/pages", f"{APP}:443", "csrf_failed"),
    # Without allow_credentials a browser sends no cookie for such a page; one that comes counts for nothing.
    ("/scripts", APP, "csrf_failed"),
    ("/anyone", STRANGER, "csrf_failed"),
    ("/anyone", "*", "csrf_failed"),
    ("/recent", APP, "csrf_failed"),
]


@pytest.mark.parametrize("handshake", [False, True])
@pytest.mark.parametrize(("path", "origin", "outcome"), FORGERIES)
def test_a_page_may_use_the_visitors_cookie_only_where_it_is_listed_with_credentials(
    desk: Desk, path: str, origin: str, outcome: str, *, handshake: bool
) -> None:
    """For unsafe methods and for WebSockets. No browser adds a bearer token by itself: it needs none."""
    how: dict[str, str] = {"proto": "ws"} if handshake else {"method": "POST"}

    assert desk.outcome(request(path, cookie=token(), origin=origin, **how)) == outcome
    assert desk.outcome(request(path, bearer=token(), origin=origin, **how)) == "allow"


_NAMES = st.lists(st.sampled_from(["a", "b", "c", "org:a"]), max_size=3, unique=True)


@settings(max_examples=examples(40))
@given(any_of=_NAMES, all_of=_NAMES, held=_NAMES, more=_NAMES)
def test_more_roles_never_keep_anybody_out_and_fewer_never_let_anybody_in(
    any_of: list[str], all_of: list[str], held: list[str], more: list[str]
) -> None:
    """The rules for names are monotonous, so nobody gains by losing one."""
    halves = {name: half for name, half in (("any", any_of), ("all", all_of)) if half}
    told = service(f"roles: {halves}" if halves else "")

    poor, rich = person(roles=held), person(roles=sorted({*held, *more}))
    if judge(told, poor, NOW_MS) is None:
        assert judge(told, rich, NOW_MS) is None
