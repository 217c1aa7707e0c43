"""A pull consumer for many messages a second: standing requests for a window of them, each handled as it comes.

The server hands a message over the moment it is stored, because a request always waits there; how many are
at work at once is the window. Every message is a task of its own, so none waits for another.

The ack is policy, decided here from how the handler ended. It is not waited for: one that is lost means
that the message comes again, and handlers are idempotent. A short `Retry` is waited for here; the server
hears every third of ``ack_wait`` that the message is still held.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from shared.bus.consumer import (
    MAX_DELAY,
    DeadLetters,
    Delivery,
    Handler,
    delivered,
    describe,
    handling,
    place,
)
from shared.bus.errors import BusUnavailableError, Reject, Retry
from shared.bus.gate import Gate, OpenGate
from shared.bus.undecodable import why_undecodable
from shared.clock import Clock
from shared.contract import Durable
from shared.pauses import pause
from shared.trace import bound_trace

log = structlog.get_logger()

T = TypeVar("T")

REQUEST_SECONDS = (
    2.0  # a request's life at the server; what was lost unsaid is asked again after that
)
LATE_SECONDS = 0.5  # how much later than its end a request counts as lost
LOOK_SECONDS = 0.1  # how soon a connection that came back is noticed
PAUSE_SECONDS = 0.25  # after the server said that it cannot
HOLD_SECONDS = (
    1.0  # a retry this soon is waited for here; a later one is the server's to give again
)

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
ORDINARY = frozenset({"404", "408"})  # how a request ends for which nothing came

# Told of a dead letter: where it was, its body when that could be read, else the id its publisher gave it
# ("" for none), and why.
Refused = Callable[[Delivery, T | None, str, str], Awaitable[None]]


@dataclass
class Held:
    """A message at work, and when the server last heard so (monotonic seconds)."""

    message: Msg
    told_at: float


@dataclass
class Requests:
    """What the server still owes: *open* messages, at most until *ends* (monotonic seconds)."""

    open: int = 0
    ends: float = 0.0
    not_before: float = 0.0
    trouble: str = ""


@dataclass
class Intake(Generic[T]):
    """One durable, one handler, at most *window* messages at once.

    *refused* is told of each message that became a dead letter: its body when that could be read, and why.
    """

    client: Client
    durable: Durable
    decode: Callable[[Msg], T]
    handler: Handler[T]
    refused: Refused[T]
    dead_letters: DeadLetters
    clock: Clock
    window: int
    gate: Gate = field(default_factory=OpenGate)
    _held: dict[int, Held] = field(default_factory=dict)
    _requests: Requests = field(default_factory=Requests)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _holding: str = ""

    async def run(self, *, stopping: asyncio.Event) -> None:
        """Consume until *stopping*; returns when what was begun is finished."""
        async with asyncio.TaskGroup() as group:

            async def received(message: Msg) -> None:
                # Only the server's own words about a request carry no way to acknowledge them: a header
                # "Status" in a message is its publisher's.
                if not message.reply:
                    self._hear(message.headers or {})
                elif not await self._turned_away(message):
                    self._take(group, message, stopping)

            inbox = self.client.new_inbox()
            subscription = await self.client.subscribe(
                inbox, cb=received, pending_msgs_limit=0, pending_bytes_limit=0
            )
            keeper = group.create_task(self._keep())
            await self._ask_until(stopping, inbox)
            # Drained, so that what is on its way already is handled and not left to ack_wait.
            with contextlib.suppress(nats.errors.Error):
                await subscription.drain()  # type: ignore[no-untyped-call]
            group.create_task(self._end(keeper))

    async def _end(self, keeper: asyncio.Task[None]) -> None:
        while self._held:
            self._wake.clear()
            await self._wake.wait()
        keeper.cancel()

    async def _ask_until(self, stopping: asyncio.Event, inbox: str) -> None:
        reconnects = self.client.stats["reconnects"]
        while not stopping.is_set():
            if self.client.stats["reconnects"] != reconnects:
                reconnects, self._requests = self.client.stats["reconnects"], Requests()
            with contextlib.suppress(nats.errors.Error):
                await self._ask(inbox)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()

    async def _ask(self, inbox: str) -> None:
        """Ask for what there is room for, unless enough is on its way."""
        requests, now = self._requests, self.clock.monotonic()
        if now > requests.ends + LATE_SECONDS:
            requests.open = 0
        room = self._room()
        if not self.client.is_connected or now < requests.not_before:
            return
        if room < (self.window // 4 if requests.open else 1):
            return
        requests.open, requests.ends = requests.open + room, now + REQUEST_SECONDS
        question = {"batch": room, "expires": int(REQUEST_SECONDS * 1e9)}
        name = f"$JS.API.CONSUMER.MSG.NEXT.{self.durable.stream.name}.{self.durable.name}"
        await self.client.publish(name, json.dumps(question).encode(), reply=inbox)

    def _room(self) -> int:
        return self.window - len(self._held) - self._requests.open

    def _hear(self, headers: Mapping[str, str]) -> None:
        """The server says that a request has ended, or why it cannot serve one."""
        requests, status = self._requests, headers.get("Status", "")
        if status == "100":
            return
        left = headers.get("Nats-Pending-Messages")
        requests.open = max(0, requests.open - int(left)) if left else 0
        self._wake.set()
        if status in ORDINARY:
            requests.trouble = ""
            return
        requests.not_before = self.clock.monotonic() + PAUSE_SECONDS
        self._say_trouble(status, headers.get("Description", ""))

    def _say_trouble(self, status: str, description: str) -> None:
        if status != self._requests.trouble:
            log.warning(
                "consumer.fetch_failed",
                consumer=self.durable.name,
                status=status,
                error=description,
            )
        self._requests.trouble = status

    async def _turned_away(self, message: Msg) -> bool:
        """End it here and now, without a task of its own, where the gate says so."""
        requests = self._requests
        requests.open, requests.trouble = max(0, requests.open - 1), ""
        if not self.gate.turns_away(describe(message, self.durable.name)):
            return False
        with contextlib.suppress(nats.errors.Error):
            await message.term()
        delivered(self.durable.name, "turned_away").inc()
        if self._room() >= self.window // 4:
            self._wake.set()
        return True

    def _take(self, group: asyncio.TaskGroup, message: Msg, stopping: asyncio.Event) -> None:
        held = Held(message, self.clock.monotonic())
        self._held[id(held)] = held
        group.create_task(self._work(held, stopping))

    async def _work(self, held: Held, stopping: asyncio.Event) -> None:
        started = held.told_at
        delivery = describe(held.message, self.durable.name)
        with bound_trace(held.message.headers):
            outcome = await self._settle(held.message, delivery, stopping)
        del self._held[id(held)]
        if not self._held or self._room() >= self.window // 4:
            self._wake.set()
        delivered(self.durable.name, outcome).inc()
        handling(self.durable.name).observe(self.clock.monotonic() - started)

    async def _settle(self, message: Msg, delivery: Delivery, stopping: asyncio.Event) -> str:
        try:
            return await self._handle(message, delivery, stopping)
        except (nats.errors.Error, BusUnavailableError) as error:
            # The broker did not hear the verdict: the message comes again after ack_wait.
            log.warning("message.verdict_lost", error=repr(error), **place(delivery))
            return "verdict_lost"

    async def _handle(self, message: Msg, delivery: Delivery, stopping: asyncio.Event) -> str:
        try:
            body = self.decode(message)
        except (ValidationError, ValueError, RecursionError) as error:
            return await self._bury(message, delivery, None, why_undecodable(error))
        try:
            await self._try(body, delivery, stopping)
        except Retry as verdict:
            log.warning(
                "message.retried", reason=verdict.reason, after=verdict.after, **place(delivery)
            )
            await message.nak(delay=verdict.after)
            return "retry"
        except Reject as verdict:
            return await self._bury(message, delivery, body, verdict.reason)
        except Exception:  # a handler's bug must neither end the worker nor lose the message
            log.exception("message.failed", **place(delivery))
            await message.nak(delay=min(MAX_DELAY, 0.25 * 2.0 ** min(delivery.deliveries, 10)))
            return "failed"
        await message.ack()
        return "done"

    async def _try(self, body: T, delivery: Delivery, stopping: asyncio.Event) -> None:
        """Call the handler until it returns or raises what cannot be waited for here.

        What is held while NATS or a stream is away is done as soon as that is back.
        """
        while True:
            try:
                await self.handler(body, delivery)
            except Retry as verdict:
                if verdict.after > HOLD_SECONDS or stopping.is_set():
                    raise
                self._say_holding(verdict.reason)
                await pause(verdict.after, stopping)
            else:
                self._say_holding("")
                return
            delivery = replace(delivery, deliveries=delivery.deliveries + 1)

    def _say_holding(self, reason: str) -> None:
        """One line when messages begin to wait here, and one when they do no more."""
        if reason and not self._holding:
            log.warning("consumer.holding", consumer=self.durable.name, reason=reason)
        elif self._holding and not reason:
            log.info("consumer.resumed", consumer=self.durable.name)
        self._holding = reason

    async def _bury(self, message: Msg, delivery: Delivery, body: T | None, reason: str) -> str:
        if not self.gate.keeps(delivery):
            await message.term()
            return "turned_away"
        log.error("message.buried", reason=reason, **place(delivery))
        decoded = body is not None
        await self.dead_letters.bury(delivery, message.data, reason, decoded=decoded)
        await message.term()
        said_id = (message.headers or {}).get("Nats-Msg-Id", "")
        said_id = said_id if ULID.fullmatch(said_id) else ""
        await self.refused(delivery, body, said_id, reason)
        return "dead_letter"

    async def _keep(self) -> None:
        """Tell the server of each message that is held for long."""
        every = self.durable.ack_wait / 3
        while True:
            await asyncio.sleep(every / 2)
            now = self.clock.monotonic()
            for held in [h for h in self._held.values() if now - h.told_at >= every / 2]:
                held.told_at = now
                with contextlib.suppress(nats.errors.Error):
                    await held.message.in_progress()
