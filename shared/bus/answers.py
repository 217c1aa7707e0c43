"""Answers to questions: to each asker its own, or the same to all who wait. How many wait is bounded.

Guests ask the probe, and a stolen credential asks it fifty thousand times a second. So there an asker costs
a place in a list and a line to the server, and nothing is read of what they say. The newest are kept and
answered first, because who got no answer has long asked again.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.replies import guard, reply_to
from shared.contract import M, Question, R
from shared.trace import bound_trace

log = structlog.get_logger()

MOST_BEYOND = 1_000  # questions that wait beside those at work
MOST_WAITING = 5_000  # askers; ten times as many as there can be edges
MOST_BYTES = 8 << 20  # of what has come in and was not looked at yet
PAUSE_EVERY = 64  # answers: then others of this process have their turn


@dataclass
class Crowd(Generic[M, R]):
    """Those who wait for the answer to *question*; what they say with it is not read."""

    client: Client
    question: Question[M, R]
    handler: Callable[[M], Awaitable[R]]
    _waiting: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _trouble: str = ""

    async def hear(self, message: Msg) -> None:
        """One more."""
        if message.reply:
            self._waiting.append(message.reply)
            self._wake.set()

    async def run(self) -> None:
        """Answer, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.answer_once()

    async def answer_once(self) -> None:
        """Those who wait now. Why they get no answer is said when it changes: they ask again at once."""
        subject, before = self.question.name, self._trouble
        self._trouble = await guard(subject, self._round(), before)
        if before and not self._trouble:
            log.info("message.answered_again", subject=subject)

    async def _round(self) -> None:
        askers = list(self._waiting)
        self._waiting.clear()
        answer = await self.handler(self.question.model())
        body = answer.model_dump_json(exclude_none=True).encode()
        for number, reply in enumerate(reversed(askers), 1):
            with contextlib.suppress(nats.errors.Error):
                await self.client.publish(reply, body)
            if number % PAUSE_EVERY == 0:
                await asyncio.sleep(0)


class Answers:
    """What one connection answers; *queue* is shared with the others of its role."""

    def __init__(self, client: Client, queue: str) -> None:
        self._client = client
        self._queue = queue
        self._tasks: set[asyncio.Task[Any]] = set()

    async def to_each(
        self,
        question: Question[M, R],
        handler: Callable[[M], Awaitable[R]],
        *,
        at_once: int,
        everyone: bool = False,
    ) -> None:
        """Answer *at_once* at a time; a thousand more may wait, who comes on top is not answered.

        *everyone*: this process answers whoever else does (`shared.bus.gather` collects the answers).
        """
        answering = asyncio.Semaphore(at_once)  # its own: a slow answer must not hold up another
        asked: set[asyncio.Task[Any]] = set()

        async def respond(message: Msg) -> None:
            async with answering:
                with contextlib.suppress(nats.errors.Error):
                    await message.respond(await reply_to(question, handler, message.data))

        async def received(message: Msg) -> None:
            # Beside the subscription's own loop, which hands over one message at a time.
            if len(asked) < at_once + MOST_BEYOND:
                with bound_trace(message.headers):  # a task goes on in the context it was begun in
                    task = self._begin(guard(question.name, respond(message)))
                asked.add(task)
                task.add_done_callback(asked.discard)

        queue = "" if everyone else self._queue
        await self._client.subscribe(question.name, queue=queue, cb=received)

    async def to_all(self, question: Question[M, R], handler: Callable[[M], Awaitable[R]]) -> None:
        """One answer for all who had asked before it was begun."""
        crowd = Crowd(self._client, question, handler)
        self._begin(crowd.run())
        await self._client.subscribe(
            question.name,
            queue=self._queue,
            cb=crowd.hear,
            pending_msgs_limit=MOST_WAITING,
            pending_bytes_limit=MOST_BYTES,
        )

    def stop(self) -> None:
        """Give up the answers under way; their askers time out."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """*work* beside others; the set keeps the task alive and lets `stop` end it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
