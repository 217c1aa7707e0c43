"""The SDK's ASGI middleware: HTTP and WebSocket, refusals, and sockets that close with their session."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from latchwire.asgi import AuthMiddleware, claims_of
from latchwire.testing import FakeFeed, FakeIssuer
from latchwire.tokens import Refused
from tests.support.asgi import Connection, bearer


@dataclass
class Service:
    """An application behind the middleware, and what it heard."""

    issuer: FakeIssuer
    feed: FakeFeed
    heard: list[Any] = field(default_factory=list)

    @property
    def app(self) -> AuthMiddleware:
        return AuthMiddleware(self, self.issuer.verifier(self.feed), public=["/health"])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            self.heard.append("lifespan")
        elif scope["type"] == "http":
            who = claims_of(scope).sub if "state" in scope else "anybody"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": who.encode()})
        else:
            await self._talk(scope, receive, send)

    async def _talk(self, scope: Any, receive: Any, send: Any) -> None:
        """Echo until the end, and then try to say something more."""
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
        self.heard.append((claims_of(scope).sid, message["code"]))
        with pytest.raises(OSError, match="refused"):
            await send({"type": "websocket.send", "text": "one more thing"})


@dataclass
class Leaving:
    """An application that is still busy when its client has left."""

    heard: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _scope: Any, receive: Any, _send: Any) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass
        self.heard.set()
        await self.may_end.wait()


@pytest.fixture
def service() -> Service:
    """Fresh, with nobody revoked."""
    issuer = FakeIssuer()
    return Service(issuer, FakeFeed(clock=issuer.clock))


@pytest.fixture
async def socket(service: Service) -> AsyncIterator[Connection]:
    """An accepted WebSocket of the session ``mine``."""
    made = Connection(service.app, "websocket", "/", bearer(service.issuer.token(sid="mine")))
    await made.send(type="websocket.connect")
    assert {"type": "websocket.accept"} == await made.receive()
    yield made
    await made.finish()


async def ask(service: Service, *headers: tuple[bytes, bytes], path: str = "/me") -> Any:
    """Status, headers and body of one request."""
    connection = Connection(service.app, "http", path, *headers)
    start, body = await connection.receive(), await connection.receive()
    await connection.finish()
    return start["status"], dict(start["headers"]), body["body"]


async def test_who_has_a_good_token_is_named_to_the_application(service: Service) -> None:
    """In ``scope["state"]``, where Starlette's ``request.state`` looks."""
    assert (200, {}, b"u-7") == await ask(service, bearer(service.issuer.token(sub="u-7")))


@pytest.mark.parametrize("services", [False, True])
async def test_a_service_is_let_in_only_where_services_are_asked_for(
    service: Service, services: bool
) -> None:
    """Its token is as genuine as a person's: an application that was written for people hears of none."""
    own = {"service": "till", "client_id": "till", "email": ""}
    token = service.issuer.token(sub="till", **own)
    verifier = service.issuer.verifier(service.feed, services=services)
    app = AuthMiddleware(service, verifier)
    connection = Connection(app, "http", "/me", bearer(token))
    start = await connection.receive()
    await connection.finish()

    assert start["status"] == (200 if services else 401)
    if not services:
        assert Refused("token_invalid", "a service's token") == verifier.verify(token)
        assert dict(start["headers"])[b"x-latchwire-reason"] == b"token_invalid"


async def test_public_paths_and_the_applications_own_life_need_no_token(service: Service) -> None:
    """Also while the feed is stale: a health check is no secret."""
    service.feed.go_stale()

    assert (200, {}, b"anybody") == await ask(service, path="/health")
    await Connection(service.app, "lifespan", "").finish()
    assert service.heard == ["lifespan"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([], 401, b"no_credentials"),
        ([b"Bearer {t}", b"Bearer {t}"], 400, b"two_credentials"),
        ([b"Basic eA=="], 401, b"token_invalid"),
        ([b"Bearer \x00\xff"], 401, b"token_invalid"),
        ([b"Bearer "], 401, b"token_invalid"),
        ([b""], 401, b"token_invalid"),
        ([b"bearer {t}x"], 401, b"token_invalid"),
    ],
)
async def test_whatever_bytes_come_the_answer_is_a_refusal(
    service: Service, headers: list[bytes], status: int, code: bytes
) -> None:
    """With its code, and a challenge beside a 401 (RFC 6750 section 3)."""
    token = service.issuer.token().encode()

    found, told, body = await ask(
        service, *((b"Authorization", h.replace(b"{t}", token)) for h in headers)
    )

    assert (status, code) == (found, told[b"x-latchwire-reason"])
    assert (status == 401) == (b"www-authenticate" in told)
    assert int(told[b"content-length"]) == len(body)


async def test_a_stale_feed_is_503_with_a_time_to_come_back(service: Service) -> None:
    """Nobody is logged out because a server is away."""
    service.feed.go_stale()

    status, told, _ = await ask(service, bearer(service.issuer.token()))

    assert (503, b"1") == (status, told[b"retry-after"])


async def test_a_socket_ends_for_both_sides_the_moment_its_session_dies(
    service: Service, socket: Connection
) -> None:
    """The client gets 4401 and the code, the application a disconnection, and may say nothing more."""
    await socket.send(type="websocket.receive", text="hello")
    assert {"type": "websocket.send", "text": "hello"} == await socket.receive()

    service.feed.revoke_session("another")
    service.feed.revoke_session("mine")

    closed = {"type": "websocket.close", "code": 4401, "reason": "token_revoked"}
    assert closed == await socket.receive()
    await socket.finish()
    assert service.heard == [("mine", 4401)]
    assert socket.silent


async def test_a_socket_ends_with_its_token(service: Service) -> None:
    """Expired: the client comes back with a new one."""
    token = service.issuer.token(sid="short")
    service.issuer.clock.advance(904.9)
    socket = Connection(service.app, "websocket", "/", bearer(token))
    await socket.send(type="websocket.connect")
    assert {"type": "websocket.accept"} == await socket.receive()

    service.issuer.clock.advance(0.1)

    closed = {"type": "websocket.close", "code": 4401, "reason": "token_expired"}
    assert closed == await socket.receive()
    await socket.finish()


async def test_a_socket_without_a_good_token_is_never_accepted(service: Service) -> None:
    """A close before the acceptance, which servers answer with 403."""
    socket = Connection(service.app, "websocket", "/")
    await socket.send(type="websocket.connect")

    assert {"type": "websocket.close", "code": 4401, "reason": "no_credentials"} == (
        await socket.receive()
    )
    await socket.finish()
    assert service.heard == []


async def test_where_the_server_can_the_refusal_of_a_socket_is_a_whole_answer(
    service: Service,
) -> None:
    """The extension ``websocket.http.response``."""
    can = {"websocket.http.response": {}}
    socket = Connection(service.app, "websocket", "/", extensions=can)
    await socket.send(type="websocket.connect")

    start = await socket.receive()

    assert ("websocket.http.response.start", 401) == (start["type"], start["status"])
    await socket.receive()
    await socket.finish()


async def test_an_application_that_does_not_heed_the_end_is_cancelled(service: Service) -> None:
    """It may be waiting for a client that does not read."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def busy(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    middleware = AuthMiddleware(busy, service.issuer.verifier(service.feed), grace=0.05)
    socket = Connection(middleware, "websocket", "/", bearer(service.issuer.token(sid="deaf")))
    await started.wait()

    service.feed.revoke_session("deaf")

    await socket.finish()
    assert ended.is_set()


async def test_a_client_that_left_is_not_closed_again(service: Service) -> None:
    """A revocation right after the disconnection says nothing to a connection that is gone."""
    app = Leaving()
    middleware = AuthMiddleware(app, service.issuer.verifier(service.feed))
    socket = Connection(middleware, "websocket", "/", bearer(service.issuer.token(sid="gone")))
    await socket.send(type="websocket.connect")
    await socket.send(type="websocket.disconnect", code=1000)
    await app.heard.wait()

    service.feed.revoke_session("gone")
    app.may_end.set()
    await socket.finish()

    assert socket.silent
