"""A service behind nothing but the SDK's aiohttp middleware, on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from latchwire import Verifier
from latchwire.aiohttp import CLAIMS, auth_middleware, closing_when_refused
from latchwire.testing import FakeFeed, FakeIssuer

LEFT = web.AppKey("left", asyncio.Event)  # the handler of /flood has ended
PUBLIC = "/public/info"


@dataclass(frozen=True)
class Site:
    """A running service at *url*; *issuer* makes its tokens, *feed* decides which are revoked."""

    url: str
    issuer: FakeIssuer
    feed: FakeFeed
    verifier: Verifier
    left: asyncio.Event


@asynccontextmanager
async def start_site() -> AsyncIterator[Site]:
    """Listening on a free port."""
    issuer = FakeIssuer()
    feed = FakeFeed(clock=issuer.clock)
    verifier = issuer.verifier(feed)
    app = _make_app(verifier)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield Site(f"http://{host}:{port}", issuer, feed, verifier, app[LEFT])
    finally:
        await runner.cleanup()


def _make_app(verifier: Verifier) -> web.Application:
    app = web.Application(middlewares=[auth_middleware(verifier, public=[PUBLIC])])
    app[LEFT] = asyncio.Event()
    app.router.add_get(PUBLIC, _anybody)
    app.router.add_get("/socket", _echo)
    app.router.add_get("/flood", _flood)
    app.router.add_get("/{name}", _whoami)
    return app


async def _anybody(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def _whoami(request: web.Request) -> web.Response:
    return web.Response(text=request[CLAIMS].sub)


async def _flood(request: web.Request) -> web.WebSocketResponse:
    """Sends until it may not; one that nobody reads waits in the middle of that."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async with closing_when_refused(request, socket, grace=0.2):
        while True:
            await socket.send_bytes(b"x" * 1_000_000)
    request.app[LEFT].set()
    return socket


async def _echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=["echo"])
    await socket.prepare(request)
    async with closing_when_refused(request, socket):
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
    return socket
