"""End sessions: the tombstone first, then the word that everybody hears.

The order makes a crash harmless: a tombstoned session renews nothing, and whoever asks again publishes
again, under an id derived from the session, so that a repetition is one event.
"""

from dataclasses import dataclass

import structlog

from services.auth.domain.client import Client
from services.auth.domain.link import NOTICE_SECONDS, Attempt
from services.auth.domain.session import SESSION_MS, EndReason, Session, notice_id, revocation_id
from services.auth.ports import (
    Attempts,
    BusUnavailableError,
    Events,
    Keys,
    Sessions,
    StoreUnavailableError,
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

    async def end_session(self, sid: str, sub: str, reason: EndReason, actor: str = "user") -> None:
        """End *sid* here and everywhere.

        With Redis away the revocation is still published (it stops the access tokens, and the feed
        stops the refresh token), and the error is raised all the same: the end is not complete.
        """
        until: int | None = None
        failure: StoreUnavailableError | None = None
        try:
            until = await self.sessions.end(sid, sub, reason)
        except StoreUnavailableError as error:
            failure = error
        await self.publish_end(sid, reason, until, actor)
        if failure is not None:
            raise failure

    async def publish_end(
        self, sid: str, reason: str, until_ms: int | None, actor: str = "user"
    ) -> None:
        """Publish the end of *sid*; repeated, it is the same event."""
        revoked = TokenRevoked(
            scope="session",
            sid=sid,
            reason=reason,
            actor=actor,
            affected_until=until_ms,
            id=revocation_id(sid),
            at=self.clock.now_ms(),
        )
        await self.events.publish(TOKEN_REVOKED, revoked)
        log.info("session.ended", sid=sid, reason=reason)

    async def publish_end_of_all(
        self, sub: str, reason: str, before_ms: int, actor: str = "user"
    ) -> None:
        """Publish that every session *sub* began at or before *before_ms* is over."""
        now_ms = self.clock.now_ms()
        revoked = TokenRevoked(
            scope="subject",
            sub=sub,
            applies_to="sessions",
            before=before_ms,
            reason=reason,
            actor=actor,
            affected_until=before_ms + SESSION_MS,
            id=self.ids.ulid(now_ms),
            at=now_ms,
        )
        await self.events.publish(TOKEN_REVOKED, revoked)
        log.info("sessions.ended", reason=reason)

    async def finish_reuse(self, session: Session, client: Client) -> None:
        """After a refresh token was seen twice: tell the edges, then the person, then remember both.

        Until that is remembered each further use repeats it; the ids make repetitions harmless.
        """
        await self.publish_end(session.sid, "refresh_reuse", session.expires_at_ms, "auth")
        await self.notify(session, client, "refresh_reuse")
        await self.sessions.announced(session.sid)

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
