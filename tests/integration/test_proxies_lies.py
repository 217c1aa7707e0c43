"""What a client may write to get past a proxy: spellings of paths, headers that mean something to somebody."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from urllib.parse import unquote

import pytest
import pytest_asyncio

from shared.traefik import IDENTITY_HEADERS
from tests.support.edge_http import Reply, parse
from tests.support.proxies import PROXIES, proxy_or_skip
from tests.support.proxy_world import NAVIGATION, World, bearer, cookie, running_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Between an open prefix and a protected name: each has led some reader from one to the other.
STEPS = (
    "/..", "/../", "/./..", "/.../..", "/%2e%2e", "/%2E%2e", "/.%2e", "/%2e.", "/%252e%252e", "/%25%32%65%2e",
    "/..%2f", "/..%2F..", "/%2e%2e%2f", "/..%5c", "/..\\", "\\..\\", "/..;", "/..;x=1", ";/..", ";/../",
    "//..", "///../..", "/..//", "/..%00", "/..%09", "/..%20", "/.. ", "/..%0d%0a", "/..#", "/..%23", "/..?",
    "/..%3f", "/%c0%ae%c0%ae", "/%e0%80%ae%e0%80%ae", "/\uff0e\uff0e", "/%ef%bc%8e%ef%bc%8e", "/..%ef%bc%8f",
    "/%u002e%u002e", "/..%u2215", "/x/../..", "/x/%2e%2e/%2e%2e", "/%2e/%2e%2e", "/..%c0%af", "/..%252f",
    "/..%255c", "/..:", "/..|", "/..^", "/..`", "/..\"", "/..<", "/..{", "/..*", "/..%", "/..%2", "/..%zz",
    "/..%7f", "/..%ff", "/..%c2%85", "/..\x7f", "/..\t", "/..%e2%80%8b", "/.%0a.", "/%00/..", "/..;/..",
)  # fmt: skip
# In front of, in and behind a protected name.
DISGUISES = (
    "//{0}", "/./{0}", "/x/../{0}", "/%2f{0}", "/%2e/{0}", "/\\{0}", "/%5c{0}", "/;/{0}", "/;x{0}", "/ {0}",
    "/%20{0}", "/%09{0}", "/%00{0}", "/#/{0}", "/%23/{0}", "/?/{0}", "/%3f/{0}", "/%ef%bb%bf{0}", "/%c2%a0{0}",
    "/%e2%80%8b{0}", "/%E2%80%AE{0}", "/{0};x", "/{0};x=1/y", "/{0}%3bx", "/{0}%00", "/{0}%20", "/{0}%09",
    "/{0}%0a", "/{0}.", "/{0}/.", "/{0}/..", "/{0}//", "/{0}%2f", "/{0}%5c", "/{0}\\x", "/{0}#x", "/{0}%23",
    "/{0}%3f", "/{0}?", "/{0}%2", "/{0}%", "/{0}%zz", "/{0}%u0020", "/{0}%c2%a0", "/{0}%ef%bc%8fx", "/{0}%252f",
    "/{0}%25", "/{0}:x", "/{0}|", "/{0}~/..", "/{0}%7f", "/{0}*", "http://localhost:8080/{0}",
    "http://elsewhere.example/{0}", "http://localhost:8080//{0}", "/{0}\x7f", "/{0}\u00a0",
)  # fmt: skip
# What gateways get of it is the same.
REVERSED = """\
services:
  app:
    paths: [/]
    upstream: http://127.0.0.1:{app}
    require_auth: false
    allowed_origins: ["https://dashboard.example.com"]
    headers: {{X-Client-Id: client_id}}
  status:
    paths: [/status]
    upstream: http://127.0.0.1:{status}
"""
ALIASED = [
    *(f"X{c}User{c}Id: root" for c in "!#$%&'*+.^_`|~"),
    *(f"{name.replace('-', c)}: root" for name in IDENTITY_HEADERS for c in "_.~"),
    *(f"{name}: root" for name in IDENTITY_HEADERS),
    "X-User_Id: root",
    "x-USER-iD: root",
    "X-User-Id: root\r\nX-User-Id: root",
    "X-User-Id : root",
    " X-User-Id: root",
    "X-User-Id\t: root",
    "Connection: close, X-User-Id\r\nX-User-Id: root",
    "Connection: close, X-Latchwire-Assertion\r\nX-Latchwire-Assertion: root",
]
# None of these is the proxy's word about a request for /private.
CLAIMS = [
    "X-Forwarded-Uri: /public",
    "X-Forwarded-Uri: /public\r\nX-Forwarded-Uri: /public",
    "x-forwarded-uri: /status",
    "X_Forwarded_Uri: /public",
    "X.Forwarded.Uri: /public",
    "X-Forwarded-Path: /public",
    "X-Forwarded-Prefix: /public",
    "X-Forwarded-Host: elsewhere.example",
    "X-Forwarded-Host: localhost, elsewhere.example",
    "X-Forwarded-Method: OPTIONS",
    "X-Forwarded-Method: OPTIONS\r\nOrigin: http://x.example\r\nAccess-Control-Request-Method: PUT",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Proto: wss",
    "X-Forwarded-Port: 443",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Server: edge",
    "X-Forwarded-Ssl: on",
    "X-Real-Ip: 127.0.0.1",
    "X-Original-Uri: /public",
    "X-Original-Url: http://localhost:8080/public",
    "x-original-url: http://localhost:8080/public",
    "X-Original-URL: /public",
    "X-Original-Method: OPTIONS",
    "X_Original_Url: http://localhost:8080/public",
    "X-Rewrite-Url: /public",
    "X-Envoy-Original-Path: /public",
    "X-Envoy-Internal: true",
    "X-Http-Method-Override: OPTIONS",
    "X-Method-Override: OPTIONS",
    "Forwarded: for=127.0.0.1;host=localhost;proto=https",
    "X-Host: elsewhere.example",
    "X-Latchwire-Service: status",
    "X-Latchwire-Reason: allow",
    "X-Latchwire-Location: /public",
    "Connection: close, X-Forwarded-Uri",
    "Connection: close, X-Original-Url",
    "Connection: close, Host",
    "Host: localhost:8080\r\nX-Forwarded-Host: elsewhere.example",
]
# Whatever a service switches to is a tunnel that nobody checks; a WebSocket leads to that service alone.
UPGRADES = [
    (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ),
    ("Connection: Upgrade", "Upgrade: H2C"),
    ("Connection: Upgrade", "Upgrade: h2c-14"),
    ("Connection: Upgrade", "Upgrade: TLS/1.0"),
    ("Connection: Upgrade", "Upgrade: foo"),
    ("Connection: Upgrade", "Upgrade: websocket2"),
    ("Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"),
    ("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"),
    ("Connection: Upgrade", "Upgrade: websocket, h2c"),
    ("Connection: Upgrade", "Upgrade: h2c, websocket"),
    ("Connection: keep-alive", "Connection: uPgRaDe", "Upgrade: foo"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The proxies, once for this module."""
    directory: Path = tmp_path_factory.mktemp("lies")
    async with running_world(directory) as running:
        yield running


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest) -> str:
    """Each of the five."""
    return proxy_or_skip(request.param)


def readings(target: str) -> set[str]:
    """Every path that some reader behind a gateway might take *target* for."""
    found: set[str] = set()
    waiting = [
        target.partition("://")[2].partition("/")[2].join(("/", "")) if "://" in target else target
    ]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        waiting += _readings_of(path)
    return {path for path in found if _resolved(path) == path}


def _readings_of(path: str) -> Iterable[str]:
    yield unquote(path, "latin-1")
    yield unquote(path, "utf-8")
    yield path.partition("?")[0]
    yield path.partition("#")[0]
    yield path.partition("\x00")[0]
    yield path.replace("\\", "/")
    yield path.replace("\uff0e", ".").replace("\uff0f", "/")
    yield "/".join(segment.partition(";")[0] for segment in path.split("/"))
    yield "/".join(segment.strip(" \t\r\n\u00a0\u200b\ufeff\u202e") for segment in path.split("/"))
    yield _resolved(path)


def _resolved(path: str) -> str:
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    return "/" + "/".join(segments)


def under(path: str, prefix: str) -> bool:
    """Whether *path* is *prefix* or below it."""
    return path == prefix or path.startswith(f"{prefix}/")


async def ask_all(world: World, proxy: str, requests: list[tuple[str, ...]]) -> list[Reply | None]:
    """The answer to each; None where the proxy closed without a word."""
    limit = asyncio.Semaphore(8)

    async def one(target: str, *lines: str) -> Reply | None:
        async with limit:
            try:
                return await world.ask(proxy, target, *lines)
            except (ConnectionError, asyncio.IncompleteReadError):
                return None

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(*request)) for request in requests]
    return [task.result() for task in tasks]


async def test_no_spelling_leads_from_an_open_prefix_to_a_protected_path(
    world: World, proxy: str
) -> None:
    """What reaches the service is under the open prefix by every reading of it."""
    spelled = [f"/public{step}{slash}private" for step in STEPS for slash in ("", "/")]
    before = len(world.app.seen)
    await ask_all(world, proxy, [(target,) for target in spelled])

    assert len(set(spelled)) >= 120
    for seen in world.app.seen[before:]:
        assert all(under(path, "/public") for path in readings(seen.target)), seen.line


async def test_no_spelling_of_a_protected_name_is_an_open_one(world: World, proxy: str) -> None:
    """Everything is open but one prefix: nobody gets there by another name for it."""
    names = ("status", "STATUS", "st%61tus", "%73tatus")
    spelled = [form.format(name) for form in DISGUISES for name in names]
    app, status = len(world.app.seen), len(world.status.seen)
    async with world.catalogue(REVERSED):
        await ask_all(world, proxy, [(target,) for target in spelled])
        plain = await world.ask(proxy, "/other")

    assert len(set(spelled)) >= 200
    assert plain.status == 200
    assert world.status.seen[status:] == []
    for seen in world.app.seen[app:]:
        # Upper case is another name, for the edge and for every proxy.
        assert not any(under(path, "/status") for path in readings(seen.target)), seen.line


async def test_an_identity_that_a_client_claims_never_arrives(world: World, proxy: str) -> None:
    """In no spelling, beside a login and on an open path."""
    before = len(world.app.seen)
    asked = [("/private", bearer()), ("/public",)]
    replies = await ask_all(
        world, proxy, [(*request, claim) for claim in ALIASED for request in asked]
    )
    arrived = world.app.seen[before:]

    assert len([reply for reply in replies if reply is not None and reply.status == 200]) > 60
    for seen in arrived:
        assert not any("root" in value for _, value in seen.headers), seen.headers
        assert set(seen.values("X-User-Id")) <= {"", "ada@example.com"}


async def test_no_client_makes_what_we_say_of_it_disappear(world: World, proxy: str) -> None:
    """What ``Connection`` names is dropped on the way (RFC 9110 §7.6.1): a client's word, not about ours."""
    named = [name for name in IDENTITY_HEADERS if name != "X-Request-Id"]
    reply = await world.ask(proxy, "/private", bearer(), f"Connection: close, {', '.join(named)}")
    plain = await world.ask(proxy, "/private", bearer())
    seen, expected = world.app.seen[-2:]

    assert (reply.status, plain.status) == (200, 200)
    for name in set(named) - {"X-Latchwire-Assertion"}:
        assert seen.values(name) == expected.values(name), name
    assert seen.values("X-User-Id") == ["ada@example.com"]
    assert len(seen.values("X-Latchwire-Assertion")[0].split(".")) == 3


async def test_no_header_but_a_credential_opens_a_protected_path(world: World, proxy: str) -> None:
    """Each proxy's own lines count, and a client's of the same or of another name never do."""
    before = len(world.app.seen) + len(world.status.seen)
    requests = [("/private", *extra, claim) for claim in CLAIMS for extra in ((), NAVIGATION)]
    replies = await ask_all(world, proxy, requests)

    assert len(world.app.seen) + len(world.status.seen) == before
    for reply in replies:
        assert reply is None or 300 <= reply.status < 500


async def test_no_header_shuts_what_a_credential_opens(world: World, proxy: str) -> None:
    """Nor does a client's lie keep it out: the lines are replaced, and not added to."""
    lies = [claim for claim in CLAIMS if not claim.startswith("Connection: close, Host")]
    replies = await ask_all(world, proxy, [("/private", bearer(), claim) for claim in lies])

    refused = [
        (claim, reply.status if reply else None)
        for claim, reply in zip(lies, replies, strict=True)
        if reply is None or reply.status != 200
    ]
    assert refused == []


async def test_a_client_chooses_neither_scheme_nor_host_of_its_origin(
    world: World, proxy: str
) -> None:
    """A form of another site's, sent with the cookie: no forwarded line makes that site the service's own."""
    claims = [
        ("Origin: https://localhost:8080", "X-Forwarded-Proto: https"),
        ("Origin: https://localhost:8080", "X-Forwarded-Ssl: on", "Forwarded: proto=https"),
        ("Origin: http://elsewhere.example", "X-Forwarded-Host: elsewhere.example"),
        ("Origin: http://elsewhere.example", "X-Original-Url: http://elsewhere.example/private"),
    ]
    before = len(world.app.seen)
    for claim in claims:
        lines = (cookie(), "Content-Length: 0", *claim)
        reply = await world.ask(proxy, "/private", *lines, method="POST")
        assert (reply.status, reply.get("X-Latchwire-Reason")) == (403, "csrf_failed"), claim
    own = ("Origin: http://localhost:8080", cookie(), "Content-Length: 0")

    assert len(world.app.seen) == before
    assert (await world.ask(proxy, "/private", *own, method="POST")).status == 200


async def test_two_credentials_or_two_hosts_are_one_too_many(world: World, proxy: str) -> None:
    """Which of them counts is what readers disagree about."""
    twice = [
        ("/private", bearer(), bearer(sub="eve@example.com", email="eve@example.com")),
        ("/private", f"{bearer()}, Bearer x"),
        ("/private", "Host: localhost:8080", "Host: elsewhere.example", bearer()),
    ]
    before = len(world.app.seen)
    replies = await ask_all(world, proxy, twice)

    assert all(reply is None or reply.status >= 400 for reply in replies)
    assert len(world.app.seen) == before


async def test_a_connection_is_switched_to_a_websocket_or_to_nothing(
    world: World, proxy: str
) -> None:
    """h2c above all: one allowed answer would be a pipe to the service, past every check that follows."""
    for path, upstream in (("/public/x", world.app), ("/auth/login", world.auth)):
        before = len(upstream.seen)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(switched(world, proxy, path, lines)) for lines in UPGRADES]

        assert {task.result() for task in asked} <= {None, "websocket"}, path
        assert {tuple(seen.values("Upgrade")) for seen in upstream.seen[before:]} <= {
            (), ("websocket",),
        }, path  # fmt: skip


async def switched(world: World, proxy: str, path: str, lines: tuple[str, ...]) -> str | None:
    """What *path*, open and of an upstream that agrees to everything, is switched to through *proxy*."""
    async with world.connection(proxy) as (reader, writer):
        head = (f"GET {path} HTTP/1.1", "Host: localhost:8080", *lines)
        writer.write("\r\n".join([*head, "", ""]).encode())
        try:
            async with asyncio.timeout(10):
                reply = parse(await reader.readuntil(b"\r\n\r\n"))
        except (ConnectionError, asyncio.IncompleteReadError):
            return None
    return reply.get("Upgrade").lower() if reply.status == 101 else None
