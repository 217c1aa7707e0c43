"""The stream DOCUMENT as those who write documents use it: read what is kept, add a document."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError

from shared import contract
from shared.bus.errors import BusUnavailableError
from shared.bus.state import NO_MESSAGE, TIMEOUT, WRONG_LAST_SEQUENCE, Ack

_SUBJECTS = {subject.partition(".")[2]: subject for subject in contract.DOCUMENT_WRITERS}


@dataclass(frozen=True)
class StoredDocument:
    """One message: its sequence, and the JWS as it was published."""

    seq: int
    jws: bytes


class DocumentStore:
    """Over *client*, as a credential that may. Everything is the stream leader's word."""

    def __init__(self, client: Client, js: JetStreamContext) -> None:
        self._client = client
        self._js = js

    async def kept(self, name: str) -> list[StoredDocument]:
        """All messages the stream keeps of the document *name*, in the order they were written.

        Raises:
            BusUnavailableError: the leader did not answer.
        """
        found: list[StoredDocument] = []
        while (stored := await self._next(name, found[-1].seq + 1 if found else 1)) is not None:
            found.append(stored)
        return found

    async def put(self, name: str, jws: bytes, *, after_seq: int) -> Ack | None:
        """Store *jws* if the last message of *name* is *after_seq* (0: none); None when it is not.

        Raises:
            BusUnavailableError: no PubAck; it may or may not be stored.
        """
        headers = {"Nats-Expected-Last-Subject-Sequence": str(after_seq)}
        try:
            ack = await self._js.publish(_SUBJECTS[name], jws, timeout=TIMEOUT, headers=headers)
        except APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                return None
            raise BusUnavailableError(str(error)) from error
        except (nats.errors.Error, NoStreamResponseError) as error:
            raise BusUnavailableError(f"no PubAck on {_SUBJECTS[name]}: {error}") from error
        return Ack(ack.stream, ack.seq, bool(ack.duplicate))

    async def _next(self, name: str, seq: int) -> StoredDocument | None:
        body = json.dumps({"seq": seq, "next_by_subj": _SUBJECTS[name]}).encode()
        call = f"$JS.API.STREAM.MSG.GET.{contract.DOCUMENT.name}"
        try:
            reply = await self._client.request(call, body, timeout=TIMEOUT)
        except nats.errors.Error as error:
            raise BusUnavailableError(f"{contract.DOCUMENT.name}: {error}") from error
        return _stored(json.loads(reply.data))


def _stored(answer: dict[str, Any]) -> StoredDocument | None:
    error = answer.get("error")
    if error and error.get("err_code") != NO_MESSAGE:
        raise BusUnavailableError(f"{contract.DOCUMENT.name}: {error.get('description')}")
    if error:
        return None
    message = answer["message"]
    return StoredDocument(message["seq"], base64.b64decode(message.get("data", "")))
