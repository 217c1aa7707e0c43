"""Have done what transactions left to do: at once by whoever wrote it, after a crash by any process of auth.

The order is that of writing. An entry is forgotten only after it was done, so a crash at any instant repeats
the last one and loses none; each can be done twice without harm.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from pydantic import ValidationError

from services.auth.domain.ending import PendingEnd
from services.auth.domain.outbox import Announce, EndSessions, Entry, RefuseTokens
from services.auth.domain.session import ACCESS_SECONDS, EndReason
from services.auth.flows.ending import Ending
from services.auth.ports import (
    BusUnavailableError,
    Events,
    NotAnnouncedError,
    StoreUnavailableError,
)
from services.auth.ports.accounts import AccountsUnavailableError, Outbox
from shared.clock import Clock
from shared.contract import SUBJECTS, TOKEN_REVOKED
from shared.messages import TokenRevoked

log = structlog.get_logger()

EVERY_SECONDS = 1.0
AT_A_TIME = 100
SUBJECTS_BY_NAME = {subject.name: subject for subject in SUBJECTS}


class Ends(Protocol):
    """What the relay needs of `services.auth.ports.Sessions`."""

    async def instant(self, entry_id: str) -> int:
        """The store's time when this id was first asked about, whenever it is asked again."""
        ...

    async def end_all(
        self, sub: str, email: str, reason: EndReason, actor: str, *, at_ms: int | None = None
    ) -> PendingEnd:
        """End every session of *sub* begun until *at_ms*, and void every link of *email* until then."""
        ...


@dataclass
class Relay:
    """Does entries. `deliver` after a commit; `run` for what nobody delivered."""

    outbox: Outbox
    ending: Ending
    events: Events
    sessions: Ends
    clock: Clock
    _seen: frozenset[str] = field(default=frozenset(), init=False)
    _waiting: int = field(default=0, init=False)
    _away: bool = field(default=False, init=False)

    async def deliver(self, *entries: Entry) -> None:
        """Do *entries*, which have been committed, and forget them.

        Raises:
            NotAnnouncedError: what is left cannot be lost, but is not done yet; answer 503.
        """
        try:
            for entry in entries:
                await self._do(entry)
        except (BusUnavailableError, StoreUnavailableError) as error:
            raise NotAnnouncedError from error
        await self._forget(entries)

    async def run(self, stopping: asyncio.Event) -> None:
        """Look once a second until *stopping*."""
        while not stopping.is_set():
            await self.look()
            try:
                await asyncio.wait_for(stopping.wait(), EVERY_SECONDS)
            except TimeoutError:
                continue

    async def look(self) -> None:
        """One round: what was there a round ago as well. Whoever wrote the rest is just doing it.

        What is away is tried again in the next round, from the same entry on: none overtakes another. An event
        that only a newer auth knows is left for that one, which runs beside this one during an upgrade.
        """
        try:
            found = await self._pending()
            left = [e for e in found if e.id in self._seen and _is_readable(e)]
            self._seen = frozenset(entry.id for entry in found)
            self._waiting = len(left)
            for entry in left:
                await self._do(entry)
                await self.outbox.done([entry.id])
                self._waiting -= 1
        except (BusUnavailableError, StoreUnavailableError) as error:
            log.warning("outbox.waits", at_least=self._waiting, error=type(error).__name__)

    def not_ready(self) -> str | None:
        """Why nothing can be done about accounts, as of the last look."""
        return "the store of accounts does not answer" if self._away else None

    def remark(self) -> str | None:
        """What an operator should know."""
        return f"{self._waiting} entries wait" if self._waiting else None

    async def _pending(self) -> list[Entry]:
        try:
            found = await self.outbox.pending(AT_A_TIME)
        except AccountsUnavailableError:
            self._away = True
            raise
        self._away = False
        return found

    async def _forget(self, entries: Sequence[Entry]) -> None:
        try:
            await self.outbox.done([entry.id for entry in entries])
        except StoreUnavailableError:
            log.info("outbox.done_again_later", count=len(entries))

    async def _do(self, entry: Entry) -> None:
        if isinstance(entry, Announce):
            subject = SUBJECTS_BY_NAME[entry.subject]
            await self.events.publish(subject, subject.decode(entry.body), msg_id=entry.id)
        elif isinstance(entry, EndSessions):
            await self._end_sessions(entry)
        else:
            await self._refuse_tokens(entry)

    async def _end_sessions(self, entry: EndSessions) -> None:
        at_ms = await self.sessions.instant(entry.id)
        end = await self.sessions.end_all(
            entry.sub, entry.email, entry.reason, entry.actor, at_ms=at_ms
        )
        await self.ending.announce(end)

    async def _refuse_tokens(self, entry: RefuseTokens) -> None:
        at_ms = await self.sessions.instant(entry.id)
        event = TokenRevoked(
            scope="subject",
            sub=entry.sub,
            applies_to="access",
            reason=entry.reason,
            actor=entry.actor,
            before=at_ms,
            affected_until=at_ms + ACCESS_SECONDS * 1000,
            id=entry.id,
            at=self.clock.now_ms(),
        )
        await self.events.publish(TOKEN_REVOKED, event)


def _is_readable(entry: Entry) -> bool:
    """Whether this version knows how to say it."""
    if not isinstance(entry, Announce):
        return True
    try:
        SUBJECTS_BY_NAME[entry.subject].decode(entry.body)
    except (KeyError, ValidationError):
        log.warning("outbox.unreadable", subject=entry.subject, entry=entry.id)
        return False
    return True
