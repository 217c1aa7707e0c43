"""One question, and the answers of all processes that answer it (`Bus.answer` with *everyone*)."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from pydantic import ValidationError

from shared.bus.connection import Bus
from shared.bus.errors import BusUnavailableError
from shared.contract import M, Question, R

NOBODY: Final = "503"  # the server's own answer where no process listens


async def gather(
    bus: Bus, question: Question[M, R], message: M, *, heard: Callable[[R], bool], within: float
) -> None:
    """Ask, and hand each answer to *heard* until that says that it was the last, at most *within* seconds.

    Returns at once where nobody listens. What is not the contract's reply is left out.

    Raises:
        BusUnavailableError: not connected.
    """
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def received(reply: Msg) -> None:
        last = not reply.data and (reply.headers or {}).get("Status") == NOBODY
        if not last:
            with contextlib.suppress(ValidationError):
                last = heard(question.reply.model_validate_json(reply.data, extra="ignore"))
        if last and not over.done():
            over.set_result(None)

    if not bus.connected:
        raise BusUnavailableError("not connected")
    body = message.model_dump_json(exclude_none=True).encode()
    inbox = bus.client.new_inbox()
    try:
        subscription = await bus.client.subscribe(inbox, cb=received)
        await bus.client.publish(question.name, body, reply=inbox)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over, within)
        await subscription.unsubscribe()
    except nats.errors.Error as error:
        raise BusUnavailableError(str(error)) from error
