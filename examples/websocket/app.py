"""A chat over WebSockets behind nothing but the SDK: each socket closes the moment its session dies.

No gateway and no database: the signature, the claims and the revocations are checked here, from memory.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from aiohttp import WSMsgType, web

from latchwire import KeyRing, RevocationFeed, TokenPolicy, Verifier
from latchwire.aiohttp import CLAIMS, auth_middleware, closing_when_refused

SLOW_SECONDS = 2.0
SOCKETS = web.AppKey("sockets", set[web.WebSocketResponse])
VERIFIER = web.AppKey("verifier", Verifier)


async def chat(request: web.Request) -> web.WebSocketResponse:
    """Everybody hears everybody; 4401 ends it when the session does."""
    name, sockets = request[CLAIMS].email, request.app[SOCKETS]
    socket = web.WebSocketResponse(protocols=["chat"], heartbeat=30, max_msg_size=4096)
    await socket.prepare(request)
    sockets.add(socket)
    try:
        async with closing_when_refused(request, socket):
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await tell_all(sockets, {"from": name, "text": message.data})
    finally:
        sockets.discard(socket)
    return socket


async def tell_all(sockets: set[web.WebSocketResponse], message: dict[str, str]) -> None:
    """At once, so that whoever reads slowly holds up nobody."""
    async with asyncio.TaskGroup() as group:
        for socket in sockets:
            group.create_task(tell(socket, message))


async def tell(socket: web.WebSocketResponse, message: dict[str, str]) -> None:
    """Whoever has just left, or does not read, misses it."""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(SLOW_SECONDS):
            await socket.send_json(message)


async def health(request: web.Request) -> web.Response:
    """503 and why while this service could let nobody in."""
    problem = request.app[VERIFIER].problem()
    return web.Response(status=503 if problem else 200, text=problem or "ready")


def make_app(secrets: Path, environ: dict[str, str]) -> web.Application:
    """*secrets* holds what the operator handed out: the seed, blocklist.key and two sets of public keys."""
    name = environ.get("NAME", "service-shop")
    keys = KeyRing.from_jwks((secrets / "jwks.json").read_text("ascii"))
    operators = KeyRing.from_jwks((secrets / "operator.jwks.json").read_text("ascii"))
    policy = TokenPolicy(
        issuer=environ.get("ISSUER", "http://localhost:8080"), audience="latchwire"
    )
    verifier = Verifier(keys, policy)  # says "stale" until it has a feed
    app = web.Application(middlewares=[auth_middleware(verifier, public=["/health"])])
    app[SOCKETS], app[VERIFIER] = set(), verifier

    async def follow(_app: web.Application) -> AsyncIterator[None]:
        async with RevocationFeed.open(
            environ.get("NATS_URL", "nats://127.0.0.1:4222"),
            name=name,
            nkey_seed=(secrets / "nats" / f"{name}.seed").read_text("ascii").strip(),
            blocklist_key=(secrets / "blocklist.key").read_text("ascii"),
            operators=operators,  # a rotation of the token keys arrives signed, over the feed
            on_keys=verifier.replace_keys,
        ) as feed:
            verifier.attach(feed)
            yield

    app.cleanup_ctx.append(follow)
    app.router.add_get("/chat", chat)
    app.router.add_get("/health", health)
    return app


if __name__ == "__main__":
    web.run_app(
        make_app(Path(os.environ.get("SECRETS", "secrets")), dict(os.environ)),
        host="127.0.0.1",
        port=int(os.environ.get("PORT", "3001")),
    )
