"""An ASGI server in process, strict about the order of messages: enough to drive a middleware."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from tests.support.waiting import PATIENCE

Message = MutableMapping[str, Any]


class Connection:
    """One scope of *app*: `send` to it, `receive` from it, `finish` when it should be done."""

    def __init__(
        self, app: Any, kind: str, path: str, *headers: tuple[bytes, bytes], **more: Any
    ) -> None:
        scope = {"type": kind, "path": path, "headers": list(headers), **more}
        self._to: asyncio.Queue[Message] = asyncio.Queue()
        self._from: asyncio.Queue[Message] = asyncio.Queue()
        self._closed = False
        self._task = asyncio.create_task(app(scope, self._to.get, self._take))

    async def send(self, **message: Any) -> None:
        """What the client does."""
        await self._to.put(message)

    async def receive(self) -> Message:
        """What the application said next."""
        async with asyncio.timeout(PATIENCE):
            return await self._from.get()

    @property
    def silent(self) -> bool:
        """Whether nothing more has been said."""
        return self._from.empty()

    async def finish(self) -> None:
        """Return when the application has; its exception is raised."""
        async with asyncio.timeout(PATIENCE):
            await self._task

    async def _take(self, message: Message) -> None:
        assert not self._closed, f"{message} after the end"
        final = {"websocket.close", "http.response.body", "websocket.http.response.body"}
        self._closed = message["type"] in final
        await self._from.put(message)


def bearer(token: str) -> tuple[bytes, bytes]:
    """The header of RFC 6750."""
    return b"authorization", b"Bearer " + token.encode("ascii")
