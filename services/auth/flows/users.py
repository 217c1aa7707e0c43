"""An operator keeps a person out, or lets them in again."""

from dataclasses import dataclass, replace

import structlog

from services.auth.domain.outcomes import Person
from services.auth.flows.ending import Ending
from services.auth.flows.revoked import is_revoked
from services.auth.ports import People, Revocations, Sessions
from services.auth.ports.accounts import Accounts, Subjects
from shared.clock import Clock
from shared.emails import limit_address

log = structlog.get_logger()


@dataclass(frozen=True)
class UserFlow:
    """What an operator may do about a person; *email* is canonical. *accounts* None: they are off.

    A block is of an address, and so holds for whoever has it, with an account and without.
    """

    people: People
    sessions: Sessions
    revocations: Revocations
    ending: Ending
    subjects: Subjects
    clock: Clock
    accounts: Accounts | None = None

    async def show(self, email: str) -> Person:
        """How the person stands; sessions that were revoked over the bus are not counted."""
        person, now_ms = await self.people.find(email), self.clock.now_ms()
        names = dict.fromkeys(await self.subjects.names(email))
        living = [session for name in names for session in await self.sessions.of(name)]
        count = sum(not is_revoked(self.revocations, session, now_ms) for session in living)
        mailbox = await self.people.find(limit_address(email))
        blocked_at_ms = person.blocked_at_ms or mailbox.blocked_at_ms
        return replace(person, sub=next(iter(names)), sessions=count, blocked_at_ms=blocked_at_ms)

    async def block(self, email: str, reason: str, actor: str) -> None:
        """No sign-in, no refresh, no unopened link, and every session ended, everywhere.

        Under the address without its ``+tag`` too, which keeps out every other tag of that mailbox.
        """
        sub, _ = await self.subjects.names(email)
        if self.accounts is not None:
            # First: from here on nothing new opens, with whatever proof.
            await self.accounts.block(sub, self.clock.now_ms())
        for name in dict.fromkeys((limit_address(email), email)):
            end = await self.people.block(name, reason or "blocked", actor or "operator")
            await self.ending.announce(end)
        if sub != email:
            end = await self.sessions.end_all(sub, email, "blocked", actor or "operator")
            await self.ending.announce(end)
        log.info("user.blocked", actor=actor)

    async def unblock(self, email: str, actor: str) -> None:
        """May log in again."""
        for name in dict.fromkeys((limit_address(email), email)):
            await self.people.unblock(name)
        if self.accounts is not None:
            sub, _ = await self.subjects.names(email)
            await self.accounts.block(sub, None)
        log.info("user.unblocked", actor=actor)
