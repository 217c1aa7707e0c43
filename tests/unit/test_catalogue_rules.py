"""services.yaml: what cancels itself, says nothing or reads in two ways is refused, with the cure."""

import re
from pathlib import Path

import pytest

from services.edge.domain.identity import identity_headers
from shared.catalogue import (
    IDENTITY_HEADERS,
    CatalogueError,
    RateLimit,
    Service,
    load_catalogue,
    parse_catalogue,
)

UP = "upstream: http://127.0.0.1:9100"
EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "proxies" / "services.yaml"
TO_SERVICES = "token_types: [service]"
FOR_BOTH = "token_types: [user, service]"


def catalogue(*lines: str) -> str:
    """A catalogue of the one service ``a`` with these lines."""
    return "services:\n  a:\n" + "".join(f"    {line}\n" for line in (UP, *lines))


def service(*lines: str) -> Service:
    """That service, read."""
    return parse_catalogue(catalogue(*lines)).services[0]


def problems(*lines: str) -> list[str]:
    """What is said of that catalogue."""
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(catalogue(*lines))
    return caught.value.problems


REFUSED = [
    # Who may call.
    ([TO_SERVICES], 'token_types: service alone lets every service in: name them in callers'),
    ([FOR_BOTH], "token_types: service alone lets every service in"),
    ([TO_SERVICES, 'callers: ["*"]', "roles: [x]"], "roles: is about people, and token_types has no user"),
    ([TO_SERVICES, 'callers: ["*"]', 'emails: ["@a.b"]'], "emails: is about people"),
    ([TO_SERVICES, 'callers: ["*"]', 'organisation: "*"'], 'organisation: "*" says nothing of services'),
    ([TO_SERVICES, 'callers: ["*"]', "login_age: 15m"], "login_age: is about people"),
    (["callers: [bot]"], "callers: is about services, and token_types has no service"),
    ([FOR_BOTH, 'callers: ["*", bot]'], 'callers: "*" stands for all: remove it, or the others'),
    (['organisation: ["*", acme]'], 'organisation: "*" stands for all'),
    (["token_types: [user, user]"], "token_types: names a kind twice"),
    *(
        (lines, f"{lines[0].partition(':')[0]}{half}: is empty: write a value, or remove the key")
        for lines, half in (
            *(([f"{key}: []"], "") for key in ("paths", "public_paths", "token_types", "emails")),
            *(([f"{key}: []"], "") for key in ("organisation", "allowed_origins", "middlewares")),
            *(([f"{key}: {empty}"], "") for key in ("roles", "permissions") for empty in ("[]", "{}")),
            (["roles: {any: [x], all: []}"], ".all"),
            (["permissions: {any: []}", FOR_BOTH, 'callers: ["*"]'], ".any"),
            (["callers: []", FOR_BOTH, "permissions: [a]"], ""),
            (["headers: {}"], ""),
        )
    ),
    (["token_types: [robot]"], "write user, service, or both"),
    (["callers: [Bot]"], "write a service's name"),
    (["permissions: [Read]"], "a permission has lower-case letters"),
    (["emails: ada@acme.com"], "emails: must be a list: [a, b] (write ada@acme.com or @acme.com"),
    (["allowed_origins: https://a.b"], "allowed_origins: must be a list: [a, b]"),
    (["organisation: [12]"], "organisation.0: must be text; in quotes where YAML takes it"),
    (["roles: admin"], "roles: must be a list, [a, b], or {any: [...], all: [...]}"),
    (["rate_limit: strict", "rate_burst: 1.5"], "rate_burst: must be a whole number"),
    (["emails: ['*@acme.com']"], "emails: is no pattern: @acme.com means everybody"),
    (["emails: ['@.acme.com']"], "emails: is no pattern"),
    # Nobody is asked who they are.
    (["require_auth: false", "roles: [x]"], "require_auth: false contradicts roles: remove that"),
    (["require_auth: false", 'emails: ["@a.b"]'], "contradicts emails"),
    (["require_auth: false", 'organisation: "*"'], "contradicts organisation"),
    (["require_auth: false", "login_age: 15m"], "contradicts login_age"),
    (["require_auth: false", "permissions: [a]"], "contradicts permissions"),
    (["require_auth: false", FOR_BOTH, "callers: [b]"], "contradicts callers and token_types: remove those"),
    (["require_auth: false", "public_paths: [/p]"], "contradicts public_paths"),
    (["require_auth: false", "token_types: [user]"], "contradicts token_types"),
    # Other pages.
    (['allowed_origins: ["*"]', "allow_credentials: true"], 'any page on the internet act as whoever'),
    (['allowed_origins: ["*", "https://a.b"]'], '"*" stands for all'),
    (["allow_credentials: true"], "allow_credentials: says nothing without allowed_origins"),
    *(
        (
            [f'allowed_origins: ["https://a.b", "{origin}"]', "allow_credentials: true"],
            f"allowed_origins: {origin} with allow_credentials lets whoever is on a visitor's network",
        )
        for origin in (
            *("http://app.acme.com", "http://app.acme.com:8080", "http://localhost.acme.com"),
            *("http://10.0.0.1", "http://notlocalhost", "http://127.0.0.1.acme.com"),
        )
    ),
    (['allowed_origins: ["https://a.b:443"]'], "https://a.b:443: no browser writes this port: remove :443"),
    (['allowed_origins: ["http://a.b:80"]'], "remove :80"),
    (['allowed_origins: ["https://a.b:99999"]'], "remove :99999"),
    (['allowed_origins: ["https://a.b/"]'], "write it as a browser does"),
    (['allowed_origins: ["https://*.a.b"]'], "write it as a browser does"),
    (['allowed_origins: ["https://A.b"]'], "in lower case"),
    (['allowed_origins: ["null"]'], "write it as a browser does"),
    (["allowed_origins: [a.b]"], "write it as a browser does"),
    # Limits and spans.
    (["rate_limit: 100"], "write standard, strict, or a number"),
    (["rate_limit: 0/minute"], "write standard, strict, or a number"),
    (["rate_limit: 100/day"], "second, minute or hour"),
    (["rate_burst: 5"], "rate_burst: says nothing without rate_limit"),
    (["rate_limit: strict", "rate_burst: 0"], "write a whole number from 1"),
    (["login_age: 59s"], "login_age: must be from 1m"),
    (["login_age: 721h"], "to 720h"),
    # Headers that somebody already reads.
    *(
        ([f"headers: {{{name}: email}}"], f"headers: {name} already has a meaning")
        for name in (
            *IDENTITY_HEADERS,
            *("x-user-id".title(), "X-USER-ID", "X-user-Id"),
            *("X-Forwarded-For", "X-FORWARDED-Anything", "X-Original-URL", "X-Real-IP", "X-Real-Ip"),
            *("X-Csrf-Token", "X-Requested-With", "X-HTTP-Method-Override", "X-Latchwire-Reason"),
        )
    ),
    (["headers: {X_User_Id: email}"], "letters, digits and dashes in the name"),
    (["headers: {Authorization: email}"], "write X-Something: claim"),
    (["headers: {Cookie: sid}"], "write X-Something: claim"),
    (["headers: {X-Client: password}"], "write X-Something: claim"),
    (["headers: {X-Client: sub, X-CLIENT: email}"], "X-CLIENT and X-Client are one header"),
    # The owner's words.
    (["middlewares: [auth-jwt]", "require_auth: false"], "middlewares: auth-jwt lets people in with a token"),
    (["middlewares: [auth-jwt]", TO_SERVICES, 'callers: ["*"]'], "require_auth: true and user in token_types"),
    (["middlewares: [auth-service]"], "write service in token_types, or remove it"),
    (["middlewares: [rate-limit]", "rate_limit: strict"], "rate-limit is 100/minute, and this"),
    (["middlewares: [rate-limit-strict]", "rate_limit: 100/minute"], "rate-limit-strict is 20/minute"),
    (["middlewares: [rate-limit, rate-limit-strict]"], "this service's limit is 100/minute"),
    (["middlewares: [cors]"], "cors needs allowed_origins"),
    (["middlewares: [security-headers]", "security_headers: false"], "contradicts security_headers: false"),
    (["middlewares: [auth-jwtt]"], "auth-jwtt is no word of ours; did you mean auth-jwt?"),
    (["middlewares: [compress]"], "One of your own needs its full name: compress@file"),
    (["middlewares: [a@file, a@file]"], "a@file stands twice"),
    *(
        ([f"middlewares: [mine@file, {name}]"], f"middlewares: {name} is a name of the gateway's own")
        for name in (
            "latchwire-check-b@http", "latchwire-check-b@file", "latchwire-headers@docker", "latchwire-csp-a",
            "Latchwire-Check-b@http", "latchwire@file",
        )
    ),
    (["security_headers: false", "content_security_policy: x"], "is sent only with security_headers"),
    (["content_security_policy: Upstream"], "write upstream in lower case"),
    (["api_gateway:", "  expose_publicly: true"], "is one level too many: write its keys one level up"),
    # No patterns.
    *(
        ([f"{key}: ['{path}']"], f"{key}.0: {mark} has no meaning here: a path is no pattern")
        for key in ("paths", "public_paths")
        for path, mark in (
            ("/a*", "*"), ("^/a", "^"), ("/a$", "$"), ("/(a|b)", "("), ("/a|b", "|"), ("/[ab]", "["),
            ("/{id}", "{"), ("/a+", "+"), ("/a?x", "?"), ("/<.*>", "<"), ("/a\\.b", "\\"),
        )
    ),
    (["paths: [/:id]"], "paths.0: is not right: a prefix begins with /"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), REFUSED)
def test_what_cannot_be_meant_is_refused_with_its_line_and_the_cure(
    lines: list[str], expected: str
) -> None:
    """Nothing of it is quietly left out: who wrote it believes that it counts."""
    said = problems(*lines)

    assert any(expected in problem for problem in said), said
    for problem in said:
        line, key = re.match(r"services\.yaml:(\d+): services\.a\.(\w+)", problem).groups()  # type: ignore[union-attr]
        assert ["services:", "  a:", UP, *lines][int(line) - 1].startswith(key), problem


FINE = [
    [TO_SERVICES, 'callers: ["*"]'],
    [TO_SERVICES, "permissions: [a.b]"],
    [TO_SERVICES, 'callers: ["*"]', "organisation: acme"],
    [FOR_BOTH, "callers: [bot]", "roles: [x]", "login_age: 1m", 'organisation: "*"'],
    ["organisation: [0199, acme]".replace("0199", '"0199"')],
    ["require_auth: false", "rate_limit: strict", 'allowed_origins: ["*"]'],
    ['allowed_origins: ["https://a.b:8443", "http://localhost:3000"]', "allow_credentials: true"],
    [
        'allowed_origins: ["http://a.house.localhost", "http://127.0.0.1:1"]',
        "allow_credentials: true",
    ],
    ['allowed_origins: ["http://app.acme.com"]'],
    ["headers: {X-Client-Id: client_id, X-Groups: roles}"],
    [
        "middlewares: [auth-jwt, rate-limit, cors, security-headers, mine@file]",
        'allowed_origins: ["*"]',
        "rate_limit: 100/minute",
    ],
    ["middlewares: [auth-service]", FOR_BOTH, "callers: [bot]"],
    ["expose_publicly: false", TO_SERVICES, 'callers: ["*"]'],
    ["paths: [/.well-known, /a~b/c.d_e-f]"],
]


@pytest.mark.parametrize("lines", FINE, ids=range(len(FINE)))
def test_what_can_be_meant_is_read(lines: list[str]) -> None:
    """The refusals refuse nothing else."""
    assert service(*lines).name == "a"


@pytest.mark.parametrize(
    ("lines", "limit"),
    [
        ([], None),
        (["rate_limit: standard"], RateLimit(100, 60.0, 50)),
        (["rate_limit: strict"], RateLimit(20, 60.0, 10)),
        (["rate_limit: 100/minute"], RateLimit(100, 60.0, 50)),
        (["rate_limit: 1/hour"], RateLimit(1, 3600.0, 1)),
        (["rate_limit: 5/second", "rate_burst: 80"], RateLimit(5, 1.0, 80)),
        (["middlewares: [rate-limit]"], RateLimit(100, 60.0, 50)),
        (["middlewares: [rate-limit-strict]", "rate_burst: 3"], RateLimit(20, 60.0, 3)),
        (["middlewares: [rate-limit]", "rate_limit: standard"], RateLimit(100, 60.0, 50)),
    ],
)
def test_a_limit_is_a_number_or_one_of_the_owners_two(
    lines: list[str], limit: RateLimit | None
) -> None:
    """100 a minute with 50 at once, 20 with 10; half the number where no burst is written."""
    assert service(*lines).rate_limit == limit


@pytest.mark.parametrize(
    "value", ["ada@*.acme.example", "Ada@acme.example", "ada.acme.example", "@.acme.example"]
)
def test_no_address_of_the_file_is_repeated_in_a_message(value: str) -> None:
    """An edge that refuses a catalogue says so in its log."""
    said = problems(f"emails: ['{value}']")

    assert not [problem for problem in said if "example" in problem]


def test_words_decide_nothing_and_are_not_handed_to_the_gateway() -> None:
    """Only the operator's own middlewares stay, in their order."""
    words = "auth-jwt, mine@file, security-headers, last@docker"

    assert service(f"middlewares: [{words}]").middlewares == ("mine@file", "last@docker")


def test_the_owners_block_is_named_once_and_with_its_line() -> None:
    """One sentence, and not one for each key below it."""
    said = problems("api_gateway:", "  require_auth: true", "  rate_limit: 100/minute")

    cure = "is one level too many: write its keys one level up, beside upstream"
    assert said == [f"services.yaml:4: services.a.api_gateway: {cure}"]


def test_the_names_nobody_may_take_are_those_that_the_edge_sets() -> None:
    """A new identity header is noticed here."""
    edge = {name for name, _ in identity_headers(None)} | {"X-Request-Id", "X-Latchwire-Assertion"}

    assert set(IDENTITY_HEADERS) == edge


def test_the_example_has_ten_services_of_different_kinds() -> None:
    """And each says something that no other does."""
    services = load_catalogue(EXAMPLE).services

    assert len(services) == 10
    kinds = {
        (
            s.token_types,
            s.require_auth,
            s.expose_publicly,
            bool(s.roles),
            bool(s.emails),
            bool(s.organisations),
            bool(s.headers),
            bool(s.allowed_origins),
            bool(s.middlewares),
        )
        for s in services
    }
    assert len(kinds) >= 9
