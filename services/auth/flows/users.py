"""An operator keeps a person out, or lets them in again."""

from dataclasses import dataclass, replace

import structlog

from services.auth.domain.outcomes import Person
from services.auth.flows.ending import Ending
from services.auth.flows.revoked import is_revoked
from services.auth.ports import People, Revocations, Sessions
from shared.clock import Clock
from shared.emails import limit_address

log = structlog.get_logger()


@dataclass(frozen=True)
class UserFlow:
    """What an operator may do about a person; *sub* is canonical."""

    people: People
    sessions: Sessions
    revocations: Revocations
    ending: Ending
    clock: Clock

    async def show(self, sub: str) -> Person:
        """How the person stands; sessions that were revoked over the bus are not counted."""
        person, now_ms = await self.people.find(sub), self.clock.now_ms()
        living = await self.sessions.of(sub)
        count = sum(not is_revoked(self.revocations, session, now_ms) for session in living)
        mailbox = await self.people.find(limit_address(sub))
        blocked_at_ms = person.blocked_at_ms or mailbox.blocked_at_ms
        return replace(person, sessions=count, blocked_at_ms=blocked_at_ms)

    async def block(self, sub: str, reason: str, actor: str) -> None:
        """No sign-in, no refresh, no unopened link, and every session ended, everywhere.

        Under the address without its ``+tag`` too, which keeps out every other tag of that mailbox.
        """
        for name in dict.fromkeys((limit_address(sub), sub)):
            end = await self.people.block(name, reason or "blocked", actor or "operator")
            await self.ending.announce(end)
        log.info("user.blocked", actor=actor)

    async def unblock(self, sub: str, actor: str) -> None:
        """May log in again."""
        for name in dict.fromkeys((limit_address(sub), sub)):
            await self.people.unblock(name)
        log.info("user.unblocked", actor=actor)
