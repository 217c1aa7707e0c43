"""The SDK's middlewares behind a gateway: who is let in, what the others hear, over ASGI and aiohttp."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from latchwire.aiohttp import ASSERTION, assertion_middleware
from latchwire.asgi import AssertionMiddleware, assertion_of
from latchwire.testing import FakeClock, FakeEdge, FakeFeed
from tests.support.asgi import Connection

SHOP = "shop"
Headers = tuple[tuple[bytes, bytes], ...]


class World:
    """An edge, a feed, and a service named shop behind either middleware."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.edge = FakeEdge(clock=self.clock)
        self.feed = FakeFeed(clock=self.clock)
        self.verifier = self.edge.verifier(SHOP, self.feed)

    def said(self, audience: str = SHOP, **claims: Any) -> tuple[bytes, bytes]:
        """The header of the edge."""
        return b"X-Latchwire-Assertion", self.edge.assertion(audience, **claims).encode()

    async def asgi(self, *headers: tuple[bytes, bytes], path: str = "/me") -> tuple[int, str]:
        """Status and body; an ASGI server has the names in lower case."""
        lower = [(name.lower(), value) for name, value in headers]
        app = AssertionMiddleware(_answer, self.verifier, public=["/health"])
        connection = Connection(app, "http", path, *lower)
        start, body = await connection.receive(), await connection.receive()
        await connection.finish()
        return start["status"], body["body"].decode()

    async def aiohttp(self, *headers: tuple[bytes, bytes], path: str = "/me") -> tuple[int, str]:
        """The same through aiohttp's."""
        middleware = assertion_middleware(self.verifier, public=["/health"])
        pairs = [(name.decode(), value.decode()) for name, value in headers]
        request = make_mocked_request("GET", path, headers=_multi(pairs))
        response = await middleware(request, _handle)
        assert isinstance(response, web.Response)
        return response.status, response.text or ""


def _multi(pairs: list[tuple[str, str]]) -> Any:

    return CIMultiDict(pairs)


async def _answer(scope: Any, _receive: Any, send: Any) -> None:
    who = assertion_of(scope).sub if "state" in scope else "anybody"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": who.encode()})


async def _handle(request: web.Request) -> web.Response:
    return web.Response(text=request[ASSERTION].sub if ASSERTION in request else "anybody")


@pytest.fixture(params=["asgi", "aiohttp"])
def ask(request: pytest.FixtureRequest, world: World) -> Any:
    """One request through one of the two."""
    return getattr(world, request.param)


@pytest.fixture
def world() -> World:
    """Fresh, with nobody revoked."""
    return World()


NO_ASSERTION = (401, '{"code": "no_assertion"}')


async def test_whom_an_edge_vouches_for_is_named_to_the_application(ask: Any, world: World) -> None:
    """In any case of the header's name."""
    assert await ask(world.said(sub="u-7")) == (200, "u-7")
    assert await ask((b"x-LATCHWIRE-assertion", world.said(sub="u-8")[1])) == (200, "u-8")


async def test_around_the_gateway_nobody_gets_in(ask: Any, world: World) -> None:
    """No header, an empty one, two, one for another service, one of an edge nobody knows, one that is over."""
    name, good = world.said()
    stranger = FakeEdge(clock=world.clock).assertion(SHOP).encode()
    tries: list[Headers] = [
        (),
        ((name, b""),),
        ((name, good), (name, good)),
        (world.said("till"),),
        ((name, stranger),),
        ((b"X_Latchwire_Assertion", good),),
        ((b"Authorization", b"Bearer " + good),),
        ((b"X-User-Id", b"ada@example.com"), (b"X-User-Roles", b"admin")),
    ]
    for headers in tries:
        assert await ask(*headers) == NO_ASSERTION, headers
    world.clock.advance(66)
    assert await ask((name, good)) == NO_ASSERTION


async def test_whose_session_ended_is_out_within_the_minute(ask: Any, world: World) -> None:
    """With a feed; the assertion itself would be good for a while."""
    header = world.said(sid="s")
    assert (await ask(header))[0] == 200

    world.feed.revoke_session("s")

    assert await ask(header) == NO_ASSERTION


async def test_while_nobody_can_tell_everybody_hears_503_and_nobody_401(
    ask: Any, world: World
) -> None:
    """Nobody is logged out because a server is away."""
    world.feed.go_stale()

    assert await ask(world.said()) == (503, '{"code": "stale"}')


async def test_public_paths_are_open_around_the_gateway_too(ask: Any) -> None:
    """A health check comes from the machine itself; exactly that path and none below it."""
    assert await ask(path="/health") == (200, "anybody")
    assert await ask(path="/health/") == NO_ASSERTION


async def test_a_websocket_without_an_assertion_is_closed_before_it_opens(world: World) -> None:
    """ASGI's own way: a close before the accept is a 403."""
    app = AssertionMiddleware(_answer, world.verifier)
    connection = Connection(app, "websocket", "/")
    await connection.send(type="websocket.connect")

    closed = await connection.receive()

    assert (closed["type"], closed["reason"]) == ("websocket.close", "no_assertion")
    await connection.finish()


async def test_the_application_s_own_life_passes_through(world: World) -> None:
    """Lifespan has no headers."""
    heard = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        heard.append(scope["type"])

    await Connection(AssertionMiddleware(app, world.verifier), "lifespan", "").finish()

    assert heard == ["lifespan"]
