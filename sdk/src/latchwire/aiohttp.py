"""aiohttp: let in who has a token that counts, and close WebSockets the moment it no longer does.

    app = web.Application(middlewares=[auth_middleware(verifier, public=["/health"])])

    async def chat(request):
        claims = request[CLAIMS]
        socket = web.WebSocketResponse(protocols=["chat"])
        await socket.prepare(request)
        async with closing_when_refused(request, socket):
            async for message in socket:
                ...

Behind the gateway, where its edges say who calls (`latchwire.assertions`):

    app = web.Application(middlewares=[assertion_middleware(verifier, public=["/health"])])

    async def basket(request):
        caller = request[ASSERTION]

Needs ``latchwire[aiohttp]``.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from latchwire._bearer import GRACE_SECONDS, Refusal, authenticate, close_code, read_caller
from latchwire._ending import end
from latchwire.assertions import HEADER, Assertion, AssertionVerifier
from latchwire.claims import Claims
from latchwire.verifier import Verifier

CLAIMS: Final = web.RequestKey("latchwire.claims", Claims)
ASSERTION: Final = web.RequestKey("latchwire.assertion", Assertion)
VERIFIER: Final = web.RequestKey("latchwire.verifier", Verifier)


def auth_middleware(verifier: Verifier, *, public: Collection[str] = ()) -> Middleware:
    """Only requests with one good bearer token reach a handler; ``request[CLAIMS]`` says whose it is.

    *public* are exact paths that anybody may call; there it is missing. The others hear
    401 (RFC 6750), 400 for two credentials, 503 with ``Retry-After`` while nobody can tell what is revoked.
    """
    open_to_all = frozenset(public)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        # The router reads the raw path too: an escaped slash cannot mean one thing here, another there.
        if request.rel_url.raw_path in open_to_all:
            return await handler(request)
        outcome = _authenticate(verifier, request)
        if isinstance(outcome, Refusal):
            return _answer(outcome)
        request[CLAIMS] = outcome
        request[VERIFIER] = verifier
        return await handler(request)

    return check


def assertion_middleware(
    verifier: AssertionVerifier, *, public: Collection[str] = ()
) -> Middleware:
    """Only requests that an edge vouches for reach a handler; ``request[ASSERTION]`` says who calls.

    *public* are exact paths that anybody may call, around the gateway too; there it is missing. The others
    hear 401 with the code ``no_assertion``, or 503 with ``Retry-After`` while nobody can tell what is revoked.
    """
    open_to_all = frozenset(public)
    wanted = HEADER.lower().encode("ascii")

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.rel_url.raw_path in open_to_all:
            return await handler(request)
        values = [value for name, value in request.raw_headers if name.lower() == wanted]
        outcome = read_caller(verifier, values)
        if isinstance(outcome, Refusal):
            return _answer(outcome)
        request[ASSERTION] = outcome
        return await handler(request)

    return check


@asynccontextmanager
async def closing_when_refused(
    request: web.Request, socket: web.WebSocketResponse, *, grace: float = GRACE_SECONDS
) -> AsyncIterator[None]:
    """While inside, *socket* (prepared) is closed the moment *request*'s token is refused.

    With 4401 and the code (``token_revoked``, ``token_expired``) as reason, or with 1013 when the feed went
    stale; the handler's ``async for`` then ends as if the client had left. *grace* seconds later the
    connection is cut and the handler leaves the block, whatever it waits for: a client that does not read
    cannot keep it.
    """
    limit = asyncio.timeout(None)
    try:
        async with limit:
            watch = asyncio.create_task(_close_when_refused(request, socket, limit, grace))
            try:
                yield
            finally:
                await end(watch)
    except TimeoutError:
        if not limit.expired():
            raise  # the handler's own
        if request.transport is not None:
            request.transport.abort()


async def _close_when_refused(
    request: web.Request, socket: web.WebSocketResponse, limit: asyncio.Timeout, grace: float
) -> None:
    refused = await request[VERIFIER].until_refused(request[CLAIMS])
    limit.reschedule(asyncio.get_running_loop().time() + grace)
    await socket.close(code=close_code(refused), message=refused.code.encode())


def _authenticate(verifier: Verifier, request: web.Request) -> Claims | Refusal:
    raw = request.raw_headers
    return authenticate(
        verifier,
        [value for name, value in raw if name.lower() == b"authorization"],
        [value for name, value in raw if name.lower() == b"sec-websocket-protocol"],
    )


def _answer(refusal: Refusal) -> web.Response:
    return web.json_response(
        {"code": refusal.code}, status=refusal.status, headers=dict(refusal.headers)
    )
