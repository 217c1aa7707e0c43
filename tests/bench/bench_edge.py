"""The edge's plain path: CPU of a cached check against a bare aiohttp handler that answers the same headers.

Paired: both servers live at once on one core, the generator on another (where there is one), and take
turns with the same number of requests, the order changing each round. CPU per request of the server
process is what counts; on a shared machine requests per second say little. Ratio: bare / edge, so 1.0 is as
cheap as doing nothing, and the goal is at least 0.75.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import uvloop
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client

from latchwire.feed import RevocationFeed
from latchwire.keys import KeyRing
from latchwire.records import Record, record_key
from services.edge.adapters.feed_revocations import FeedRevocations
from services.edge.domain.routes import RouteTable
from services.edge.flows.assertions import Assertions
from services.edge.flows.check import Checker
from services.edge.flows.counts import CheckCounts
from services.edge.flows.passing import Passing
from services.edge.flows.tokens import VerifiedTokens
from services.edge.http.answers import Answers
from services.edge.http.behind import ANSWERS
from services.edge.http.doors import Doors
from services.edge.http.peers import TrustedPeers
from services.edge.http.refusals import RefusalLog
from services.edge.http.refused_page import Pages
from services.edge.http.server import make_server
from shared.catalogue import parse_catalogue
from shared.clock import SystemClock
from shared.edge_keys import EdgeKey
from shared.ids import SystemIds
from shared.origins import Origins
from shared.setting_types import LOOPBACK
from tests.support.edge import CATALOGUE, COOKIE, ORIGIN
from tests.support.servers import free_port, wait_for_port
from tests.support.tokens import POLICY, jwks, make_claims, signing_key
from tests.support.tokens import sign as sign_token

ROUNDS = 15
REQUESTS = 6_000
WARM_UP = 2_000
CONNECTIONS = 32
REVOKED = 100_000
TOKENS = 1_000
GOAL = 0.75
NEW_ROUNDS, NEW_REQUESTS, NEW_AT_ONCE = 12, 1_000, 16
NEW_GOAL = 0.85
HASH_KEY = b"b" * 32
BARE, EDGE, WITHOUT, STAYING = "bare aiohttp", "edge", "without fast", "never ending"
ODD_ONE_IN, ODD_REQUESTS = 100, 9_600  # enough that each connection meets some
CLOSE = b"\r\nConnection: close\r\n"

IDENTITY = {
    "X-User-Id": "ada@example.com",
    "X-User-Email": "ada@example.com",
    "X-User-Roles": "reader",
    "X-Org-Id": "",
    "X-Session-Id": "01J00000000000000000000S1D",
    "X-Token-Type": "user",
    "X-Service-Name": "",
    "X-Latchwire-Assertion": "",
    "X-Request-Id": "01J00000000000000000000S1D-ffff",
}
HEAD = (
    "GET /check/traefik/demo HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) "
    "AppleWebKit/537.36\r\nAccept: application/json, text/plain, */*\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: localhost:8080\r\n"
    "X-Forwarded-Method: GET\r\nX-Forwarded-Port: 8080\r\nX-Forwarded-Proto: http\r\n"
    "X-Forwarded-Server: gateway\r\nX-Forwarded-Uri: /demo/api/items?page=2\r\nX-Real-Ip: 127.0.0.1\r\n"
)


async def serve_bare(port: int) -> None:
    """The reference: aiohttp's low-level server and a response with the same headers."""

    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response(headers=IDENTITY)

    await _serve(web.Server(handler, access_log=None), port)


async def serve_edge(
    port: int,
    kid: str,
    jwk_set: str,
    revoked: int = REVOKED,
    *,
    fast: bool = True,
    answers_behind: int = ANSWERS,
) -> None:
    """The edge's own door, a blocklist of *revoked* records, everything checked on every request."""
    clock = SystemClock()
    feed = RevocationFeed(Client(), hash_key=HASH_KEY)
    feed._proof.assume(-1e6)
    for number in range(revoked):
        key = record_key(HASH_KEY, "token", f"{kid}{number}")
        feed.blocklist.apply(key, Record(clock.now_ms() + 3_600_000))
    revocations = FeedRevocations(HASH_KEY)
    revocations.attach(feed)
    tokens = VerifiedTokens(KeyRing.from_jwks(jwk_set), POLICY, revocations.fingerprint)
    checker = Checker(
        routes=RouteTable(parse_catalogue(CATALOGUE)),
        tokens=tokens,
        revocations=revocations,
        policy=POLICY,
        clock=clock,
        cookie_name=COOKIE,
        max_staleness=10.0,
        passing=Passing(KeyRing(()), issuer=POLICY.issuer, revocations=revocations),
    )
    key = EdgeKey.named("edge-1", Ed25519PrivateKey.generate())
    door = Doors(
        checker=checker,
        peers=TrustedPeers(LOOPBACK),
        answers=Answers(clock=clock, ids=SystemIds(), url=ORIGIN),
        assertions=Assertions(key, issuer=ORIGIN, clock=clock),
        refusals=RefusalLog(clock),
        counts=CheckCounts(),
        pages=Pages(Origins(ORIGIN), "Acme"),
    )
    await _serve(make_server(door, fast=fast, answers_behind=answers_behind), port)


async def _serve(server: web.Server, port: int) -> None:
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


class Connection(asyncio.Protocol):
    """A closed loop: the next request when the whole answer to the last one is here."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.load.next(self)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 200 OK\r\n") or not data.endswith(b"\r\n\r\n"):
            self.load.fail(data)
        if CLOSE in data:
            self.load.replace(self)
        else:
            self.load.next(self)


@dataclass
class Load:
    """*left* requests over all connections; `done` when all are answered."""

    requests: list[bytes]
    left: int
    done: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    open: int = 0
    ended: "asyncio.Queue[bool]" = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.wheel = cycle(self.requests)

    def next(self, connection: Connection) -> None:
        """Send one more, or end."""
        if self.left > 0:
            self.left -= 1
            connection.transport.write(next(self.wheel))
            return
        connection.transport.close()
        self.open -= 1
        if self.open == 0 and not self.done.done():
            self.done.set_result(None)
            self.ended.put_nowait(False)

    def replace(self, connection: Connection) -> None:
        """The server ends it: another one goes on, as a gateway's would."""
        if self.left > 0:
            connection.transport.close()
            self.ended.put_nowait(True)
        else:
            self.next(connection)

    def fail(self, data: bytes) -> None:
        """An answer that is not the expected one makes the figure meaningless."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"unexpected answer {data[:200]!r}"))
            self.ended.put_nowait(False)


class Once(asyncio.Protocol):
    """One request on a connection of its own."""

    def __init__(self, request: bytes, ended: "asyncio.Semaphore") -> None:
        self.request = request
        self.ended = ended
        self.transport: Any = None
        self.answered = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answered = data.startswith(b"HTTP/1.1 200 OK\r\n")
        self.transport.abort()  # no address of this side is kept from being used again

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered:
            raise SystemExit("a connection ended without its answer")
        self.ended.release()


@dataclass
class Server:
    """A server process under measurement."""

    port: int
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """CPU time of the process so far, from the scheduler's own clock (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    async def run(self, requests: list[bytes], count: int) -> tuple[float, float]:
        """Microseconds of CPU per request, and requests per second."""
        loop = asyncio.get_running_loop()
        load = Load(requests, count, open=CONNECTIONS)
        cpu, wall = self.cpu_seconds(), time.perf_counter()
        for _ in range(CONNECTIONS):
            await loop.create_connection(lambda: Connection(load), "127.0.0.1", self.port)
        while await load.ended.get():
            await loop.create_connection(lambda: Connection(load), "127.0.0.1", self.port)
        await load.done
        seconds = time.perf_counter() - wall
        return (self.cpu_seconds() - cpu) / count * 1e6, count / seconds

    async def run_anew(self, request: bytes, count: int) -> float:
        """Microseconds of CPU per request, when each comes on a connection of its own."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Semaphore(NEW_AT_ONCE)
        cpu = self.cpu_seconds()
        for _ in range(count):
            await ended.acquire()
            await loop.create_connection(lambda: Once(request, ended), "127.0.0.1", self.port)
        for _ in range(NEW_AT_ONCE):
            await ended.acquire()
        return (self.cpu_seconds() - cpu) / count * 1e6


def start(kind: str, *arguments: str) -> Server:
    """Start one of the servers on the first core."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bench_edge", kind, str(port), *arguments]
    process = subprocess.Popen(command)
    wait_for_port(port, process)
    _pin(process.pid, 0)
    return Server(port, process)


def _pin(pid: int, core: int) -> None:
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > core:
        os.sched_setaffinity(pid, {core})


def summary(values: list[float]) -> str:
    """Median, quartiles and extremes."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:7.2f}  (quartiles {low:.2f} to {high:.2f}, all {min(values):.2f} to {max(values):.2f})"


async def compare(
    name: str, servers: dict[str, Server], requests: list[bytes], count: int = REQUESTS
) -> None:
    """Print the distribution of one case."""
    for server in servers.values():
        await server.run(requests, WARM_UP)
    costs: dict[str, list[float]] = {kind: [] for kind in servers}
    rates: dict[str, list[float]] = {kind: [] for kind in servers}
    for number in range(ROUNDS):
        for kind in _turned(servers, number):
            cost, rate = await servers[kind].run(requests, count)
            costs[kind].append(cost)
            rates[kind].append(rate)
    print(f"{name}: {ROUNDS} rounds in turns of {count} requests, {CONNECTIONS} connections")
    for kind in servers:
        print(f"  {kind:14} CPU us/request {summary(costs[kind])}  "
              f"{statistics.median(rates[kind]):.0f} requests/s on one core")  # fmt: skip
    for kind in [kind for kind in servers if kind != BARE]:
        ratios = [b / e for b, e in zip(costs[BARE], costs[kind], strict=True)]
        print(f"  bare / {kind:14}{summary(ratios)}", end="")
        verdict = "met" if statistics.median(ratios) >= GOAL else "MISSED"
        print(f"  goal {GOAL}: {verdict}" if kind == EDGE else "", flush=True)


async def compare_anew(servers: dict[str, Server], request: bytes) -> None:
    """The same for connections of one request each."""
    costs: dict[str, list[float]] = {kind: [] for kind in servers}
    for number in range(NEW_ROUNDS):
        for kind in _turned(servers, number):
            costs[kind].append(await servers[kind].run_anew(request, NEW_REQUESTS))
    print(f"a connection for each request: {NEW_ROUNDS} rounds in turns of {NEW_REQUESTS} requests")
    for kind in servers:
        print(f"  {kind:14} CPU us/request {summary(costs[kind])}")
    for kind in (EDGE, WITHOUT):
        ratios = [e / b for b, e in zip(costs[BARE], costs[kind], strict=True)]
        print(f"  {kind:14} / bare {summary(ratios)}", end="")
        verdict = "met" if statistics.median(ratios) <= NEW_GOAL else "MISSED"
        print(f"  goal {NEW_GOAL}: {verdict}" if kind == EDGE else "", flush=True)


def _turned(servers: dict[str, Server], number: int) -> list[str]:
    kinds = list(servers)
    first = number % len(kinds)
    return kinds[first:] + kinds[:first]


async def main() -> None:
    """One bearer token, one cookie, many tokens; then one token on many connections."""
    _pin(os.getpid(), 1)
    now_ms = SystemClock().now_ms()
    # The bench outlives an access token on a slow machine, so its tokens are issued a little ahead of
    # their use and live as long as the ceiling allows.
    tokens = [sign_token(make_claims(now_ms=now_ms, jti=f"bench-{n}")) for n in range(TOKENS)]
    import json

    keys = signing_key().kid, json.dumps(jwks())
    servers = {BARE: start("bare"), EDGE: start("edge", *keys), WITHOUT: start("slow", *keys)}
    try:
        bearer = [_request(b"Authorization: Bearer " + token) for token in tokens]
        cookie = [_request(f"Cookie: theme=dark; {COOKIE}=".encode() + tokens[0])]
        await compare("one bearer token", servers, bearer[:1])
        await compare("one session cookie", servers, cookie)
        await compare(f"{TOKENS} bearer tokens in turn", servers, bearer)
        await compare_anew(servers, bearer[0])
        servers[STAYING] = start("staying", *keys)
        odd = _request(b"X-Note: a\tb\r\nAuthorization: Bearer " + tokens[0])
        name = f"one bearer token, one request in {ODD_ONE_IN} odd"
        await compare(name, servers, [odd, *bearer[:1] * (ODD_ONE_IN - 1)], ODD_REQUESTS)
    finally:
        for server in servers.values():
            server.process.kill()
            server.process.wait()


def _request(credential: bytes) -> bytes:
    return HEAD.encode() + credential + b"\r\n\r\n"


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        match sys.argv[1:]:
            case ["bare", port]:
                runner.run(serve_bare(int(port)))
            case ["edge", port, kid, jwk_set, *revoked]:
                runner.run(serve_edge(int(port), kid, jwk_set, *map(int, revoked)))
            case ["slow", port, kid, jwk_set]:
                runner.run(serve_edge(int(port), kid, jwk_set, fast=False))
            case ["staying", port, kid, jwk_set]:
                runner.run(serve_edge(int(port), kid, jwk_set, answers_behind=sys.maxsize))
            case _:
                runner.run(main())
