"""One batch of direct get from BLOCKLIST: what is in it, and whether it is whole."""

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from nats.aio.msg import Msg

from latchwire.records import Record, RecordError, is_foreign, is_record_key

STREAM: Final = "BLOCKLIST"
STATE_PREFIX: Final = "bl."


class FeedReadError(Exception):
    """The stream could not be read just now; nothing is wrong with what is known already."""


class Sink(Protocol):
    """Where records go: a `Blocklist`, or one that tells what changed."""

    def apply(self, key: str, record: Record) -> bool: ...


@dataclass(frozen=True, slots=True)
class Delta:
    """One record as the server tells it: stream sequence, key, value."""

    seq: int
    key: str
    record: Record


@dataclass(frozen=True, slots=True)
class Batch:
    """How far a direct get came: *last_seq* of its last message, 0 when it did not begin as asked."""

    last_seq: int


def read_delta(message: Msg) -> Delta | None:
    """The record in *message*, or None unless the server's own headers say where it is from."""
    headers = message.headers or {}
    subject, seq = headers.get("Nats-Subject", ""), _sequence(headers)
    key = subject.removeprefix(STATE_PREFIX)
    if seq is None or not subject.startswith(STATE_PREFIX) or not is_record_key(key):
        return None
    try:
        return Delta(seq, key, Record.unpack(message.data))
    except RecordError:
        return None


def _is_no_record(message: Msg, headers: dict[str, str]) -> bool:
    """Whether *message* of BLOCKLIST is no record of any version: its place counts as one without a revocation.

    What is under a record's key and may be a record of a later version is not of this kind.
    """
    key = headers.get("Nats-Subject", "").removeprefix(STATE_PREFIX)
    return not is_record_key(key) or is_foreign(message.data)


def _sequence(headers: dict[str, str]) -> int | None:
    """The sequence in the server's *headers*, or None."""
    sequence = headers.get("Nats-Sequence", "")
    return int(sequence) if sequence.isascii() and sequence.isdigit() else None


class Transfer:
    """One batch of direct get from *start* on, which exists: each message names the one before it.

    So a loss shows, and so does an answer to another question.
    """

    def __init__(self, start: int, into: Sink) -> None:
        self.done: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()
        self._start = start
        self._into = into
        self._previous = 0
        self.passed_over = 0  # messages that are no records

    async def take(self, message: Msg) -> None:
        """One message of the answer."""
        headers = message.headers or {}
        if self.done.done():
            return
        if (status := headers.get("Status")) is not None:
            self._end(status, headers)
        elif headers.get("Nats-Stream") == STREAM:
            self._take_record(message, headers)

    def _take_record(self, message: Msg, headers: dict[str, str]) -> None:
        delta, seq = read_delta(message), _sequence(headers)
        if seq is None or (delta is None and not _is_no_record(message, headers)):
            self.done.set_exception(FeedReadError(f"BLOCKLIST {seq} is not a record we understand"))
            return
        if headers.get("Nats-Last-Sequence") != str(self._previous):
            self.done.set_exception(FeedReadError("a message is missing inside a batch"))
            return
        if not self._previous and seq != self._start:
            self.done.set_result(Batch(0))
            return
        if delta is None:
            self.passed_over += 1
        else:
            self._into.apply(delta.key, delta.record)
        self._previous = seq

    def _end(self, status: str, headers: dict[str, str]) -> None:
        if status == "404":
            self.done.set_result(Batch(0))
        elif status == "204" and headers.get("Nats-Last-Sequence") == str(self._previous):
            self.done.set_result(Batch(self._previous))
        else:
            self.done.set_exception(FeedReadError(f"direct get ended with status {status}"))
