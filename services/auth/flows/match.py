"""What would a revocation hit right now? Asked by operators before they revoke; changes nothing."""

from dataclasses import dataclass

from services.auth.domain.introspect import is_living
from services.auth.domain.outcomes import Matched
from services.auth.domain.session import Session
from services.auth.flows.revoked import is_revoked
from services.auth.ports import Attempts, Revocations, Sessions, StoreUnavailableError
from services.auth.ports.accounts import Subjects
from shared.clock import Clock


@dataclass(frozen=True)
class MatchFlow:
    """Counts; what is revoked already is not hit again."""

    attempts: Attempts
    sessions: Sessions
    revocations: Revocations
    subjects: Subjects
    clock: Clock

    async def session(self, sid: str) -> Matched | None:
        """The one session; a revocation of it leaves every link alone. None: it cannot be counted now."""
        try:
            session = await self.sessions.find(sid)
            await self.sessions.require_settled()
        except StoreUnavailableError:
            return None
        return Matched(sessions=int(session is not None and self._lives(session)), links=0)

    async def subject(self, sub: str) -> Matched | None:
        """The sessions of a person (a ``sub`` or an address) and the links that could still open one.

        Those of the other name count too: a revocation of either hits both. None: as for `session`.
        """
        try:
            names = await self.subjects.names(sub)
            watermark = self.revocations.watermark(*names).sessions_before
            found = [s for name in dict.fromkeys(names) for s in await self.sessions.of(name)]
            living = [session for session in found if self._lives(session)]
            links = await self.attempts.unopened(names[1], watermark)
            await self.sessions.require_settled()
        except StoreUnavailableError:
            return None
        return Matched(sessions=len(living), links=links)

    def _lives(self, session: Session) -> bool:
        now_ms = self.clock.now_ms()
        return is_living(session, now_ms) and not is_revoked(self.revocations, session, now_ms)
