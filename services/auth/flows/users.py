"""An operator keeps a person out, or lets them in again."""

from dataclasses import dataclass

import structlog

from services.auth.domain.outcomes import Person
from services.auth.flows.ending import Ending
from services.auth.ports import People
from shared.emails import InvalidEmailError, canonical_email
from shared.messages import BlockUser, UserState

log = structlog.get_logger()


@dataclass(frozen=True)
class UserFlow:
    """The answers to ``op.users``."""

    people: People
    ending: Ending

    async def answer(self, request: BlockUser) -> UserState:
        """Do what is asked and say how the person stands then."""
        try:
            sub = canonical_email(request.email)
        except InvalidEmailError as error:
            return UserState(error=f"invalid_email: {error.code}")
        if request.action == "block":
            await self.block(sub, request.reason, request.actor)
        elif request.action == "unblock":
            await self.people.unblock(sub)
            log.info("user.unblocked", actor=request.actor)
        return _state(await self.people.find(sub))

    async def block(self, sub: str, reason: str, actor: str) -> None:
        """No sign-in, no refresh, no unopened link, and every session ended, everywhere."""
        before_ms = await self.people.block(sub, reason, actor)
        await self.ending.publish_end_of_all(
            sub, reason or "blocked", before_ms, actor or "operator"
        )
        log.info("user.blocked", actor=actor)


def _state(person: Person) -> UserState:
    return UserState(
        sub=person.sub,
        blocked=person.blocked_at_ms is not None,
        blocked_at=person.blocked_at_ms,
        sessions=person.sessions,
    )
