"""The bus as one credential: publish with PubAck, signal, ask, answer, listen, consume, bury."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError, NoStreamResponseError
from pydantic import ValidationError

from shared import contract
from shared.bus.answers import Answers
from shared.bus.backlog import measured
from shared.bus.consumer import Consumer, Delivery, Handler, decode_with
from shared.bus.errors import BusUnavailableError, NoAnswerError
from shared.bus.gate import Gate, OpenGate
from shared.bus.headers import event_headers
from shared.bus.intake import Intake, Refused
from shared.bus.replies import guard
from shared.bus.state import Ack, BlocklistState, Position, StateMessage
from shared.clock import Clock
from shared.contract import Durable, M, Question, R, Role, Stream, Subject
from shared.ids import Ids
from shared.messages import DeadLetter
from shared.trace import bound_trace, current_trace, onwards

log = structlog.get_logger()

PUBLISH_TRIES = 3
PUBLISH_TIMEOUT = 2.5  # seconds per try, unless the publisher has less time
PUBLISH_WITHIN = PUBLISH_TRIES * PUBLISH_TIMEOUT
CONCURRENT_ANSWERS = 64


class Bus:
    """Publish, ask, answer, listen and consume as one credential."""

    def __init__(self, client: Client, role: Role, name: str, clock: Clock, ids: Ids) -> None:
        self.client = client
        self.role = role
        self.name = name
        self._clock = clock
        self._ids = ids
        self._answers = Answers(client, role.value)
        self.js = client.jetstream(timeout=PUBLISH_TIMEOUT)
        self.state = BlocklistState(client, self.js)

    @property
    def connected(self) -> bool:
        """Whether a server is there right now."""
        return bool(self.client.is_connected)

    @property
    def reconnections(self) -> int:
        """How often the connection was made anew: in between nothing was heard."""
        return int(self.client.stats["reconnects"])

    @property
    def api_prefix(self) -> str:
        """Where this account finds JetStream's API."""
        return "CORE.API" if self.role in {Role.EDGE, Role.SERVICE} else "$JS.API"

    async def publish(
        self,
        subject: Subject[M],
        message: M,
        *,
        msg_id: str | None = None,
        within: float = PUBLISH_WITHIN,
    ) -> Ack:
        """Store *message* and wait for the PubAck.

        Tries again under the same ``Nats-Msg-Id``, so an answer that was lost cannot store it twice.

        Raises:
            BusUnavailableError: no PubAck *within* about so many seconds; it may or may not be stored.
        """
        patience = within / PUBLISH_TRIES
        identity = msg_id or getattr(message, "id", None) or self._ids.ulid(self._clock.now_ms())
        headers = event_headers(subject.name, identity, self.name) | self._trace()
        body = subject.encode(message)
        failure: Exception | None = None
        for _ in range(PUBLISH_TRIES):
            try:
                ack = await self.js.publish(
                    subject.name, body, timeout=patience, headers=dict(headers)
                )
                return Ack(ack.stream, ack.seq, bool(ack.duplicate))
            except (nats.errors.Error, NoStreamResponseError, APIError) as error:
                failure = error
                log.warning("publish.unacknowledged", subject=subject.name, error=repr(error))
                if isinstance(error, NoStreamResponseError | APIError):
                    await asyncio.sleep(patience * self._ids.random() / 2)
        raise BusUnavailableError(f"no PubAck on {subject.name}") from failure

    async def signal(self, subject: Subject[M], message: M) -> None:
        """Publish on core NATS: whoever listens now hears it, nothing is kept, nothing is promised."""
        if not self.connected:
            return  # a buffered signal would arrive late and say something untrue
        with contextlib.suppress(nats.errors.Error):
            headers = self._trace() if current_trace() else None  # a heartbeat needs none
            await self.client.publish(subject.name, subject.encode(message), headers=headers)

    async def ask(self, question: Question[M, R], message: M, *, timeout: float = 2.0) -> R:
        """Ask and wait *timeout* seconds.

        Raises:
            NoAnswerError: nobody is there to answer, or not in time, or not with the contract's reply.
            BusUnavailableError: not connected.
        """
        if not self.connected:
            raise BusUnavailableError("not connected")
        body = message.model_dump_json(exclude_none=True).encode()
        try:
            reply = await self.client.request(
                question.name, body, timeout=timeout, headers=self._trace()
            )
            return question.reply.model_validate_json(reply.data, extra="ignore")
        except (nats.errors.NoRespondersError, nats.errors.TimeoutError, ValidationError) as error:
            raise NoAnswerError(question.name) from error
        except nats.errors.Error as error:
            raise BusUnavailableError(str(error)) from error

    async def answer(
        self,
        question: Question[M, R],
        handler: Callable[[M], Awaitable[R]],
        *,
        at_once: int = CONCURRENT_ANSWERS,
        everyone: bool = False,
    ) -> None:
        """Answer *question*, *at_once* at a time; one of this role's processes gets each, or *everyone*."""
        await self._answers.to_each(question, handler, at_once=at_once, everyone=everyone)
        await self._settle()

    async def answer_all(
        self, question: Question[M, R], handler: Callable[[M], Awaitable[R]]
    ) -> None:
        """Answer a *question* that is the same whoever asks it; see `shared.bus.answers`."""
        await self._answers.to_all(question, handler)
        await self._settle()

    async def listen(self, subject: Subject[M], handler: Callable[[M], Awaitable[None]]) -> None:
        """Hear what is published from now on; bodies that are not the contract's model are skipped."""

        async def received(message: Msg) -> None:
            try:
                body = subject.decode(message.data)
            except (ValidationError, ValueError):
                log.warning("message.undecodable", subject=message.subject)
                return
            if not subject.spoken_truly(message.subject, body):
                log.warning("message.false_speaker", subject=message.subject)
                return
            with bound_trace(message.headers):
                await guard(message.subject, handler(body))

        await self.client.subscribe(subject.name, cb=received)
        await self._settle()

    @contextlib.asynccontextmanager
    async def hear_once(self, subject: Subject[M]) -> AsyncIterator["asyncio.Future[M]"]:
        """The first message on *subject* from now on, as a future; unsubscribed at the end of the block.

        Costs no round trip: the server reads what a connection sends in order, so it knows of the
        subscription before anything that is published here inside the block.

        Raises:
            BusUnavailableError: not connected.
        """
        first: asyncio.Future[M] = asyncio.get_running_loop().create_future()

        async def received(message: Msg) -> None:
            with contextlib.suppress(ValidationError, ValueError):
                body = subject.decode(message.data)
                if subject.spoken_truly(message.subject, body) and not first.done():
                    first.set_result(body)

        if not self.connected:
            raise BusUnavailableError("not connected")
        try:
            subscription = await self.client.subscribe(subject.name, cb=received)
        except nats.errors.Error as error:
            raise BusUnavailableError(str(error)) from error
        try:
            yield first
        finally:
            first.cancel()
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _settle(self) -> None:
        """Return when the server knows our subscriptions.

        nats-py 2.16 writes the PING of a flush ahead of what is still buffered, so the first answer
        proves nothing; by the second all has been written.
        """
        await self.client.flush()
        await self.client.flush()

    async def consume(
        self,
        durable: Durable,
        subject: Subject[M],
        handler: Handler[M],
        *,
        concurrency: int,
        stopping: asyncio.Event,
    ) -> None:
        """Handle the messages of *durable* until *stopping*; see `shared.bus.consumer`."""
        decode = decode_with(subject)
        consumer = Consumer(self.js, durable, decode, handler, self, self._clock, self._ids)
        work = consumer.run(concurrency=concurrency, stopping=stopping)
        await measured(self.client, durable, work)

    async def take(
        self,
        durable: Durable,
        subject: Subject[M],
        handler: Handler[M],
        *,
        refused: Refused[M],
        window: int,
        stopping: asyncio.Event,
        gate: Gate | None = None,
    ) -> None:
        """Handle the messages of *durable*, up to *window* at once; see `shared.bus.intake`."""
        intake = Intake(
            self.client,
            durable,
            decode_with(subject),
            handler,
            refused,
            self,
            self._clock,
            window,
            gate or OpenGate(),
        )
        await measured(self.client, durable, intake.run(stopping=stopping))

    async def bury(self, delivery: Delivery, body: bytes, reason: str, *, decoded: bool) -> None:
        """Copy a message to the dead letters; once per stream, sequence and consumer."""
        now = self._clock.now_ms()
        letter = DeadLetter(
            id=self._ids.ulid(now),
            at=now,
            subject=delivery.subject,
            stream=delivery.stream,
            sequence=delivery.sequence,
            consumer=delivery.consumer,
            deliveries=delivery.deliveries,
            reason=reason,
            payload=body.decode() if decoded else None,
            payload_sha256=hashlib.sha256(body).hexdigest(),
            payload_bytes=len(body),
        )
        subject = contract.dead_letter_subject(delivery.subject)
        identity = f"{delivery.stream}:{delivery.sequence}:{delivery.consumer}"
        await self.publish(subject, letter, msg_id=identity)

    async def get_state(self, key: str) -> tuple[bytes, int] | None:
        """See `BlocklistState.get`."""
        return await self.state.get(key)

    async def put_state(
        self, key: str, body: bytes, *, expected_seq: int, ttl_seconds: float
    ) -> Ack | None:
        """See `BlocklistState.put`."""
        return await self.state.put(key, body, expected_seq=expected_seq, ttl_seconds=ttl_seconds)

    async def next_state(self, from_seq: int) -> StateMessage | None:
        """See `BlocklistState.next`."""
        return await self.state.next(from_seq)

    async def stream_position(self, stream: Stream) -> Position:
        """See `BlocklistState.position`."""
        return await self.state.position(stream)

    async def consumer_backlog_ms(
        self, durable: Durable, subjects: Sequence[str] | None = None
    ) -> int:
        """See `BlocklistState.backlog_ms`."""
        return await self.state.backlog_ms(durable, subjects)

    def stop_answering(self) -> None:
        """Give up the answers under way; their askers time out."""
        self._answers.stop()

    def _trace(self) -> dict[str, str]:
        return onwards(self._ids, self._clock.now_ms()).headers
