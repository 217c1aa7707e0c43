"""A service that uses the SDK's public names, as its author's type checker reads it: nothing is run.

mypy --strict and basedpyright must find nothing here, and must find what `wrong_use.py` does wrong.
"""

from collections.abc import Awaitable, Callable
from typing import Any, assert_type

from aiohttp import web

from latchwire import (
    Claims,
    Event,
    FeedStaleError,
    KeyRing,
    Refused,
    Resync,
    RevocationFeed,
    Revoked,
    TokenPolicy,
    Verifier,
)
from latchwire.aiohttp import CLAIMS, auth_middleware, closing_when_refused
from latchwire.asgi import AuthMiddleware, claims_of
from latchwire.connect import connect
from latchwire.deletions import Erasure, Outcome, UserFact, hear_users, serve_deletions
from latchwire.testing import FakeClock, FakeFeed, FakeIssuer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def erase(erasure: Erasure) -> Outcome:
    """A handler of deletions."""
    assert_type(erasure.email, str)
    return "done" if erasure.deadline_ms else "later"


async def heard(fact: UserFact) -> None:
    """A listener to what becomes of accounts."""
    assert_type(fact.previous_sub, str | None)


async def serve() -> None:
    """Both on one connection."""
    async with (
        connect("tls://a:4222", name="service-shop", nkey_seed="S") as client,
        hear_users(client, heard),
        serve_deletions(client, "shop", erase, answer_within=1.0),
    ):
        pass


async def follow(verifier: Verifier, sockets: dict[web.WebSocketResponse, Claims]) -> None:
    """The loop of an application that keeps sockets of its own."""
    async with RevocationFeed.open(
        ["tls://a:4222", "tls://b:4222"], name="service-shop", nkey_seed="S", blocklist_key="k"
    ) as feed:
        assert_type(feed, RevocationFeed)
        verifier.attach(feed)
        await feed.wait_ready(10)
        async for event in feed.events():
            assert_type(event, Event)
            for socket, claims in sockets.items():
                if isinstance(event, Resync) or event.hits(claims):
                    await socket.close()
            if isinstance(event, Revoked):
                assert_type(event.seq, int)
                assert_type(event.record.until_ms, int)


def decide(verifier: Verifier, feed: RevocationFeed, token: str) -> str:
    """Every outcome is a value, and the checker knows which."""
    outcome = verifier.verify(token)
    if isinstance(outcome, Refused):
        if outcome.code == "stale":
            return "later"
        return outcome.code
    assert_type(outcome, Claims)
    try:
        return "gone" if feed.is_revoked(outcome) else outcome.sub
    except FeedStaleError:
        return feed.problem() or "later"


async def chat(request: web.Request) -> web.WebSocketResponse:
    """An aiohttp handler."""
    assert_type(request[CLAIMS], Claims)
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async with closing_when_refused(request, socket):
        await socket.receive()
    return socket


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application."""
    assert_type(claims_of(scope), Claims)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await receive()


def compose() -> tuple[web.Application, AuthMiddleware]:
    """Both middlewares."""
    keys = KeyRing.from_jwks({"keys": []})
    verifier = Verifier(keys, TokenPolicy(issuer="https://auth.example.com", audience="latchwire"))
    app = web.Application(middlewares=[auth_middleware(verifier, public=["/health"])])
    return app, AuthMiddleware(inner, verifier, public={"/health"}, close_when_refused=False)


def pretend() -> Claims | Refused:
    """A user's own test."""
    clock = FakeClock()
    issuer, feed = FakeIssuer(clock=clock), FakeFeed(clock=clock)
    feed.revoke_subject("ada@example.com", "access")
    clock.advance(1.5)
    return issuer.verifier(feed).verify(issuer.token(sid="s", roles=["admin"]))
