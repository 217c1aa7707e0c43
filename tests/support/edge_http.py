"""An edge's door on a real socket, spoken to in raw bytes as a hostile proxy or client would."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from services.edge.flows.assertions import Assertions
from services.edge.flows.counts import CheckCounts
from services.edge.http.answers import Answers
from services.edge.http.behind import ANSWERS
from services.edge.http.doors import Doors
from services.edge.http.peers import Network, TrustedPeers
from services.edge.http.refusals import RefusalLog
from services.edge.http.refused_page import Pages
from services.edge.http.server import KEEPALIVE_SECONDS, make_server
from services.edge.ports import AssertionKey
from shared.clock import Clock
from shared.origins import Origins
from shared.setting_types import LOOPBACK
from tests.support.door_heads import HOST, head_of, line_of
from tests.support.edge import EDGE_KEY, ORIGIN, Desk, make_desk
from tests.support.fakes.ids import FakeIds

HEAD = (
    b"X-Forwarded-Method: GET\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: localhost:8080\r\n"
    b"X-Forwarded-Uri: /demo\r\n"
)
DEADLINE = 30.0  # seconds; an answer that does not come is a failure, a busy machine is none
IDENTITY = (  # what every answer that lets through says, as the edge writes it on this wire
    "x-user-id",
    "x-user-email",
    "x-user-roles",
    "x-org-id",
    "x-session-id",
    "x-token-type",
    "x-service-name",
    "x-request-id",
    "x-latchwire-assertion",
)


@dataclass(frozen=True)
class Reply:
    """One parsed answer; header names in lower case, every repetition kept."""

    status: int
    headers: dict[str, list[str]]
    rest: bytes

    def get(self, name: str) -> str:
        """The one value of a header, "" when it is not there."""
        values = self.headers.get(name.lower(), [""])
        assert len(values) == 1
        return values[0]


@dataclass
class Door:
    """A listening edge."""

    port: int
    desk: Desk
    counts: CheckCounts
    server: web.Server
    connections: list[asyncio.StreamWriter] = field(default_factory=list)

    async def send(self, data: bytes) -> bytes:
        """Everything that comes back for *data* until the edge closes or has been quiet."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(DEADLINE):
                return await _read_answer(reader)
        finally:
            writer.close()

    async def check(
        self,
        extra: bytes = b"",
        *,
        head: bytes = HEAD,
        line: bytes = b"GET /check/traefik HTTP/1.1",
    ) -> Reply:
        """One check with *extra* header lines."""
        return parse(await self.send(line + b"\r\nHost: edge\r\n" + head + extra + b"\r\n"))

    async def ask(
        self,
        proxy: str,
        target: str,
        extra: bytes = b"",
        *,
        method: str = "GET",
        proto: str = "http",
        service: str = "",
    ) -> Reply:
        """One check as *proxy* asks it, with the lines of the client that it passes on."""
        host = HOST if proxy == "envoy" else "edge"
        line = line_of(proxy, target, method, service) + f"\r\nHost: {host}\r\n".encode()
        return parse(
            await self.send(line + head_of(proxy, target, method, proto) + extra + b"\r\n")
        )


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError) as error:
        return getattr(error, "partial", b"")
    length = int(parse(head).get("content-length") or 0)
    try:
        return head + await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        return head + error.partial


def parse(data: bytes) -> Reply:
    """The answer in *data*."""
    head, _, rest = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    return Reply(int(status.split(" ")[1]), headers, rest)


@asynccontextmanager
async def open_door(
    desk: Desk | None = None,
    port: int = 0,
    trusted: Iterable[Network] = LOOPBACK,
    key: AssertionKey = EDGE_KEY,
    clock: Clock | None = None,
    *,
    fast: bool = True,
    idle_seconds: float = KEEPALIVE_SECONDS,
    answers_behind: int = ANSWERS,
) -> AsyncIterator[Door]:
    """An edge that listens on *port*, or on a free one, believes proxies in *trusted* and signs with *key*.

    *clock*: the one that its answers and refusals are written by, else the desk's.
    """
    desk = desk or make_desk()
    clock = clock or desk.clock
    counts = CheckCounts()
    door = Doors(
        checker=desk.checker,
        peers=TrustedPeers(trusted),
        answers=Answers(clock=clock, ids=FakeIds(), url=ORIGIN),
        assertions=Assertions(key, issuer=ORIGIN, clock=desk.clock),
        refusals=RefusalLog(clock),
        counts=counts,
        pages=Pages(Origins(ORIGIN), "Acme"),
    )
    server = make_server(door, fast=fast, idle_seconds=idle_seconds, answers_behind=answers_behind)
    runner = web.ServerRunner(server, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield Door(runner.addresses[0][1], desk, counts, server)
    finally:
        await runner.cleanup()
