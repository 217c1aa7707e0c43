"""A service behind nothing but the SDK's aiohttp middleware, on a real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from latchwire import Verifier
from latchwire.aiohttp import CLAIMS, auth_middleware, closing_when_refused
from latchwire.testing import FakeFeed, FakeIssuer

PUBLIC = "/public/info"


@dataclass(frozen=True)
class Site:
    """A running service at *url*; *issuer* makes its tokens, *feed* decides which are revoked."""

    url: str
    issuer: FakeIssuer
    feed: FakeFeed
    verifier: Verifier


@asynccontextmanager
async def start_site() -> AsyncIterator[Site]:
    """Listening on a free port."""
    issuer = FakeIssuer()
    feed = FakeFeed(clock=issuer.clock)
    verifier = issuer.verifier(feed)
    runner = web.AppRunner(_make_app(verifier))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield Site(f"http://{host}:{port}", issuer, feed, verifier)
    finally:
        await runner.cleanup()


def _make_app(verifier: Verifier) -> web.Application:
    app = web.Application(middlewares=[auth_middleware(verifier, public=[PUBLIC])])
    app.router.add_get(PUBLIC, _anybody)
    app.router.add_get("/socket", _echo)
    app.router.add_get("/{name}", _whoami)
    return app


async def _anybody(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def _whoami(request: web.Request) -> web.Response:
    return web.Response(text=request[CLAIMS].sub)


async def _echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=["echo"])
    await socket.prepare(request)
    async with closing_when_refused(request, socket):
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
    return socket
