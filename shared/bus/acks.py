"""Many publishes at once: their PubAcks come over one subscription, and each costs as little as it can.

The reply inbox cannot be guessed: who may have a server answer to a subject of their choice must not be able
to forge a PubAck.
"""

import asyncio
import json
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError


class PubAcks:
    """Publishes over *client* and waits for JetStream's answers."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = ""
        self._count = 0
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._subscribing = asyncio.Lock()

    async def publish(
        self, subject: str, body: bytes, headers: dict[str, str], *, timeout: float
    ) -> dict[str, Any]:
        """The PubAck: ``stream``, ``seq`` and perhaps ``duplicate``.

        Raises:
            nats.js.errors.APIError: JetStream refused.
            nats.errors.Error: no answer within *timeout* seconds, or nobody to give one.
        """
        if not self._inbox:
            await self._subscribe()
        self._count += 1
        reply = f"{self._inbox}.{self._count}"
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._waiting[reply] = answer
        try:
            await self._client.publish(subject, body, reply=reply, headers=headers)
            async with asyncio.timeout(timeout):
                message = await answer
        except TimeoutError as error:
            raise nats.errors.TimeoutError from error
        finally:
            del self._waiting[reply]
        return _read(message)

    async def _subscribe(self) -> None:
        async with self._subscribing:
            if not self._inbox:
                inbox = self._client.new_inbox()
                await self._client.subscribe(f"{inbox}.*", cb=self._received)
                self._inbox = inbox

    async def _received(self, message: Msg) -> None:
        answer = self._waiting.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message)


def _read(message: Msg) -> dict[str, Any]:
    if not message.data and (message.headers or {}).get("Status") == "503":
        raise nats.errors.NoRespondersError
    found: dict[str, Any] = json.loads(message.data)
    if "error" in found:
        raise APIError.from_error(found["error"])
    return found
