"""What a feed reads from the BLOCKLIST stream: its state, batches by direct get, the leader's word.

Every question has a reply inbox of its own that nobody can guess: another client of the same account
may have a server answer sent to any subject it can name, and must not be able to name this one. Should it
all the same, what does not fit the question is no answer to it.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from latchwire._asking import LineLostError, answered
from latchwire.records import Record, RecordError, is_foreign, is_record_key

T = TypeVar("T")

STREAM: Final = "BLOCKLIST"
STATE_PREFIX: Final = "bl."
BATCH: Final = 2_000  # some 600 kB, so that a slow link brings it in time
ASK_SECONDS: Final = 1.5
BATCH_SECONDS: Final = 10.0
READ_TRIES: Final = 3
LAG_PAUSE_SECONDS: Final = 0.05
NOTHING: Final = Record(0)
NO_MESSAGE: Final = 10037  # err_code; a missing stream is a 404 too
# What reading an answer raises when it is none.
_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError)


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
class StreamState:
    """The stream as its leader sees it: *epoch* from the metadata, *last_seq*."""

    epoch: str
    last_seq: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """A probe's answer: how far the stream is, how old what it still lacks may be, how far DOCUMENT is."""

    epoch: str
    last_seq: int
    backlog_seconds: float
    documents_seq: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """How far a direct get came: *last_seq* of its last message, 0 when it did not begin as asked."""

    last_seq: int


def read_delta(message: Msg) -> Delta | None:
    """The record in *message*, or None unless the server's own headers say where it is from."""
    headers = message.headers or {}
    subject, sequence = headers.get("Nats-Subject", ""), headers.get("Nats-Sequence", "")
    key = subject.removeprefix(STATE_PREFIX)
    if not subject.startswith(STATE_PREFIX) or not is_record_key(key):
        return None
    if not (sequence.isascii() and sequence.isdigit()):
        return None
    try:
        return Delta(int(sequence), key, Record.unpack(message.data))
    except RecordError:
        return None


def _read_place(headers: dict[str, str]) -> Delta | None:
    """Where something lies in BLOCKLIST that is no record: it counts as a place without a revocation."""
    sequence = headers.get("Nats-Sequence", "")
    if not (sequence.isascii() and sequence.isdigit()):
        return None
    return Delta(int(sequence), "", NOTHING)


class StreamReader:
    """Reads BLOCKLIST over *client*; *api_prefix* is where its account finds the JetStream API."""

    def __init__(self, client: Client, api_prefix: str) -> None:
        self._client = client
        self._api = api_prefix

    async def state(self) -> StreamState:
        """The leader's view.

        Raises:
            FeedReadError: no answer, no such stream, or a stream without an epoch.
        """
        return await self._ask(f"{self._api}.STREAM.INFO.{STREAM}", b"", _read_state)

    async def next_seq(self, seq: int) -> int | None:
        """The leader's first sequence at or after *seq*, or None when it has nothing left.

        Raises:
            FeedReadError: no answer, or neither a message nor "no message found".
        """
        body = _json({"seq": seq, "next_by_subj": f"{STATE_PREFIX}*"})
        subject = f"{self._api}.STREAM.MSG.GET.{STREAM}"
        return await self._ask(subject, body, partial(_read_next, seq))

    async def read_after(self, seq: int, state: StreamState, into: Sink) -> int:
        """Put everything after *seq* *into* the list; the sequence up to which it is then complete.

        Where each batch begins, and that nothing is left, is the leader's word: a replica may lag.

        Raises:
            FeedReadError: the stream could not be read to *state*'s end.
        """
        while seq < state.last_seq:
            following = await self.next_seq(seq + 1)
            if following is None or following > state.last_seq:
                return state.last_seq  # the rest has expired or was replaced
            batch = await self._read_batch(following, into)
            if batch.last_seq:
                seq = batch.last_seq
            else:  # it lags, or *following* was replaced just now
                await asyncio.sleep(LAG_PAUSE_SECONDS)
        return seq

    async def _read_batch(self, seq: int, into: Sink) -> Batch:
        for _ in range(READ_TRIES - 1):
            with suppress(FeedReadError):
                return await self._read_once(seq, into)
        return await self._read_once(seq, into)

    async def _read_once(self, seq: int, into: Sink) -> Batch:
        transfer = Transfer(seq, into)
        # The stream has no other subjects than ours, and to match none of them is faster by half.
        body = _json({"seq": seq, "batch": BATCH, "next_by_subj": ">"})
        subject = f"{self._api}.DIRECT.GET.{STREAM}"
        return await self._exchange(subject, body, transfer.take, transfer.done, BATCH_SECONDS)

    async def probe(self, subject: str, body: bytes) -> Freshness:
        """Ask the revocation workers how far a reader must be.

        A worker that hangs keeps the questions that fall to it: what is not answered soon is asked again.

        Raises:
            FeedReadError: no answer, or not one that can be read.
        """
        return await self._ask(subject, body, _read_freshness, repeat=True)

    async def _ask(
        self, subject: str, body: bytes, read: Callable[[bytes], T], *, repeat: bool = False
    ) -> T:
        """The first reply that can be *read*; others are passed over.

        Raises:
            FeedReadError: none within 1.5 s, or nobody is there to reply.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def on_reply(message: Msg) -> None:
            if done.done():
                return
            if (message.headers or {}).get("Status"):
                done.set_exception(FeedReadError(f"nobody answers {subject}"))
                return
            with suppress(*_UNREADABLE):
                done.set_result(read(message.data))

        return await self._exchange(subject, body, on_reply, done, ASK_SECONDS, repeat=repeat)

    async def _exchange(
        self,
        subject: str,
        body: bytes,
        callback: Callable[[Msg], Awaitable[None]],
        done: "asyncio.Future[T]",
        seconds: float,
        *,
        repeat: bool = False,
    ) -> T:
        inbox = f"{self._client.new_inbox()}.{secrets.token_hex(16)}"
        ask = partial(self._client.publish, subject, body, reply=inbox)
        try:
            async with asyncio.timeout(seconds):
                subscription = await self._client.subscribe(
                    inbox, cb=callback, pending_msgs_limit=0, pending_bytes_limit=0
                )
                try:
                    await ask()
                    return await answered(self._client, done, ask if repeat else None)
                finally:
                    with suppress(NatsError):
                        await subscription.unsubscribe()
        except TimeoutError as error:
            raise FeedReadError(f"no answer on {subject} that can be read") from error
        except (NatsError, LineLostError) as error:
            raise FeedReadError(f"{subject}: {error}") from error


class Transfer:
    """One batch of direct get from *start* on, which exists: each message names the one before it.

    So a loss shows, and so does an answer to another question.
    """

    def __init__(self, start: int, into: Sink) -> None:
        self.done: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()
        self._start = start
        self._into = into
        self._previous = 0

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
        delta = read_delta(message)
        if delta is None and is_foreign(message.data):
            delta = _read_place(headers)
        if delta is None:
            at = headers.get("Nats-Sequence")
            self.done.set_exception(FeedReadError(f"BLOCKLIST {at} is not a record we understand"))
            return
        if headers.get("Nats-Last-Sequence") != str(self._previous):
            self.done.set_exception(FeedReadError("a message is missing inside a batch"))
            return
        if not self._previous and delta.seq != self._start:
            self.done.set_result(Batch(0))
            return
        if delta.record != NOTHING:
            self._into.apply(delta.key, delta.record)
        self._previous = delta.seq

    def _end(self, status: str, headers: dict[str, str]) -> None:
        if status == "404":
            self.done.set_result(Batch(0))
        elif status == "204" and headers.get("Nats-Last-Sequence") == str(self._previous):
            self.done.set_result(Batch(self._previous))
        else:
            self.done.set_exception(FeedReadError(f"direct get ended with status {status}"))


def _read_state(answer: bytes) -> StreamState:
    info = json.loads(answer)
    if info["config"]["name"] != STREAM:
        raise ValueError(STREAM)
    return StreamState(str(info["config"]["metadata"]["epoch"]), int(info["state"]["last_seq"]))


def _read_next(asked: int, answer: bytes) -> int | None:
    found = json.loads(answer)
    if found.get("error", {}).get("err_code") == NO_MESSAGE:
        return None
    seq = int(found["message"]["seq"])
    if seq < asked or not found["message"]["subject"].startswith(STATE_PREFIX):
        raise ValueError(seq)
    return seq


def _read_freshness(answer: bytes) -> Freshness:
    proof = json.loads(answer)
    backlog_ms = max(0, int(proof["backlog_ms"]))
    documents_seq = int(proof.get("documents_seq", 0))
    return Freshness(str(proof["epoch"]), int(proof["last_seq"]), backlog_ms / 1000, documents_seq)


def _json(value: dict[str, object]) -> bytes:
    return json.dumps(value).encode("ascii")
