"""Snapshots of BLOCKLIST as they are stored: parts that live for an hour, and a head that names the newest.

Beside them lies the last beat that was given in Redis: a worker that starts knows by it a Redis from the past.
"""

import base64
import json
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError

from shared import contract
from shared.bus.errors import BusUnavailableError
from shared.bus.state import NO_MESSAGE, WRONG_LAST_SEQUENCE

TIMEOUT = 5.0  # seconds, per request; a part is half a megabyte
PART_SECONDS = 3_600
BEAT = "snapshot.redis.beat"
MOST_DIGITS = 15  # exact in Redis, which counts in doubles
BEAT_SECONDS = 24 * 3_600  # longer than anything single-use lives


@dataclass(frozen=True)
class StoredHead:
    """The newest head: its *body*, and its *seq* for the compare-and-set of the next."""

    body: bytes
    seq: int


class SnapshotStore:
    """Reads the head and writes parts and heads, over one connection."""

    def __init__(self, client: Client, js: JetStreamContext) -> None:
        self._client = client
        self._js = js

    async def head(self) -> StoredHead | None:
        """The head, from the leader; None when there is none.

        Raises:
            BusUnavailableError: the leader did not answer.
        """
        return await self._last(contract.SNAPSHOT_HEAD)

    async def beat(self) -> int:
        """The last beat that a worker stored, from the leader; 0 when there is none, or no number.

        Raises:
            BusUnavailableError: the leader did not answer.
        """
        stored = await self._last(BEAT)
        digits = stored.body[:MOST_DIGITS] if stored is not None else b""
        return int(digits) if digits.isdigit() else 0

    async def put_beat(self, beat: int) -> None:
        """Store *beat*.

        Raises:
            BusUnavailableError: no PubAck.
        """
        await self._publish(BEAT, str(beat).encode(), {}, BEAT_SECONDS)

    async def _last(self, wanted: str) -> StoredHead | None:
        subject = f"$JS.API.STREAM.MSG.GET.{contract.SNAPSHOT.name}"
        question = json.dumps({"last_by_subj": wanted}).encode()
        try:
            reply = await self._client.request(subject, question, timeout=TIMEOUT)
        except nats.errors.Error as error:
            raise BusUnavailableError(str(error)) from error
        found = json.loads(reply.data)
        if "message" in found:
            message = found["message"]
            return StoredHead(base64.b64decode(message.get("data", "")), message["seq"])
        if found.get("error", {}).get("err_code") != NO_MESSAGE:
            raise BusUnavailableError(str(found.get("error")))
        return None

    async def put_part(self, id_: str, number: int, body: bytes) -> None:
        """Store part *number* of the snapshot *id_* for an hour.

        Raises:
            BusUnavailableError: no PubAck.
        """
        await self._publish(f"snapshot.{id_}.{number}", body, {}, PART_SECONDS)

    async def put_head(self, body: bytes, *, expected_seq: int) -> bool:
        """Store a head if the last one is still *expected_seq* (0: none); whether it was.

        Raises:
            BusUnavailableError: no PubAck; it may or may not be stored.
        """
        headers = {"Nats-Expected-Last-Subject-Sequence": str(expected_seq)}
        return await self._publish(contract.SNAPSHOT_HEAD, body, headers, None)

    async def _publish(
        self, subject: str, body: bytes, headers: dict[str, str], ttl: int | None
    ) -> bool:
        try:
            await self._js.publish(subject, body, timeout=TIMEOUT, headers=headers, msg_ttl=ttl)
        except APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                return False
            raise BusUnavailableError(str(error)) from error
        except nats.errors.Error as error:
            raise BusUnavailableError(str(error)) from error
        return True
