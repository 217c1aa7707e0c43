"""Have done what transactions left to do: at once by whoever wrote it, after a crash by any process of auth.

Ends go before announcements, and a person's announcements wait for the person's ends; otherwise the order of
one person's entries is that of writing. What cannot be done holds up nothing of other people. An entry is
forgotten only after it was done, so a crash at any instant repeats the last one and loses none; each can be
done twice without harm.
"""

import asyncio
from collections import Counter
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
from shared.pauses import pause

log = structlog.get_logger()

EVERY_SECONDS = 1.0
AT_A_TIME = 100  # of each kind
MANY = 1000
# As long as the tokens it refuses live, with time for tries in between. A later try than this would refuse
# tokens up to a later instant: their holders renew once more.
REFUSAL_MS = ACCESS_SECONDS * 1000 + 3_600_000
SUBJECTS_BY_NAME = {subject.name: subject for subject in SUBJECTS}
Item = tuple[Entry, frozenset[str]]  # with whom it is about


class Ends(Protocol):
    """What the relay needs of `services.auth.ports.Sessions`."""

    async def instant(self, entry_id: str, *, keep_ms: int | None = None) -> int:
        """The store's time when this id was first asked about, if it is asked again within *keep_ms* (None:
        as long as sessions can live)."""
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
    _unreadable: set[str] = field(default_factory=set, init=False)
    _failures: Counter[str] = field(default_factory=Counter, init=False)  # by person
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
            await pause(EVERY_SECONDS, stopping)

    async def look(self) -> None:
        """One round: what was there a round ago as well. Whoever wrote the rest is just doing it.

        What cannot be done is tried again in the next round, after what other people wait for. An event that
        only a newer auth knows is left for that one, which runs beside this one during an upgrade.
        """
        try:
            found = await self._pending()
            left = [
                (e, people) for e in found if e.id in self._seen and (people := self._people(e))
            ]
            self._seen = frozenset(entry.id for entry in found)
            self._waiting = len(left)
            await self._work(left)
        except StoreUnavailableError as error:  # of accounts: it can neither say nor forget
            self._warn(error)

    def not_ready(self) -> str | None:
        """Why nothing can be done about accounts, as of the last look."""
        return "the store of accounts does not answer" if self._away else None

    def remark(self) -> str | None:
        """What an operator should know."""
        return f"{self._waiting} entries wait" if self._waiting else None

    async def _work(self, left: Sequence[Item]) -> None:
        """One try of each; when one fails, what is of its kind or of its people waits for the next round."""
        tried = self._failures
        people = {person for _, of in left for person in of}
        self._failures = Counter({p: n for p, n in tried.items() if p in people})
        held: set[str] = set()
        for entry, of in sorted(left, key=self._turn):
            about = of | {_kind(entry)}
            if about & held:
                held |= of
                continue
            try:
                await self._do(entry)
            except (BusUnavailableError, StoreUnavailableError) as error:
                self._warn(error)
                self._failures.update(of)
                held |= about
                continue
            await self.outbox.done([entry.id])
            self._waiting -= 1

    def _turn(self, item: Item) -> tuple[bool, int]:
        """Ends first; then those whose entries failed least often. Equal ones as they were written."""
        entry, people = item
        return isinstance(entry, Announce), max(self._failures[person] for person in people)

    def _warn(self, error: Exception) -> None:
        log.warning("outbox.waits", at_least=self._waiting, error=type(error).__name__)

    def _people(self, entry: Entry) -> frozenset[str]:
        """Whom *entry* is about; none: this version does not know how to say it."""
        if not isinstance(entry, Announce):
            return frozenset({entry.sub, getattr(entry, "email", "") or entry.sub})
        try:
            message = SUBJECTS_BY_NAME[entry.subject].decode(entry.body)
        except (KeyError, ValidationError):
            log.warning("outbox.unreadable", subject=entry.subject, entry=entry.id)
            if len(self._unreadable) < MANY:
                self._unreadable.add(entry.id)
            return frozenset()
        names = {getattr(message, "sub", ""), getattr(message, "email", "")} - {""}
        return frozenset(names or {entry.id})

    async def _pending(self) -> list[Entry]:
        try:
            found = await self.outbox.pending(AT_A_TIME, self._unreadable)
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
        at_ms = await self.sessions.instant(entry.id, keep_ms=REFUSAL_MS)
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


def _kind(entry: Entry) -> str:
    """What fails together, when a stream is full or a store away."""
    return entry.subject if isinstance(entry, Announce) else type(entry).__name__
