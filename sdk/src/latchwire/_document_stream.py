"""What `latchwire.documents` reads from the stream DOCUMENT, always from its leader."""

import base64
import json
from dataclasses import dataclass
from functools import partial
from typing import Final

from nats.aio.msg import Msg

from latchwire._stream import NO_MESSAGE, FeedReadError, StreamReader

STREAM: Final = "DOCUMENT"
SUBJECT_PREFIX: Final = "document."


@dataclass(frozen=True, slots=True)
class Stored:
    """One message of the stream: its sequence, the document's name, the JWS."""

    seq: int
    name: str
    body: bytes


class DocumentReader(StreamReader):
    """Asks as the feed does, of another stream. Each raises FeedReadError without an answer."""

    async def last_seq(self) -> int:
        """The stream's last sequence."""
        return await self._ask(f"{self._api}.STREAM.INFO.{STREAM}", b"", _read_last_seq)

    async def next(self, seq: int) -> Stored | None:
        """The first message at or after *seq*, or None when there is none."""
        body = json.dumps({"seq": seq, "next_by_subj": f"{SUBJECT_PREFIX}*"}).encode("ascii")
        subject = f"{self._api}.STREAM.MSG.GET.{STREAM}"
        return await self._ask(subject, body, partial(_read_stored, seq))

    async def next_of(self, seq: int, end: int) -> Stored | None:
        """`next`; "none" is believed of a leader that has shown that it knows *end*.

        Raises:
            FeedReadError: its stream ends before.
        """
        stored = await self.next(seq)
        if stored is not None:
            return stored
        if await self.last_seq() < end:
            raise FeedReadError(f"who leads {STREAM} has not got {end}")
        return await self.next(seq)


def _read_last_seq(answer: bytes) -> int:
    info = json.loads(answer)
    if info["config"]["name"] != STREAM:
        raise ValueError(STREAM)
    return int(info["state"]["last_seq"])


def _read_stored(asked: int, answer: bytes) -> Stored | None:
    found = json.loads(answer)
    if found.get("error", {}).get("err_code") == NO_MESSAGE:
        return None
    message = found["message"]
    seq, subject = int(message["seq"]), str(message["subject"])
    if seq < asked or not subject.startswith(SUBJECT_PREFIX):
        raise ValueError(seq)
    name = subject.removeprefix(SUBJECT_PREFIX)
    return Stored(seq, name, base64.b64decode(message.get("data", ""), validate=True))


def sequence_of(name: str, message: Msg) -> int | None:
    """Where in DOCUMENT *message* is the document *name*, by the server's own headers; None when it is not."""
    headers = message.headers or {}
    sequence = headers.get("Nats-Sequence", "")
    if headers.get("Nats-Stream") != STREAM or headers.get("Nats-Subject") != SUBJECT_PREFIX + name:
        return None
    return int(sequence) if sequence.isascii() and sequence.isdigit() else None
