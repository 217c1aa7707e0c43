"""ASGI (Starlette, FastAPI, Django, Quart, …): let in who has a token that counts, HTTP and WebSocket.

    app = AuthMiddleware(app, verifier, public=["/health"])

    claims = claims_of(scope)          # Starlette and FastAPI: request.state.claims

Behind the gateway, where its edges say who calls (`latchwire.assertions`):

    app = AssertionMiddleware(app, verifier, public=["/health"])

    caller = assertion_of(scope)       # request.state.assertion

Nothing is imported but this package: https://asgi.readthedocs.io/en/latest/specs/www.html is the interface.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

from latchwire._bearer import (
    CLOSE_REFUSED,
    GRACE_SECONDS,
    Refusal,
    authenticate,
    close_code,
    read_caller,
)
from latchwire._ending import end
from latchwire.assertions import HEADER, Assertion, AssertionVerifier
from latchwire.claims import Claims
from latchwire.tokens import Refused
from latchwire.verifier import Verifier

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Refusing: TypeAlias = Callable[[], Awaitable[Refused]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

CLAIMS: Final = "claims"
ASSERTION: Final = "assertion"
_WANTED: Final = HEADER.lower().encode("ascii")


class AuthMiddleware:
    """Only requests and WebSockets with one good bearer token reach *app*.

    *public* are exact paths (``scope["path"]``) that anybody may call. The others hear 401 (RFC 6750), 400
    for two credentials, 503 with ``Retry-After`` while nobody can tell what is revoked. With
    *close_when_refused* an open WebSocket is closed the moment its token is refused: 4401 and the code as
    reason, or 1013 when the feed went stale. *grace* seconds later the application is cancelled, should it
    still be there: a client that does not read cannot keep it.
    """

    def __init__(
        self,
        app: Application,
        verifier: Verifier,
        *,
        public: Collection[str] = (),
        close_when_refused: bool = True,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._public = frozenset(public)
        self._closes = close_when_refused
        self._grace = grace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one WebSocket, or the application's own life."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] in self._public:
            await self._app(scope, receive, send)
            return
        outcome = self._authenticate(scope)
        if isinstance(outcome, Refusal):
            await _refuse(outcome, scope, receive, send)
            return
        inner = {**scope, "state": {**scope.get("state", {}), CLAIMS: outcome}}
        if scope["type"] == "websocket" and self._closes:
            refusal = partial(self._verifier.until_refused, outcome)
            await _Guarded(send, receive, self._grace).run(self._app, inner, refusal)
        else:
            await self._app(inner, receive, send)

    def _authenticate(self, scope: Scope) -> Claims | Refusal:
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        return authenticate(
            self._verifier,
            [value for name, value in headers if name == b"authorization"],
            [value for name, value in headers if name == b"sec-websocket-protocol"],
        )


def claims_of(scope: Scope) -> Claims:
    """Whose request it is, behind `AuthMiddleware`.

    Raises:
        KeyError: the path is public, or the middleware is missing.
    """
    claims: Claims = scope["state"][CLAIMS]
    return claims


class AssertionMiddleware:
    """Only requests and WebSockets that an edge vouches for reach *app*.

    *public* are exact paths (``scope["path"]``) that anybody may call, around the gateway too. The others hear
    401 with the code ``no_assertion``, or 503 with ``Retry-After`` while nobody can tell what is revoked.
    """

    def __init__(
        self, app: Application, verifier: AssertionVerifier, *, public: Collection[str] = ()
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one WebSocket, or the application's own life."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] in self._public:
            await self._app(scope, receive, send)
            return
        values = [value for name, value in scope["headers"] if name.lower() == _WANTED]
        outcome = read_caller(self._verifier, values)
        if isinstance(outcome, Refusal):
            await _refuse(outcome, scope, receive, send)
            return
        state = {**scope.get("state", {}), ASSERTION: outcome}
        await self._app({**scope, "state": state}, receive, send)


def assertion_of(scope: Scope) -> Assertion:
    """Who calls, behind `AssertionMiddleware`.

    Raises:
        KeyError: the path is public, or the middleware is missing.
    """
    assertion: Assertion = scope["state"][ASSERTION]
    return assertion


class _Guarded:
    """One WebSocket that somebody else may close: a refusal ends it for the client and for the application."""

    def __init__(self, send: Send, receive: Receive, grace: float) -> None:
        self._send = send
        self._receive = receive
        self._grace = grace
        self._sending = asyncio.Lock()
        self._ended = asyncio.Event()
        self._over = False  # the client, or the application, has closed it
        self._code = CLOSE_REFUSED

    async def run(self, app: Application, scope: Scope, refusal: Refusing) -> None:
        """*app*, until it is done; *refusal* is awaited beside it."""
        limit = asyncio.timeout(None)
        try:
            async with limit:
                watch = asyncio.create_task(self._close_at(refusal, limit))
                try:
                    await app(scope, self._hear, self._say)
                finally:
                    await end(watch)
        except TimeoutError:
            if not limit.expired():
                raise  # the application's own

    async def _close_at(self, refusal: Refusing, limit: asyncio.Timeout) -> None:
        refused = await refusal()
        limit.reschedule(asyncio.get_running_loop().time() + self._grace)
        self._code = close_code(refused)
        self._ended.set()
        async with self._sending:
            if not self._over:
                self._over = True
                with suppress(OSError):  # the client is gone: that is closed too
                    await self._send(
                        {"type": "websocket.close", "code": self._code, "reason": refused.code}
                    )

    async def _hear(self) -> Message:
        """The client's next message, or its disconnection once the token is refused."""
        if self._ended.is_set():
            return {"type": "websocket.disconnect", "code": self._code}
        heard = asyncio.ensure_future(self._receive())
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({heard, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            if not heard.done():
                heard.cancel()
        if self._ended.is_set():
            return {"type": "websocket.disconnect", "code": self._code}
        message = heard.result()
        self._over = self._over or message["type"] == "websocket.disconnect"
        return message

    async def _say(self, message: Message) -> None:
        """Send unless it is closed; then OSError, as the specification says of a closed connection."""
        async with self._sending:
            if self._ended.is_set():
                raise OSError("the token of this WebSocket is refused")
            self._over = self._over or message["type"] == "websocket.close"
            await self._send(message)


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await _respond(refusal, "http.response", send)
        return
    await receive()  # websocket.connect
    if "websocket.http.response" in scope.get("extensions", {}):
        await _respond(refusal, "websocket.http.response", send)
    else:
        await send({"type": "websocket.close", "code": CLOSE_REFUSED, "reason": refusal.code})


async def _respond(refusal: Refusal, kind: str, send: Send) -> None:
    body = json.dumps({"code": refusal.code}).encode("ascii")
    headers = [
        (name.lower().encode("ascii"), text.encode("ascii")) for name, text in refusal.headers
    ]
    headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
