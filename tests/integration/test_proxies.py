"""One contract, five real proxies, each with the configuration we ship: the same request ends the same way."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.traefik import IDENTITY_HEADERS
from tests.support.assertions import assert_, members
from tests.support.edge import ORIGIN
from tests.support.proxies import CATALOGUE, PROXIES, proxy_or_skip
from tests.support.proxy_world import (
    DEADLINE,
    HOST,
    NAVIGATION,
    World,
    bearer,
    cookie,
    running_world,
)
from tests.support.tokens import ABSENT, NOW_MS

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDENTITY = [name for name in IDENTITY_HEADERS if name != "X-Request-Id"]
# What each says where no edge answers (docs/proxies.md).
WITHOUT_EDGE = {"traefik": 500, "caddy": 502, "haproxy": 503, "nginx": 503, "envoy": 503}
HOUR_MS = 3_600_000
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The proxies, once for this module."""
    directory: Path = tmp_path_factory.mktemp("proxies")
    async with running_world(directory) as running:
        yield running


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest) -> str:
    """Each of the five."""
    return proxy_or_skip(request.param)


async def test_a_good_token_reaches_the_service_as_its_owner(world: World, proxy: str) -> None:
    """Path and query as they were sent, and every header that says who it is."""
    reply = await world.ask(proxy, "/private/a%20b?x=1&y=..%2F", bearer())
    seen = world.app.seen[-1]

    assert reply.status == 200
    assert seen.line == "GET /private/a%20b?x=1&y=..%2F HTTP/1.1"
    assert seen.values("X-User-Id") == ["ada@example.com"]
    assert seen.values("X-User-Roles") == ["reader"]
    assert seen.values("X-Token-Type") == ["user"]
    assert len(seen.values("X-Latchwire-Assertion")[0].split(".")) == 3
    assert len(seen.values("X-Request-Id")) == 1


UPLOAD = f"POST /private HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n"
CHUNK = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
CLAIM = b"0\r\nX-User-Id: admin\r\n\r\n"


@pytest.mark.parametrize(
    "announced",
    ["", "Trailer: X-User-Id\r\nConnection: TE\r\nTE: trailers\r\n", "Content-Length: 5\r\n"],
)
@pytest.mark.parametrize(
    "parts", [(CLAIM,), (CHUNK + CLAIM,), (CHUNK * 3, CLAIM[:12], CLAIM[12:])], ids=len
)
async def test_what_a_client_says_behind_the_body_reaches_no_service(
    world: World, proxy: str, parts: tuple[bytes, ...], announced: str
) -> None:
    """The check was before it: trailers are dropped, or the request is refused."""
    head = f"{UPLOAD}{announced}{bearer()}\r\n\r\n".encode()

    status = await world.send(proxy, head, *parts)

    assert status.split()[1] in ({b"400"} if proxy == "haproxy" else {b"200", b"400"})
    assert world.app.trailers == []


async def test_an_upload_in_chunks_goes_on(world: World, proxy: str) -> None:
    """Whatever it is long."""
    head = f"{UPLOAD}{bearer()}\r\n\r\n".encode()
    for body in (
        (b"0\r\n\r\n",),
        (CHUNK * 3, b"0\r\n\r\n"),
        (CHUNK[:99], CHUNK[99:] + b"0\r\n\r\n"),
    ):
        status = await world.send(proxy, head, *body)
        assert status.split()[1] == b"200"


async def test_a_service_passes_on_who_called_it(world: World, proxy: str) -> None:
    """Its own token as bearer, and the assertion it received: the proxy shows both to the edge."""
    till = {"sub": "till", "service": "till", "client_id": "till", "email": ABSENT, "roles": []}
    own = bearer(**till, jti="till-1", sid="till-1")
    received = f"X-Latchwire-Assertion: {assert_(members(aud='till')).decode()}"
    alone = await world.ask(proxy, "/private", own)
    nobody = world.app.seen[-1].values("X-User-Id")
    reply = await world.ask(proxy, "/private", own, received)
    seen = world.app.seen[-1]

    assert (alone.status, reply.status, nobody) == (200, 200, [""] if nobody else [])
    assert seen.values("X-User-Id") == ["ada@example.com"]
    assert (seen.values("X-Service-Name"), seen.values("X-Token-Type")) == (["till"], ["service"])
    assert seen.values("X-Latchwire-Assertion") != [received.partition(": ")[2]]
    assert (await world.ask(proxy, "/private", own, f"{received}x")).status == 401


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_every_method_is_decided_and_passed_on_as_itself(
    world: World, proxy: str, method: str
) -> None:
    """Whatever method the proxy asks the edge with."""
    body = () if method in {"HEAD", "OPTIONS"} else ("Content-Length: 0",)
    good = await world.ask(proxy, "/private", bearer(), *body, method=method)
    line = world.app.seen[-1].line
    none = await world.ask(proxy, "/private", *body, method=method)

    assert (good.status, none.status) == (200, 401)
    assert line == f"{method} /private HTTP/1.1"
    assert world.app.seen[-1].line == line


@pytest.mark.parametrize("size", [5, 5_000_000])
async def test_a_body_reaches_the_service_whole(world: World, proxy: str, size: int) -> None:
    """The check takes none of it, and a photograph is not too large."""
    async with world.connection(proxy) as (reader, writer):
        head = f"POST /private HTTP/1.1\r\nHost: localhost:8080\r\n{bearer()}\r\n"
        writer.write(f"{head}Content-Length: {size}\r\nConnection: close\r\n\r\n".encode())
        writer.write(b"x" * size)
        async with asyncio.timeout(10):
            answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 200")
    assert world.app.seen[-1].values("Content-Length") == [str(size)]


@pytest.mark.parametrize("target", ["/private", "/status"])
async def test_envoy_ends_no_answer_for_its_length(world: World, target: str) -> None:
    """A download or a stream of events: by itself it does after 15 seconds, and tells the service so."""
    await world.ask(proxy_or_skip("envoy"), target, bearer())
    service = world.status if target == "/status" else world.app

    assert service.seen[-1].values("X-Envoy-Expected-Rq-Timeout-Ms") == []


async def test_who_is_nobody_is_told_how_to_become_somebody(world: World, proxy: str) -> None:
    """401 with the challenge and the reason, for a script; nothing reaches the service."""
    before = len(world.app.seen)
    reply = await world.ask(proxy, "/private", "Sec-Fetch-Mode: cors", "Accept: */*")

    assert (reply.status, reply.get("X-Latchwire-Reason")) == (401, "no_credentials")
    assert reply.get("WWW-Authenticate").startswith("Bearer realm=")
    assert "set-cookie" not in reply.headers
    assert len(world.app.seen) == before


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_browser_is_sent_to_log_in_and_comes_back(
    world: World, proxy: str, method: str
) -> None:
    """A form is not posted to the sign-in page, and leads back to its own; with a cookie the address opens."""
    form = ("Content-Length: 0", f"Referer: {ORIGIN}/edit?y=2")
    body, way = (form, "/edit%3Fy%3D2&unsent=1") if method == "POST" else ((), "/private%3Fx%3D1")
    reply = await world.ask(proxy, "/private?x=1", *NAVIGATION, *body, method=method)
    back = await world.ask(proxy, "/private?x=1", *NAVIGATION, cookie())

    assert reply.status in ({302, 303} if method == "GET" else {303})
    assert reply.get("Location") == f"{ORIGIN}/auth/login?next={way}"
    assert reply.get("Cache-Control") == "no-store"
    assert back.status == 200


async def test_a_cookie_that_ran_out_goes_by_way_of_its_renewal(world: World, proxy: str) -> None:
    """Not to a page where there is nothing to do."""
    reply = await world.ask(proxy, "/private", *NAVIGATION, cookie(now_ms=NOW_MS - HOUR_MS))

    assert reply.get("Location").startswith(f"{ORIGIN}/auth/continue?next=")


async def test_who_may_not_sees_so_and_is_not_sent_round(world: World, proxy: str) -> None:
    """403: a page for a person, without a word of the service; a code alone for a script."""
    foreign = {"sub": "eve@elsewhere.org", "email": "eve@elsewhere.org"}
    page = await world.ask(proxy, "/private", *NAVIGATION, cookie(**foreign))
    script = await world.ask(proxy, "/private", "Sec-Fetch-Mode: cors", cookie(**foreign))

    assert (page.status, script.status) == (403, 403)
    assert page.get("X-Latchwire-Reason") == script.get("X-Latchwire-Reason") == "not_allowed"
    assert "location" not in page.headers
    assert b"This is not for you" in page.rest
    # Who logs in as somebody else comes back.
    assert f"{ORIGIN}/auth/login?next=/private&amp;again=1".encode() in page.rest
    # And whoever reports it reads out which line of the log it was.
    assert re.search(rb"Reference for support: not_allowed \xc2\xb7 [0-9A-Za-z-]{8,}<", page.rest)
    assert b"This is not for you" not in script.rest


ODD = "Accept: text/html;\tq=0.5"  # a tab is allowed, and rare


async def _hundreds(world: World, proxy: str, numbers: range) -> None:
    """One after the other on one connection: every tenth by nobody, every hundredth odd."""
    async with world.connection(proxy) as connection:
        for number in numbers:
            lines = [ODD] * (number % 100 == 50) + [bearer()] * (number % 10 != 9)
            reply = await world.ask_on(connection, f"/private/{number}", *lines)
            if number % 10 == 9:
                assert (reply.status, reply.get("X-Latchwire-Reason")) == (401, "no_credentials")
            else:
                seen = json.loads(reply.rest)
                assert (reply.status, seen["line"]) == (200, f"GET /private/{number} HTTP/1.1")
                assert ["ada@example.com"] == [
                    v for n, v in seen["headers"] if n.lower() == "x-user-id"
                ]


async def test_odd_requests_slow_a_gateway_for_a_while_and_lose_nothing(
    world: World, proxy: str
) -> None:
    """A thousand, one in a hundred odd: the edge ends connections after them, which no client sees."""
    assert world.edge is not None
    behind = world.edge.behind
    async with asyncio.TaskGroup() as group:
        for first in range(4):
            group.create_task(_hundreds(world, proxy, range(first * 250, (first + 1) * 250)))
    async with world.connection(proxy) as connection:
        before = behind.requests_count
        await world.ask_on(connection, "/private", bearer(), ODD)
        assert behind.requests_count > before
        in_a_row, asked = 0, 0
        while in_a_row < 8:
            assert (asked := asked + 1) < 500  # some connections of 64 answers, one after the other
            before = behind.requests_count
            assert (await world.ask_on(connection, "/private", bearer())).status == 200
            in_a_row = in_a_row + 1 if behind.requests_count == before else 0


async def test_an_open_path_reaches_the_service_as_nobody(world: World, proxy: str) -> None:
    """Even beside a good token, and whatever else the client claims."""
    claims = [f"{name}: root" for name in IDENTITY if name != "X-Latchwire-Assertion"]
    reply = await world.ask(proxy, "/public/x", bearer(), *claims)
    seen = world.app.seen[-1]

    assert reply.status == 200
    assert {value for name in IDENTITY for value in seen.values(name)} <= {""}
    assert (await world.ask(proxy, "/status")).status == 200


async def test_a_services_own_header_is_ours_like_the_others(world: World, proxy: str) -> None:
    """Of the key ``headers``, by another line at three of them; the client's own is gone, in every spelling."""
    claims = ("X-Client-Id: root", "X_Client_Id: root", "X.Client~Id: root")
    for lines, expected in (((bearer(),), "browser"), ((), "")):
        target = "/private" if lines else "/public"
        await world.ask(proxy, target, *lines, *claims)
        seen = world.app.seen[-1]
        empty = [] if proxy == "nginx" else [""]
        assert seen.values("X-Client-Id") == ([expected] if expected else empty)
        assert not any("root" in value for _, value in seen.headers)


async def test_what_a_service_passes_on_reaches_the_edge(world: World, proxy: str) -> None:
    """The assertion beside a service's own token: a bad one is refused, so it has been looked at."""
    services = CATALOGUE.replace("callers: [till]", "callers: [shop]")  # no gateway gets that key
    shop = bearer(sub="shop", email="", roles=[], client_id="shop", service="shop")
    async with world.catalogue(services):
        alone = await world.ask(proxy, "/private", shop)
        seen = world.app.seen[-1]
        passing = await world.ask(proxy, "/private", shop, "X-Latchwire-Assertion: a.b.c")

    assert (alone.status, seen.values("X-Service-Name")) == (200, ["shop"])
    assert (passing.status, passing.get("X-Latchwire-Reason")) == (401, "token_invalid")


PREFLIGHT = ("Access-Control-Request-Method: PUT",)


async def test_a_preflight_from_an_allowed_page_is_not_asked_to_log_in(
    world: World, proxy: str
) -> None:
    """It carries no credentials by design."""
    allowed = "Origin: https://dashboard.example.com"
    reply = await world.ask(proxy, "/private", allowed, *PREFLIGHT, method="OPTIONS")

    assert reply.status in {200, 204}


async def test_a_preflight_from_another_page_gets_no_permission(world: World, proxy: str) -> None:
    """Refused; Traefik answers it itself, without the header that a browser needs to go on."""
    before = len(world.app.seen)
    foreign = "Origin: https://elsewhere.example"
    reply = await world.ask(proxy, "/private", foreign, *PREFLIGHT, method="OPTIONS")

    told = (reply.status, reply.get("X-Latchwire-Reason"))
    assert told == ((200, "") if proxy == "traefik" else (403, "preflight_refused"))
    assert "access-control-allow-origin" not in reply.headers
    assert len(world.app.seen) == before


async def test_a_websocket_opens_for_its_own_origin_and_carries_bytes(
    world: World, proxy: str
) -> None:
    """The handshake is checked like a request; after it the proxy is a pipe."""
    origin = f"Origin: {ORIGIN}"
    async with world.connection(proxy) as (reader, writer):
        lines = ["GET /socket HTTP/1.1", "Host: localhost:8080", cookie(), origin, *HANDSHAKE]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"ping")
            echo = await reader.readexactly(4)

    assert head.startswith(b"HTTP/1.1 101")
    assert echo == b"ping"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((f"Origin: {ORIGIN}",), (401, "no_credentials")),
        ((cookie(),), (403, "csrf_failed")),
        ((cookie(), "Origin: http://sibling.localhost"), (403, "csrf_failed")),
    ],
    ids=["no login", "no origin", "another origin"],
)
async def test_a_websocket_opens_for_nobody_else(
    world: World, proxy: str, lines: tuple[str, ...], expected: tuple[int, str]
) -> None:
    """Cross-site WebSocket hijacking; never 101."""
    before = len(world.app.seen)
    async with world.connection(proxy) as (reader, writer):
        head = ["GET /socket HTTP/1.1", "Host: localhost:8080", *lines, *HANDSHAKE]
        writer.write("\r\n".join([*head, "", ""]).encode())
        async with asyncio.timeout(10):
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()

    assert int(answer.split()[1]) == expected[0]
    assert f"x-latchwire-reason: {expected[1]}" in answer
    assert len(world.app.seen) == before


async def test_many_and_long_headers_change_nothing(world: World, proxy: str) -> None:
    """A browser with many cookies is let in, and a stranger with as many is not."""
    more = [f"X-Filler-{n}: {'f' * 1000}" for n in range(4)]
    session = f"{cookie()}; other={'c' * 5000}"
    good = await world.ask(proxy, "/private", session, *more)
    none = await world.ask(proxy, "/private", f"Cookie: other={'c' * 6000}", *more)

    assert (good.status, none.status) == (200, 401)


async def test_a_cookie_beyond_all_measure_lets_nobody_in(world: World, proxy: str) -> None:
    """Whoever refuses it first, it is a refusal."""
    before = len(world.app.seen)
    try:
        reply = await world.ask(proxy, "/private", f"Cookie: other={'c' * 90_000}")
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # closed without a word
    else:
        assert 400 <= reply.status < 600
    assert len(world.app.seen) == before


async def test_a_head_beyond_all_measure_does_not_reach_the_edge(world: World, proxy: str) -> None:
    """A hundred thousand bytes, of which each line would be taken: an edge has one thread for everybody."""
    lines = [f"Accept: {',' * 6_000}"] * 17
    try:
        reply = await world.ask(proxy, "/private", *lines)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # closed without a word
    else:
        assert 400 <= reply.status < 600
        assert "x-latchwire-reason" not in reply.headers


async def test_a_stale_edge_lets_nobody_in_and_logs_nobody_out(world: World, proxy: str) -> None:
    """503 for who is logged in and who is not, no cookie ended; what is open stays open."""
    before = len(world.app.seen)
    async with world.stale():
        replies = [
            await world.ask(proxy, "/private", *NAVIGATION, cookie()),
            await world.ask(proxy, "/private", bearer()),
            await world.ask(proxy, "/private"),
        ]
        reached = len(world.app.seen)
        public = await world.ask(proxy, "/public")

    assert [reply.status for reply in replies] == [503, 503, 503]
    assert all({"set-cookie", "location"}.isdisjoint(reply.headers) for reply in replies)
    assert (reached, public.status) == (before, 200)


async def test_without_an_edge_nothing_is_open(world: World, proxy: str) -> None:
    """Not even what is public: nobody could remove what a client claims. And then it goes on."""
    before = len(world.app.seen)
    async with world.without_edge():
        async with asyncio.TaskGroup() as group:
            known = group.create_task(world.ask(proxy, "/private", bearer()))
            public = group.create_task(world.ask(proxy, "/public"))
        reached = len(world.app.seen)
    after = await world.ask(proxy, "/private", bearer())

    assert {known.result().status, public.result().status} == {WITHOUT_EDGE[proxy]}
    assert reached == before
    assert after.status == 200


async def test_nobody_waits_in_a_row_for_an_edge_that_is_away(world: World, proxy: str) -> None:
    """HAProxy's client tries a dead address for three seconds: one request may, and not each one after it."""
    async with world.without_edge(), asyncio.timeout(DEADLINE):
        replies = [await world.ask(proxy, "/private", bearer()) for _ in range(12)]

    assert {reply.status for reply in replies} == {WITHOUT_EDGE[proxy]}
    assert (await world.ask(proxy, "/private", bearer())).status == 200


async def test_a_service_the_proxy_did_not_choose_is_not_opened(world: World, proxy: str) -> None:
    """The check names what the proxy chose; where the edge reads another service, both are shut."""
    other = """\
services:
  app:
    host: elsewhere.example
    upstream: http://127.0.0.1:{app}
    require_auth: false
  other:
    host: localhost
    upstream: http://127.0.0.1:{app}
    require_auth: false
"""
    async with world.catalogue(other):
        reply = await world.ask(proxy, "/public")

    assert (reply.status, reply.get("X-Latchwire-Reason")) == (403, "wrong_service")


async def test_a_service_that_moves_and_opens_stays_shut_where_it_was(world: World) -> None:
    """Edges know the new entry first: until Traefik follows, it calls the upstream of the one before."""
    name = proxy_or_skip("traefik")
    moved = """\
services:
  app:
    upstream: http://127.0.0.1:{status}
    require_auth: false
"""
    before = len(world.app.seen)
    async with world.catalogue(moved):
        stranger = await world.ask(name, "/private")
        known = await world.ask(name, "/private", bearer())

    assert (stranger.status, stranger.get("X-Latchwire-Reason")) == (401, "no_credentials")
    assert known.status == 200
    assert [s.values("X-User-Id") for s in world.app.seen[before:]] == [["ada@example.com"]]


NOT_AT_TRAEFIK_YET = [
    # what comes with it for the same upstream -> a stranger, somebody with a token who says who they are of
    ("middlewares: [office-only@file]", "no_credentials", "200"),
    ("rate_limit: strict", "no_credentials", "200"),
    ("headers: {{ X-Client-Id: client_id, X-Tenant: org }}", "stale", "stale"),
]


@pytest.mark.parametrize(("beside", "stranger", "known"), NOT_AT_TRAEFIK_YET)
async def test_a_service_opens_with_what_protects_it_and_not_before(
    world: World, beside: str, stranger: str, known: str
) -> None:
    """Edges know the new entry first: Traefik has no middleware and no such header until it follows."""
    name = proxy_or_skip("traefik")
    opened = f"""\
services:
  app:
    upstream: http://127.0.0.1:{{app}}
    require_auth: false
    {beside}
"""
    before = len(world.app.seen)
    async with world.catalogue(opened):
        replies = [
            await world.ask(name, "/private", *lines)
            for lines in ((), (bearer(), "X-Tenant: victim-corp"))
        ]

    heard = [reply.get("X-Latchwire-Reason") or str(reply.status) for reply in replies]
    assert heard == [stranger, known]
    assert len(world.app.seen) - before == heard.count("200")


async def test_the_way_to_log_in_needs_no_login(world: World, proxy: str) -> None:
    """Past the check, to auth; what only begins like it, or leads out of it, gets to no service."""
    for target in ("/auth/login", "/.well-known/jwks.json"):
        assert (await world.ask(proxy, target)).status == 200
        assert world.auth.seen[-1].target == target
    before = len(world.app.seen)
    for target in ("/authors", "/statuses"):
        assert (await world.ask(proxy, target)).get("X-Latchwire-Reason") == "no_credentials"
    await world.ask(proxy, "/auth/../private")
    assert len(world.app.seen) == before
