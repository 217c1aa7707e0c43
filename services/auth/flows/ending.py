"""End sessions: the tombstone first, then the word that everybody hears.

The order makes a crash harmless: a tombstoned session renews nothing, and what was not published is noted
in the same step (`services.auth.flows.announcing` finds it). Ids are derived, so a repetition is one event.
"""

from dataclasses import dataclass
from typing import Any

import structlog

from services.auth.domain.client import Client
from services.auth.domain.ending import PendingEnd
from services.auth.domain.link import NOTICE_SECONDS, Attempt
from services.auth.domain.session import (
    SESSION_MS,
    EndReason,
    Session,
    notice_id,
    revocation_id,
    watermark_id,
)
from services.auth.ports import (
    NOBODY,
    Attempts,
    BusUnavailableError,
    Events,
    Keys,
    NotAnnouncedError,
    Sessions,
    StoreUnavailableError,
    Watch,
)
from shared.clock import Clock
from shared.contract import LOGIN_REQUESTED, TOKEN_REVOKED
from shared.ids import Ids
from shared.messages import ClientHint, LoginRequested, TokenRevoked
from shared.messages.login import NoticeReason

log = structlog.get_logger()


@dataclass(frozen=True)
class Ending:
    """The one place that ends sessions and tells people about them."""

    attempts: Attempts
    sessions: Sessions
    events: Events
    keys: Keys
    clock: Clock
    ids: Ids

    async def end_session(
        self, sid: str, sub: str, reason: EndReason, actor: str = "user", *, watch: Watch = NOBODY
    ) -> None:
        """End *sid* here and everywhere.

        With Redis away the revocation is still published (it stops the access tokens, and the feed
        stops the refresh token), and the error is raised all the same: the end is not complete.
        """
        try:
            end = await self.sessions.end(sid, sub, reason, actor)
        except StoreUnavailableError:
            unstored = PendingEnd("session", sid, reason, actor, 0)
            await self.events.publish(TOKEN_REVOKED, self._revoked(unstored))
            raise
        await self.announce(end, watch=watch)

    async def announce(self, end: PendingEnd, *, watch: Watch = NOBODY) -> None:
        """Tell everybody of an end that is stored; repeated, it is the same event.

        Raises:
            NotAnnouncedError: `Announcer` will do it.
        """
        event = self._revoked(end)
        if event.id:
            await watch.expect(event.id)
        try:
            await self.events.publish(TOKEN_REVOKED, event)
            if end.is_reuse:
                await self._tell_owner(end.target)
        except BusUnavailableError as error:
            raise NotAnnouncedError from error
        log.info("end.announced", scope=end.scope, reason=end.reason)
        try:
            await self.sessions.announced(end)
        except StoreUnavailableError:
            log.info("end.announced_again_later", scope=end.scope)

    def _revoked(self, end: PendingEnd) -> TokenRevoked:
        common: dict[str, Any] = {
            "reason": end.reason,
            "actor": end.actor,
            "at": self.clock.now_ms(),
        }
        if end.scope == "session":
            return TokenRevoked(
                scope="session",
                sid=end.target,
                affected_until=end.at_ms or None,
                id=revocation_id(end.target),
                **common,
            )
        return TokenRevoked(
            scope="subject",
            sub=end.target,
            applies_to="sessions",
            before=end.at_ms,
            affected_until=end.at_ms + SESSION_MS,
            id=watermark_id(self.keys.index, end.target, end.at_ms),
            **common,
        )

    async def _tell_owner(self, sid: str) -> None:
        session = await self.sessions.find(sid)
        if session is not None and session.email:
            await self.notify(session, session.client, "refresh_reuse")

    async def notify(self, session: Session, client: Client, reason: NoticeReason) -> None:
        """Send the person a mail about *session* whose link can end it."""
        login_id = notice_id(session.sid, reason)
        attempt = Attempt(
            login_id=login_id,
            email=session.email,
            purpose="notice",
            requested_at_ms=0,
            expires_at_ms=0,
            link_kid=self.keys.link.current,
            client=client,
            sid=session.sid,
        )
        opened = await self.attempts.open_notice(attempt, NOTICE_SECONDS * 1000)
        await self.events.publish(
            LOGIN_REQUESTED,
            LoginRequested(
                id=login_id,
                at=opened.at_ms,
                login_id=login_id,
                email=session.email,
                purpose="notice",
                client=ClientHint(network=client.network, user_agent=client.user_agent),
                link_kid=attempt.link_kid,
                expires_at=opened.at_ms + NOTICE_SECONDS * 1000,
                notice=reason,
            ),
        )

    async def notify_if_possible(
        self, session: Session, client: Client, reason: NoticeReason
    ) -> None:
        """`notify`, for when the session must not fail because its notice did."""
        try:
            await self.notify(session, client, reason)
        except (BusUnavailableError, StoreUnavailableError):
            log.warning("notice.lost", sid=session.sid, reason=reason)
