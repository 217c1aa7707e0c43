"""What a feed reads from the BLOCKLIST stream: its state, batches by direct get, the leader's word.

Every question has a reply inbox of its own that nobody can guess: another client of the same account
may have a server answer sent to any subject it can name, and must not be able to name this one. Should it
all the same, what does not fit the question is no answer to it.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from latchwire._asking import LineLostError, answered
from latchwire._transfer import STATE_PREFIX, STREAM, Batch, Sink, Transfer
from latchwire._transfer import FeedReadError as FeedReadError

T = TypeVar("T")
_log = logging.getLogger("latchwire.feed")

BATCH: Final = 2_000  # some 600 kB, so that a slow link brings it in time
ASK_SECONDS: Final = 1.5
PROBE_PATIENCE_SECONDS: Final = 3.0  # a proof dates from the question: a slow one is still one
BATCH_SECONDS: Final = 10.0
READ_TRIES: Final = 3
LAG_PAUSE_SECONDS: Final = 0.05
NO_MESSAGE: Final = 10037  # err_code; a missing stream is a 404 too
# What reading an answer raises when it is none.
_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError)


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


class StreamReader:
    """Reads BLOCKLIST over *client*; *api_prefix* is where its account finds the JetStream API."""

    def __init__(self, client: Client, api_prefix: str) -> None:
        self._client = client
        self._api = api_prefix
        self.passed_over = (
            0  # messages in BLOCKLIST that are no records, as often as they were read
        )

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
            if following is None:
                following = await self._next_after_doubt(seq + 1, state)
            if following is None or following > state.last_seq:
                return state.last_seq  # the rest has expired or was replaced
            batch = await self._read_batch(following, into)
            if batch.last_seq:
                seq = batch.last_seq
            else:  # it lags, or *following* was replaced just now
                await asyncio.sleep(LAG_PAUSE_SECONDS)
        return seq

    async def _next_after_doubt(self, seq: int, state: StreamState) -> int | None:
        """What follows, asked of a leader that has just shown that it knows *state*'s end.

        One that woke up from a pause, or was cut off, may lack what came since and say "nothing" of it.

        Raises:
            FeedReadError: its stream ends before, or is another.
        """
        now = await self.state()
        if now.epoch != state.epoch or now.last_seq < state.last_seq:
            raise FeedReadError(f"who leads BLOCKLIST has not got {state.last_seq}")
        return await self.next_seq(seq)

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
        batch = await self._exchange(subject, body, transfer.take, transfer.done, BATCH_SECONDS)
        if transfer.passed_over and not self.passed_over:
            _log.warning(
                "feed.no_record BLOCKLIST holds what is no record, before %d", batch.last_seq
            )
        self.passed_over += transfer.passed_over
        return batch

    async def probe(self, subject: str, body: bytes) -> Freshness:
        """Ask the revocation workers how far a reader must be.

        A worker that hangs keeps the questions that fall to it: what is not answered soon is asked again.

        Raises:
            FeedReadError: no answer, or not one that can be read.
        """
        return await self._ask(
            subject, body, _read_freshness, seconds=PROBE_PATIENCE_SECONDS, repeat=True
        )

    async def _ask(
        self,
        subject: str,
        body: bytes,
        read: Callable[[bytes], T],
        *,
        seconds: float = ASK_SECONDS,
        repeat: bool = False,
    ) -> T:
        """The first reply that can be *read*; others are passed over.

        Raises:
            FeedReadError: none within so many *seconds*, or nobody is there to reply.
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

        return await self._exchange(subject, body, on_reply, done, seconds, repeat=repeat)

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
