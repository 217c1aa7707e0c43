"""Ask each service to erase a deleted person, until it is done: by any process of auth, after any crash.

The ledger says who is due, and counts a question before it is put: a process that dies over it costs one
delay, and two processes never put the same one at once.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from services.auth.domain.deletion import OWN
from services.auth.ports import BusUnavailableError, StoreUnavailableError
from services.auth.ports.deletions import Deletions, Erasers, Erasing, Memory
from shared.clock import Clock
from shared.messages import EraseAnswer, EraseUser
from shared.pauses import pause

log = structlog.get_logger()

EVERY_SECONDS = 1.0
AT_ONCE = 32
SILENT = "no answer"


@dataclass
class Eraser:
    """Looks once a second. *late* is how many deletions were over their deadline at the last look."""

    deletions: Deletions
    erasers: Erasers
    memory: Memory
    clock: Clock
    every_seconds: float = EVERY_SECONDS
    late: int = field(default=0, init=False)

    def remark(self) -> str | None:
        """What an operator should know."""
        if not self.late:
            return None
        return f"{self.late} over the deadline: see `latchwire deletions list`"

    async def run(self, stopping: asyncio.Event) -> None:
        """Until *stopping*."""
        while not stopping.is_set():
            await self.look()
            await pause(self.every_seconds, stopping)

    async def look(self) -> None:
        """One round of questions; whatever is away is asked again when its delay is over."""
        try:
            now_ms = self.clock.now_ms()
            self.late = await self.deletions.late(now_ms)
            claimed = await self.deletions.claim(now_ms, AT_ONCE)
        except StoreUnavailableError:
            return  # every request that needs it says so
        async with asyncio.TaskGroup() as questions:
            for erasing in claimed:
                questions.create_task(self._put(erasing))

    async def _put(self, erasing: Erasing) -> None:
        try:
            await self._judge(erasing, await self._answer(erasing))
        except (StoreUnavailableError, BusUnavailableError) as error:
            log.info("erase.again_later", service=erasing.service, reason=type(error).__name__)
        except (
            Exception
        ):  # one deletion that cannot be worked on must end neither the others nor auth
            log.exception("erase.failed", deletion=erasing.deletion.id, service=erasing.service)

    async def _answer(self, erasing: Erasing) -> EraseAnswer | None:
        deletion = erasing.deletion
        if erasing.service == OWN:
            await self.memory.forget(deletion.sub, deletion.email)
            return EraseAnswer(state="done")
        request = EraseUser(
            deletion_id=deletion.id,
            sub=deletion.sub,
            email=deletion.email,
            requested_at=deletion.requested_at_ms,
            deadline=deletion.deadline_ms,
        )
        return await self.erasers.ask(erasing.service, request)

    async def _judge(self, erasing: Erasing, answer: EraseAnswer | None) -> None:
        deletion, service = erasing.deletion.id, erasing.service
        state = answer.state if answer else "silent"
        log.info("erase.answered", deletion=deletion, service=service, state=state)
        if answer is None:
            await self.deletions.note(deletion, service, SILENT)
        elif answer.state != "done":
            note = f"{answer.state}: {answer.note}" if answer.note else answer.state
            await self.deletions.note(deletion, service, _storable(note)[:255])
        elif await self.deletions.done(deletion, service, self.clock.now_ms()):
            log.info("deletion.complete", deletion=deletion)


def _storable(text: str) -> str:
    """*text* on one line, without what a terminal would obey, or a database cannot store."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
