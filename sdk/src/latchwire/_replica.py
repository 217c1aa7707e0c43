"""The replication engine: a complete copy of the blocklist, and a proof of how old it may be.

Join: subscribe to the deltas, then read a snapshot and the stream, then let the deltas join on. From then on
sequences are contiguous; a gap is filled by direct get, and skipped only when the stream's leader confirms
that nothing is left in it. A record is applied the moment it arrives, in whatever order, because
merging can only refuse more; `Replica.seq` alone waits for the gap.

Freshness is proven, not assumed: once a second the feed asks how far it must be. A proof holds only for the
same epoch and once everything up to the answer's sequence is applied (`latchwire._proof`).
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from latchwire._clock import monotonic as elapsed
from latchwire._companion import Companion
from latchwire._errors import LatchwireError
from latchwire._join import Join
from latchwire._proof import Proof
from latchwire._stream import FeedReadError, Freshness, StreamReader
from latchwire._telling import Telling
from latchwire._transfer import read_delta
from latchwire._trouble import Trouble
from latchwire.blocklist import SWEEP_LIMIT, Blocklist
from latchwire.records import Record

DELTA_PREFIX: Final = "blocklist."
PROBE_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 0.25  # between probes that nobody answers
TICK_SECONDS: Final = 0.1
SWEEP_LATER_MS: Final = 60_000  # after a record has lapsed: clocks are put back by less than this
SWEEP_TICKS: Final = 400  # a round of the whole list: within a minute, however long it is

_log = logging.getLogger("latchwire.feed")


class FeedClosedError(LatchwireError):
    """The NATS connection was closed for good: the feed can never be fresh again."""


class Replica:
    """Keeps `blocklist` equal to the stream BLOCKLIST and knows how stale it may be.

    *nc* is connected already (unlimited reconnects, a short ``ping_interval``); *api_prefix* is where its
    account finds the JetStream API; *monotonic* (seconds) and *now_ms* are the clocks. *documents* is
    replicated beside the list. *probe* answers instead of the revocation workers, for a worker that knows
    by itself how far it must be; it raises FeedReadError when it cannot tell.
    """

    def __init__(
        self,
        nc: Client,
        *,
        hash_key: bytes,
        api_prefix: str = "$JS.API",
        probe_subject: str = "revocation.probe",
        edge_id: str = "",
        documents: Companion | None = None,
        probe: Callable[[], Awaitable[Freshness]] | None = None,
        monotonic: Callable[[], float] = elapsed,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.blocklist = Blocklist(hash_key)
        self.epoch = ""
        self.seq = 0
        self.fills = 0
        self.ignored = 0
        self.loaded = asyncio.Event()  # a complete list has been read
        # Called with key and record after each delta is applied, and with the last of what a gap held: keep it
        # short, it runs on the loop.
        self.on_applied: list[Callable[[str, Record], None]] = []
        self._client = nc
        self._hash_key = hash_key
        self._reader = StreamReader(nc, api_prefix)
        self._join = Join(nc, api_prefix)
        self._documents = documents
        question = json.dumps({"edge_id": edge_id}).encode()
        self._ask = probe or partial(self._reader.probe, probe_subject, question)
        self._monotonic = monotonic
        self._now_ms = now_ms
        self._subscription: Subscription | None = None
        self._wake = asyncio.Event()
        self._ahead: set[int] = set()  # sequences applied beyond the gap
        self._incoming: Blocklist | None = None  # the next list, while it is being read
        self._retired: list[Blocklist] = []  # those no longer used, until they are dismantled
        self._proof = Proof(monotonic, now_ms)
        self._start_over = True
        self._next_probe = float("-inf")
        self._reconnects = 0
        self._trouble = Trouble()

    def staleness_seconds(self) -> float:
        """How long ago the list was last proven complete; infinite before the first proof."""
        return self._proof.age_seconds()

    async def start(self) -> None:
        """Subscribe to the deltas; nothing is read before `run`."""
        if self._subscription is None:
            self._subscription = await self._client.subscribe(
                f"{DELTA_PREFIX}*",
                cb=self._on_delta,
                pending_msgs_limit=0,  # unlimited: a dropped delta would be a forgotten revocation
                pending_bytes_limit=0,
            )
            if self._documents is not None:
                await self._documents.start(self._client)

    async def stop(self) -> None:
        """End the subscriptions."""
        if self._documents is not None:
            await self._documents.stop()
        if self._subscription is not None:
            with suppress(NatsError):
                await self._subscription.unsubscribe()

    def reconnected(self) -> None:
        """Tell the feed that the connection is back (it notices by itself within 100 ms)."""
        self._next_probe = float("-inf")
        self._wake.set()

    async def run(self) -> None:
        """Read, prove, fill and sweep until cancelled.

        Raises:
            FeedClosedError: the connection was closed for good.
        """
        while True:
            if self._client.is_closed:
                raise FeedClosedError
            self._wake.clear()
            if self._client.is_connected:
                await self._work()
            self._sweep()
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._wake.wait()

    async def _work(self) -> None:
        try:
            if await self._catch_up():
                self._trouble.say("")
        except FeedReadError as error:
            self._trouble.say(str(error))

    async def _catch_up(self) -> bool:
        """Returns whether a probe was answered: only then is a trouble over."""
        reconnects = self._client.stats["reconnects"]
        returned, self._reconnects = reconnects != self._reconnects, reconnects
        if returned:
            self._next_probe = float("-inf")
        if self._start_over:
            await self._load()
        elif returned or self._ahead or self._proof.waits:
            await self._fill()
        if self._monotonic() < self._next_probe:
            return False
        self._next_probe = self._monotonic() + PROBE_SECONDS
        await self._probe_or_soon_again()
        return True

    async def _probe_or_soon_again(self) -> None:
        """After a restart of NATS, who answers probes may be back a little later than this reader."""
        try:
            await self._probe()
        except FeedReadError:
            self._next_probe = min(self._next_probe, self._monotonic() + AGAIN_SECONDS)
            raise

    async def _load(self) -> None:
        """Read a new list beside the old one, which keeps refusing, and swap when it is complete."""
        self._ahead.clear()
        self._incoming = dropped = Blocklist(self._hash_key)
        try:
            state = await self._reader.state()
            seq = await self._join.read(self._incoming, state)
            dropped, self.blocklist = self.blocklist, self._incoming
        finally:
            self._incoming = None
            self._retired.append(dropped)
        self.epoch, self.seq = state.epoch, 0
        self._proof.drop()  # it was of the old list: a restored stream may lack what that one held
        self._start_over, self._next_probe = False, float("-inf")
        self._advance_to(seq)
        if self.loaded.is_set():
            self._renewed()
        self.loaded.set()
        _log.info("feed.loaded epoch=%s seq=%d records=%d", state.epoch, seq, len(self.blocklist))

    async def _fill(self) -> None:
        """Close the gap after `seq`, or find that this is not the stream it was."""
        asked_at = self.seq
        state = await self._reader.state()
        if state.epoch != self.epoch or state.last_seq < asked_at:
            self._begin_again()
            return
        self.fills += 1
        into = Telling(self.blocklist, partial(self._told, state.last_seq))
        self._advance_to(await self._reader.read_after(self.seq, state, into))
        if into.last is not None:
            self._applied(*into.last)

    async def _probe(self) -> None:
        sent, asked_at = self._proof.now(), self.seq
        answer = await self._ask()
        if answer.epoch != self.epoch or answer.last_seq < asked_at:
            await self._check_stream(asked_at)
            return
        if self._documents is not None and self._documents.seq != answer.documents_seq:
            await self._documents.catch_up(answer.documents_seq)
        self._proof.offer(sent, answer.backlog_seconds, answer.last_seq)
        self._proof.settle(self.seq)
        if self._proof.waits:
            self._wake.set()

    async def _check_stream(self, asked_at: int) -> None:
        """A probe that does not fit: the stream's leader decides whether to start over."""
        state = await self._reader.state()
        if state.epoch != self.epoch or state.last_seq < asked_at:
            self._begin_again()

    def _begin_again(self) -> None:
        _log.warning("feed.restarted the stream is not the one it was")
        self._start_over = True
        self._wake.set()

    async def _on_delta(self, message: Msg) -> None:
        delta = read_delta(message)
        if delta is None or message.subject != DELTA_PREFIX + delta.key:
            self.ignored += 1
            return
        changed = self.blocklist.apply(delta.key, delta.record)
        if self._incoming is not None:
            self._incoming.apply(delta.key, delta.record)
        self._arrived(delta.seq)
        self._applied(delta.key, delta.record)
        if changed:
            self._told(delta.seq, delta.key, delta.record)

    def _applied(self, key: str, record: Record) -> None:
        for callback in self.on_applied:
            callback(key, record)

    def _told(self, seq: int, key: str, record: Record) -> None:
        """For the face: *record* changed the list; *seq* is its own or the end of the gap it was read in."""

    def _renewed(self) -> None:
        """For the face: the list was read anew, and what came with it was not told one by one."""

    def _arrived(self, seq: int) -> None:
        if self._incoming is not None or seq > self.seq + 1:
            self._ahead.add(seq)
            self._wake.set()
        elif seq == self.seq + 1:
            self._advance_to(seq)

    def _advance_to(self, seq: int) -> None:
        """Everything up to *seq* is applied; go on through what arrived before its turn."""
        seq = max(seq, self.seq)
        if self._ahead:
            while seq + 1 in self._ahead:
                seq += 1
            self._ahead = {n for n in self._ahead if n > seq}
        self.seq = seq
        self._proof.settle(seq)

    def _sweep(self) -> None:
        if self._proof.clock_ran_ahead():
            self.reconnected()  # the proof is void already: ask for another one at once
        now_ms = self._now_ms()
        if now_ms < self._proof.swept_until_ms:
            self._read_again_what_was_swept()
        swept_until_ms = max(self._proof.swept_until_ms, now_ms - SWEEP_LATER_MS)
        self._proof.swept_until_ms = swept_until_ms
        self.blocklist.sweep(swept_until_ms, max(SWEEP_LIMIT, len(self.blocklist) // SWEEP_TICKS))
        if self._retired and not self._retired[-1].dismantle():
            self._retired.pop()

    def _read_again_what_was_swept(self) -> None:
        """The clock stood in the future, however it came there: what was swept then may still be alive."""
        _log.warning("feed.clock_went_back the list is read again")
        self._proof.drop()
        self._proof.swept_until_ms = 0
        self._join.leave_snapshots()  # the newest may be made of this list
        self._start_over = True
        self._wake.set()
