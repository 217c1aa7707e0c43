"""Pull consumers: each of N loops keeps one request waiting at the server, handles, and acknowledges.

The ack is policy, decided here from how the handler ended; no handler acknowledges anything itself. A
message that is not acknowledged (crash, cancellation, lost ack) comes again, so handlers are idempotent.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Generic, Protocol, TypeVar

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import APIError
from prometheus_client import Counter, Histogram
from pydantic import ValidationError

from shared.bus.errors import BusUnavailableError, Pause, Reject, Retry
from shared.bus.undecodable import why_undecodable
from shared.clock import Clock
from shared.contract import Durable, M, Subject
from shared.ids import Ids
from shared.pauses import pause
from shared.trace import bound_trace

log = structlog.get_logger()

FETCH_WAIT = 1.0  # seconds; also how late a loop notices that the server came back
MAX_DELAY = 30.0  # seconds between tries of a message whose handler fails
ACK_TIMEOUT = 2.0  # seconds

DELIVERIES = Counter(
    "latchwire_deliveries_total", "Messages handled, by outcome.", ["consumer", "outcome"]
)
HANDLING = Histogram("latchwire_handling_seconds", "Time in a handler.", ["consumer"])


@dataclass(frozen=True)
class Delivery:
    """Where a message came from: *stored_at_ms* is the server's time of storing it."""

    subject: str
    stream: str
    sequence: int
    consumer: str
    deliveries: int
    stored_at_ms: int


T = TypeVar("T")
Handler = Callable[[T, Delivery], Awaitable[None]]


class DeadLetters(Protocol):
    """Where a message goes that no retry can help."""

    async def bury(self, delivery: Delivery, body: bytes, reason: str, *, decoded: bool) -> None:
        """Store a copy; raises BusUnavailableError, and then the message is tried again."""
        ...


@dataclass(frozen=True)
class Consumer(Generic[T]):
    """One durable, one handler."""

    js: JetStreamContext
    durable: Durable
    decode: Callable[[Msg], T]
    handler: Handler[T]
    dead_letters: DeadLetters
    clock: Clock
    ids: Ids

    async def run(self, *, concurrency: int, stopping: asyncio.Event) -> None:
        """Consume until *stopping*; returns when what was begun is finished."""
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._loop(stopping))

    async def _loop(self, stopping: asyncio.Event) -> None:
        pull = await self.js.pull_subscribe_bind(self.durable.name, stream=self.durable.stream.name)
        while not stopping.is_set():
            message = await self._next(pull, stopping)
            if message is not None:
                await self._deliver(message)

    async def _next(
        self, pull: JetStreamContext.PullSubscription, stopping: asyncio.Event
    ) -> Msg | None:
        try:
            return (await pull.fetch(1, timeout=FETCH_WAIT))[0]
        except nats.errors.TimeoutError:
            return None  # nothing there, the ordinary case
        except (nats.errors.Error, APIError) as error:
            log.warning("consumer.fetch_failed", consumer=self.durable.name, error=repr(error))
            await pause(FETCH_WAIT, stopping)
            return None

    async def _deliver(self, message: Msg) -> None:
        delivery = describe(message, self.durable.name)
        started = self.clock.monotonic()
        with (
            bound_trace(message.headers),
            structlog.contextvars.bound_contextvars(
                stream=delivery.stream, seq=delivery.sequence, delivery=delivery.deliveries
            ),
        ):
            outcome = await self._settle(message, delivery)
            duration = self.clock.monotonic() - started
            log.info(
                "message.handled",
                consumer=self.durable.name,
                outcome=outcome,
                duration_ms=round(duration * 1000, 1),
            )
        delivered(self.durable.name, outcome).inc()
        handling(self.durable.name).observe(duration)

    async def _settle(self, message: Msg, delivery: Delivery) -> str:
        try:
            return await self._handle_and_acknowledge(message, delivery)
        except (nats.errors.Error, BusUnavailableError) as error:
            # The broker did not hear the verdict: the message comes again after ack_wait.
            log.warning("message.verdict_lost", error=repr(error))
            return "verdict_lost"

    async def _handle_and_acknowledge(self, message: Msg, delivery: Delivery) -> str:
        try:
            body = self.decode(message)
        except (ValidationError, ValueError, RecursionError) as error:
            return await self._bury(message, delivery, why_undecodable(error), False)
        try:
            await self._handle_in_time(message, body, delivery)
        except Retry as verdict:
            await message.nak(delay=verdict.after)
            return "retry"
        except Reject as verdict:
            return await self._bury(message, delivery, verdict.reason, True)
        except Pause as verdict:
            await self._pause(verdict)
            await message.nak(delay=verdict.seconds)
            return "pause"
        except Exception:  # a handler's bug must neither end the worker nor lose the message
            log.exception("message.failed")
            await message.nak(delay=self._delay(delivery.deliveries))
            return "failed"
        await message.ack_sync(timeout=ACK_TIMEOUT)
        return "done"

    async def _handle_in_time(self, message: Msg, body: T, delivery: Delivery) -> None:
        """Run the handler, telling the server every third of ack_wait that work goes on."""
        async with asyncio.TaskGroup() as group:
            beat = group.create_task(self._keep(message))
            try:
                await self.handler(body, delivery)
            except Exception as error:  # noqa: BLE001 - passed on below, outside the group
                beat.cancel()
                failure: Exception | None = error
            else:
                beat.cancel()
                failure = None
        if failure is not None:
            raise failure

    async def _keep(self, message: Msg) -> None:
        while True:
            await asyncio.sleep(self.durable.ack_wait / 3)
            with contextlib.suppress(nats.errors.Error):
                await message.in_progress()

    async def _bury(self, message: Msg, delivery: Delivery, reason: str, decoded: bool) -> str:
        log.error("message.buried", reason=reason)
        await self.dead_letters.bury(delivery, message.data, reason, decoded=decoded)
        await message.term()
        return "dead_letter"

    async def _pause(self, verdict: Pause) -> None:
        until = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC) + timedelta(
            seconds=verdict.seconds
        )
        log.error("consumer.paused", consumer=self.durable.name, reason=verdict.reason)
        with contextlib.suppress(APIError):
            await self.js.pause_consumer(
                self.durable.stream.name, self.durable.name, until.strftime("%Y-%m-%dT%H:%M:%SZ")
            )

    def _delay(self, deliveries: int) -> float:
        full: float = min(MAX_DELAY, 0.25 * 2.0 ** min(deliveries, 10))
        return full * (0.5 + self.ids.random() / 2)


@cache
def delivered(consumer: str, outcome: str) -> Counter:
    """The counter of one consumer and outcome."""
    return DELIVERIES.labels(consumer, outcome)


@cache
def handling(consumer: str) -> Histogram:
    """The times of one consumer."""
    return HANDLING.labels(consumer)


def describe(message: Msg, consumer: str) -> Delivery:
    """The delivery facts of a JetStream message."""
    meta = message.metadata
    return Delivery(
        subject=message.subject,
        stream=meta.stream,
        sequence=meta.sequence.stream,
        consumer=consumer,
        deliveries=meta.num_delivered or 1,
        stored_at_ms=int(meta.timestamp.timestamp() * 1000),
    )


def place(delivery: Delivery) -> dict[str, str | int]:
    """Where a message came from, for a log line."""
    return {
        "stream": delivery.stream,
        "seq": delivery.sequence,
        "delivery": delivery.deliveries,
    }


def decode_with(subject: Subject[M]) -> Callable[[Msg], M]:
    """A decoder for `Consumer` from the contract."""
    return lambda message: subject.decode(message.data)
