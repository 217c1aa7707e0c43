"""How a reader gets a whole list: from the newest snapshot that is usable, and the rest from the stream.

The snapshot's head and parts may come from a replica that lags: what they lack is read from BLOCKLIST, from
the watermark on. Only its epoch and its end, both from the stream's leader, say whether a snapshot counts. One
that turns out to be broken half-way costs the list that was being filled, and the next try reads the stream
alone.
"""

import asyncio
import logging
import time
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from latchwire._stream import ASK_SECONDS, BATCH_SECONDS, FeedReadError, StreamReader, StreamState
from latchwire.blocklist import Blocklist
from latchwire.snapshots import Loading, SnapshotError, SnapshotHead

STREAM: Final = "SNAPSHOT"
SUBJECT_PREFIX: Final = "snapshot."
TRIES: Final = 3
SLICE_SECONDS: Final = 0.002  # of decoding, between two turns of the loop

_log = logging.getLogger("latchwire.feed")


class SnapshotReader(StreamReader):
    """Reads the stream SNAPSHOT by direct get."""

    async def last_of(self, name: str, seconds: float = ASK_SECONDS) -> bytes | None:
        """The last message on ``snapshot.<name>``, or None when there is none.

        Raises:
            FeedReadError: no answer within *seconds*, or an error.
        """
        done: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        wanted = {"Nats-Stream": STREAM, "Nats-Subject": f"{SUBJECT_PREFIX}{name}"}

        async def on_reply(message: Msg) -> None:
            headers = message.headers or {}
            status = headers.get("Status")
            if done.done():
                return
            if status == "404":
                done.set_result(None)
            elif status is not None:
                done.set_exception(FeedReadError(f"{STREAM}: status {status}"))
            elif all(headers.get(field) == value for field, value in wanted.items()):
                done.set_result(message.data)

        subject = f"{self._api}.DIRECT.GET.{STREAM}"
        body = f'{{"last_by_subj":"{SUBJECT_PREFIX}{name}"}}'.encode("ascii")
        return await self._exchange(subject, body, on_reply, done, seconds)


class Join:
    """Reads whole lists over *client*; *api_prefix* is where its account finds the JetStream API."""

    def __init__(self, client: Client, api_prefix: str) -> None:
        self._reader = SnapshotReader(client, api_prefix)
        self._tries = TRIES

    def leave_snapshots(self) -> None:
        """Read the next list from the stream alone."""
        self._tries = 0

    async def read(self, into: Blocklist, state: StreamState) -> int:
        """Fill the new list *into*; the sequence up to which it is then complete.

        Raises:
            FeedReadError: not now; *into* may hold anything and must be dropped.
        """
        watermark = 0
        if self._tries:
            self._tries -= 1
            watermark = await self._read_snapshot(into, state)
        seq = await self._reader.read_after(watermark, state, into)
        self._tries = TRIES
        return seq

    async def _read_snapshot(self, into: Blocklist, state: StreamState) -> int:
        """The watermark of the snapshot that was loaded, or 0 when there is none for this stream."""
        try:
            head = await self._usable_head(state)
            if head is None:
                return 0
            await self._load(head, into)
        except SnapshotError as error:
            self._tries = 0
            raise FeedReadError(f"the snapshot is not used: {error}") from error
        _log.info("feed.snapshot id=%s watermark=%d records=%d", head.id, head.watermark, len(into))
        return head.watermark

    async def _usable_head(self, state: StreamState) -> SnapshotHead | None:
        try:
            body = await self._reader.last_of("head")
        except FeedReadError:
            if self._tries:
                raise
            return None  # no such stream, or not for us: the list itself can be read all the same
        head = None if body is None else SnapshotHead.unpack(body)
        if head is None or head.epoch != state.epoch or head.watermark > state.last_seq:
            return None
        return head

    async def _load(self, head: SnapshotHead, into: Blocklist) -> None:
        loading = Loading(head, into)
        for number in range(head.parts):
            body = await self._reader.last_of(f"{head.id}.{number}", BATCH_SECONDS)
            if body is None:
                raise SnapshotError(f"part {number} of {head.parts} is not there")
            began = time.perf_counter()
            for _ in loading.take(body):
                if time.perf_counter() - began > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    began = time.perf_counter()
        loading.finish()
