"""All five proxies in front of one edge and two services: what a client sends, and what arrives."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from services.edge.domain.routes import RouteTable
from services.edge.http.fast import FastServer
from shared.catalogue import parse_catalogue
from tests.support.edge import COOKIE, Desk, make_desk, token
from tests.support.edge_http import Reply, open_door, parse
from tests.support.proxies import CATALOGUE, PROXIES, Ports, find_proxy, make_proxy
from tests.support.servers import Server, free_port, start_in_thread
from tests.support.upstreams import Upstream, running_upstream
from tests.support.waiting import eventually

HOST = "localhost:8080"  # of the public address, whichever port a proxy listens on
DEADLINE = 30.0  # seconds
NAVIGATION = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html")


@dataclass
class World:
    """*app* is protected but for /public, *status* is open; *auth* only listens.

    *servers* are the proxies by name; *edge* is what they ask.
    """

    desk: Desk
    app: Upstream
    status: Upstream
    auth: Upstream
    ports: Ports
    servers: dict[str, Server] = field(default_factory=dict)
    edge: FastServer | None = None
    _edge: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def ask(self, proxy: str, target: str, *lines: str, method: str = "GET") -> Reply:
        """Exactly these lines through *proxy*; without a *host* line of its own, `HOST`'s."""
        async with self.connection(proxy) as (reader, writer):
            head = [f"{method} {target} HTTP/1.1", *lines]
            if not any(line.lower().startswith("host:") for line in lines):
                head.insert(1, f"Host: {HOST}")
            if not any(line.startswith("Connection:") for line in lines):
                head.append("Connection: close")
            writer.write("\r\n".join([*head, "", ""]).encode())
            async with asyncio.timeout(DEADLINE):
                return await _read(reader, has_body=method != "HEAD")

    async def ask_on(
        self,
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        target: str,
        *lines: str,
    ) -> Reply:
        """One more request on a *connection* to a proxy, which stays."""
        reader, writer = connection
        writer.write(
            "\r\n".join([f"GET {target} HTTP/1.1", f"Host: {HOST}", *lines, "", ""]).encode()
        )
        async with asyncio.timeout(DEADLINE):
            return await _read(reader, has_body=True)

    async def send(self, proxy: str, *parts: bytes) -> bytes:
        """The status line of the answer to *parts*, which are sent one by one.

        A proxy may have refused and closed before it has taken all: what it said then is still to be read.
        """
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            async with asyncio.timeout(DEADLINE):
                await loop.sock_connect(sock, ("127.0.0.1", self.servers[proxy].port))
                with suppress(ConnectionError):
                    for part in parts:
                        await loop.sock_sendall(sock, part)
                return await _first_line(sock)

    @asynccontextmanager
    async def connection(
        self, proxy: str
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection to *proxy*."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.servers[proxy].port)
        try:
            yield reader, writer
        finally:
            writer.close()

    @asynccontextmanager
    async def without_edge(self) -> AsyncIterator[None]:
        """Nobody listens where the edge was."""
        await self._edge.aclose()
        try:
            yield
        finally:
            await self.open_edge()

    @asynccontextmanager
    async def catalogue(self, text: str) -> AsyncIterator[None]:
        """The edge decides by *text* instead."""
        self._use(text)
        try:
            yield
        finally:
            self._use(CATALOGUE)

    @asynccontextmanager
    async def stale(self) -> AsyncIterator[None]:
        """The edge has had no proof for a minute."""
        self.desk.revocations.staleness = 60.0
        try:
            yield
        finally:
            self.desk.revocations.staleness = 0.0

    async def open_edge(self) -> None:
        """Listen, on the same port as before."""
        door = await self._edge.enter_async_context(open_door(self.desk, self.ports["edge"]))
        assert isinstance(door.server, FastServer)
        self.edge = door.server

    def _use(self, text: str) -> None:
        catalogue = parse_catalogue(text.format(**self.ports))
        self.desk.checker.use_routes(RouteTable(catalogue), 1)


async def _first_line(sock: socket.socket) -> bytes:
    loop, said = asyncio.get_running_loop(), b""
    while b"\n" not in said and (more := await loop.sock_recv(sock, 4096)):
        said += more
    return said.partition(b"\n")[0]


async def _read(reader: asyncio.StreamReader, *, has_body: bool) -> Reply:
    """One answer; not to the end of the connection, which Envoy holds open for a second."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = parse(head).get("Content-Length")
    if not has_body or length == "0":
        return parse(head)
    body = await (reader.readexactly(int(length)) if length else reader.read())
    return parse(head + body)


def bearer(**claims: object) -> str:
    """The line of somebody who is logged in."""
    return f"Authorization: Bearer {token(**claims).decode()}"


def cookie(**claims: object) -> str:
    """The line of a browser that is logged in."""
    return f"Cookie: {COOKIE}={token(**claims).decode()}"


@asynccontextmanager
async def running_world(directory: Path) -> AsyncIterator[World]:
    """Everything started, but for proxies that are not installed."""
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running_upstream())
        status = await stack.enter_async_context(running_upstream())
        auth = await stack.enter_async_context(running_upstream())
        # Of our own: what the system gives could be somebody else's while the edge is away.
        ports = Ports(edge=free_port(), auth=auth.port, app=app.port, status=status.port)
        world = World(make_desk(CATALOGUE.format(**ports)), app, status, auth, ports)
        await world.open_edge()
        stack.push_async_callback(world._edge.aclose)
        for name in filter(find_proxy, PROXIES):
            world.servers[name] = make_proxy(name, directory / name, ports)
            stack.callback(world.servers[name].kill)
        async with asyncio.TaskGroup() as group:
            for server in world.servers.values():
                group.create_task(start_in_thread(server))
        # It listens before it has read its routes.
        await eventually(partial(_has_routes, world), within=60, message="Traefik has no routes")
        yield world


async def _has_routes(world: World) -> bool:
    return (await world.ask("traefik", "/status")).status == 200
