"""Traefik goes by services.yaml: limits, CORS, security headers, internal services, and new ones in seconds."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.servers import free_port
from tests.support.stack import Stack, start_stack
from tests.support.visitor import log_in, open_client
from tests.support.waiting import eventually

# Each below a path of the demo service, which answers everything there with the headers it got.
CATALOGUE = """\
services:
  demo:
    paths: [/demo]
    upstream: http://127.0.0.1:{demo}
    public_paths: [/demo/public]
  limited:
    paths: [/demo/limited]
    upstream: http://127.0.0.1:{demo}
    require_auth: false
    rate_limit: 1/hour
    rate_burst: 3
  shared:
    paths: [/demo/shared]
    upstream: http://127.0.0.1:{demo}
    allowed_origins: ["https://dashboard.acme.com"]
    allow_credentials: true
  open:
    paths: [/demo/open]
    upstream: http://127.0.0.1:{demo}
    require_auth: false
    allowed_origins: ["*"]
    content_security_policy: "default-src 'none'"
  bare:
    paths: [/demo/bare]
    upstream: http://127.0.0.1:{demo}
    require_auth: false
    security_headers: false
  own:
    paths: [/demo/own]
    upstream: http://127.0.0.1:{demo}
    require_auth: false
    content_security_policy: upstream
  claims:
    paths: [/demo/claims]
    upstream: http://127.0.0.1:{demo}
    public_paths: [/demo/claims/open]
    headers: {{ X-Signed-In: auth_time, X-Who: sub }}
  hidden:
    paths: [/demo/hidden]
    upstream: http://127.0.0.1:{demo}
    expose_publicly: false
"""
ADDED = """\
  {name}:
    paths: [/{name}]
    upstream: http://127.0.0.1:{demo}
"""
DASHBOARD = "https://dashboard.acme.com"
ELSEWHERE = "https://evil.example"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Traefik that asks auth for its routes. A silent edge would hold up new ones for two minutes."""
    state = tmp_path_factory.mktemp("gateway") / "state"
    state.mkdir()
    demo = free_port()
    (state / "services.yaml").write_text(CATALOGUE.format(demo=demo))
    running = start_stack(state, LATCHWIRE_MAX_STALENESS="120")
    yield running
    running.up.kill()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client without cookies."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


def services_of(gateway: Stack) -> Path:
    """The developer's file."""
    return gateway.up.state / "services.yaml"


async def test_a_service_added_to_the_file_is_served_and_protected_within_two_seconds(
    gateway: Stack, http: aiohttp.ClientSession
) -> None:
    """And never unprotected: it is not there, then it asks who you are, and nothing is between the two.

    The first is saved right after `up` was ready: no edge is waited for that does not exist. The quickest of
    five counts: what else runs on the machine is not what is asked here.
    """
    took: list[float] = []
    for number in range(5):
        took.append(await _added(gateway, http, f"added-{number}"))
        if took[-1] < 2:
            break

    assert min(took) < 2, took
    assert [e for e in gateway.logs("auth").splitlines() if "gateway.routes_served" in e][1:]


async def _added(gateway: Stack, http: aiohttp.ClientSession, name: str) -> float:
    """Seconds from the file's being saved until the service asks for a login."""
    services, demo = services_of(gateway), gateway.run["ports"]["demo"]
    seen: list[tuple[int, str]] = []

    async def asks_for_a_login() -> bool:
        async with http.get(f"{gateway.url}/{name}") as answer:
            seen.append((answer.status, answer.headers.get("X-Latchwire-Reason", "")))
        return seen[-1] == (401, "no_credentials")

    assert not await asks_for_a_login()
    services.write_text(services.read_text() + ADDED.format(name=name, demo=demo))
    saved = time.monotonic()
    await eventually(asks_for_a_login, within=30)
    assert set(seen) == {(404, ""), (401, "no_credentials")}
    return time.monotonic() - saved


async def test_more_than_the_limit_gets_429_and_other_services_go_on(
    gateway: Stack, http: aiohttp.ClientSession
) -> None:
    """Three at once, then one an hour; the answer says when to come again."""
    found = []
    for _ in range(5):
        async with http.get(f"{gateway.url}/demo/limited") as answer:
            found.append((answer.status, "Retry-After" in answer.headers))

    assert found == [(200, False)] * 3 + [(429, True)] * 2
    async with http.get(f"{gateway.url}/demo/open") as answer:
        assert answer.status == 200


PREFLIGHTS = [
    # service, origin -> the origin that is allowed, and whether with credentials
    ("shared", DASHBOARD, DASHBOARD, True),
    ("shared", ELSEWHERE, None, False),
    ("shared", "null", None, False),
    ("open", ELSEWHERE, "*", False),
    ("bare", DASHBOARD, None, False),
]


@pytest.mark.parametrize(("service", "origin", "allowed", "credentials"), PREFLIGHTS)
async def test_a_preflight_is_answered_for_the_origins_of_the_service_alone(
    gateway: Stack,
    http: aiohttp.ClientSession,
    service: str,
    origin: str,
    allowed: str | None,
    credentials: bool,
) -> None:
    """Nor does a script of another origin read any answer, be it a refusal: without the first header

    no other counts (Fetch, section 4.9).
    """
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    url = f"{gateway.url}/demo/{service}"
    async with http.options(url, headers=asked) as answer:
        told = answer.headers
        assert told.get("Access-Control-Allow-Origin") == allowed
        if allowed is not None:
            assert ("Access-Control-Allow-Credentials" in told) is credentials
            assert "POST" in told["Access-Control-Allow-Methods"]
            assert "Authorization" in told["Access-Control-Allow-Headers"]
    async with http.get(url, headers={"Origin": origin}) as answer:
        assert answer.status == (401 if service == "shared" else 200)
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed


SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
DEFAULT_POLICY = "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"


@pytest.mark.parametrize(
    ("path", "status", "policy"),
    [
        ("/demo/public", 200, DEFAULT_POLICY),
        ("/demo/open", 200, "default-src 'none'"),
        ("/demo/own", 200, ""),  # the service's own, and the demo has none
        ("/demo", 401, None),  # the edge's own answer
    ],
)
async def test_every_answer_has_security_headers_and_no_hsts_over_plain_http(
    gateway: Stack, http: aiohttp.ClientSession, path: str, status: int, policy: str | None
) -> None:
    """A service's policy is its own; a refusal keeps what the edge says."""
    async with http.get(gateway.url + path) as answer:
        assert answer.status == status
        assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
        assert "Strict-Transport-Security" not in answer.headers
        if policy is not None:
            assert answer.headers.get("Content-Security-Policy", "") == policy


async def test_a_service_that_wants_no_security_headers_keeps_its_own(
    gateway: Stack, http: aiohttp.ClientSession
) -> None:
    """What the upstream says, and nothing of ours."""
    async with http.get(f"{gateway.url}/demo/bare") as answer:
        assert answer.status == 200
        assert not {"X-Frame-Options", "Referrer-Policy", "Content-Security-Policy"} & set(
            answer.headers
        )


async def test_a_service_that_is_not_exposed_answers_at_the_internal_entry_point_alone(
    gateway: Stack, http: aiohttp.ClientSession
) -> None:
    """At the front door Traefik calls the demo, and the edge refuses; inside it needs a login."""
    inside = f"http://127.0.0.1:{gateway.run['ports']['gateway-internal']}"
    async with open_client(gateway.url) as client:
        tokens = await log_in(client, gateway.inbox, "hidden@example.com")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}

    async with http.get(f"{gateway.url}/demo/hidden", headers=bearer) as answer:
        assert (answer.status, answer.headers["X-Latchwire-Reason"]) == (403, "wrong_service")
    async with http.get(f"{inside}/demo/hidden") as answer:
        assert (answer.status, answer.headers["X-Latchwire-Reason"]) == (401, "no_credentials")
    async with http.get(f"{inside}/demo/hidden", headers=bearer) as answer:
        assert answer.status == 200
        assert (await answer.json())["X-User-Email"] == "hidden@example.com"
    async with http.get(f"{inside}/demo/open") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("path", ["/demo/claims", "/demo/claims/open"])
async def test_a_services_own_headers_are_the_edges_and_never_a_clients(
    gateway: Stack, http: aiohttp.ClientSession, path: str
) -> None:
    """In no spelling that an upstream could take for them; empty where nobody is asked who they are."""
    async with open_client(gateway.url) as client:
        tokens = await log_in(client, gateway.inbox, "claims@example.com")
    spoofed = dict.fromkeys(
        ("X-Signed-In", "x_signed_in", "X.Signed-In", "X-WHO", "X_Who"), "spoofed"
    )
    headers = {**spoofed, "Authorization": f"Bearer {tokens['access_token']}"}

    async with http.get(gateway.url + path, headers=headers) as answer:
        assert answer.status == 200
        got: dict[str, str] = await answer.json()

    own = {name: got.get(name) for name in ("X-Signed-In", "X-Who")}
    assert "spoofed" not in got.values()
    if path.endswith("open"):
        assert own == {"X-Signed-In": "", "X-Who": ""}
    else:
        assert own["X-Who"] == got["X-User-Id"]
        assert (own["X-Signed-In"] or "").isdigit()


async def test_nobody_reaches_the_gateways_own_question_through_the_gateway(
    gateway: Stack, http: aiohttp.ClientSession
) -> None:
    """It says where the services are."""
    for path in ("/gateway/traefik", "/auth/../gateway/traefik", "/auth/%2e%2e/gateway/traefik"):
        async with http.get(gateway.url + path) as answer:
            assert answer.status in {400, 404}, path
            assert "127.0.0.1" not in await answer.text()


async def test_a_mistake_in_a_running_file_is_one_line_and_changes_nothing(
    gateway: Stack, http: aiohttp.ClientSession
) -> None:
    """With line, key and cure; what was in force stays in force, and the cure is in force when it is saved."""
    services = services_of(gateway)
    before = services.read_text()
    services.write_text(before.replace("rate_limit: 1/hour", "rate_limt: 1/hour"))

    line = await asyncio.to_thread(gateway.up.wait_for, "not used")

    assert "services.yaml:10: services.limited.rate_limt" in line
    assert "did you mean rate_limit?" in line
    async with http.get(f"{gateway.url}/demo/open") as answer:
        assert answer.status == 200
    services.write_text(before)
