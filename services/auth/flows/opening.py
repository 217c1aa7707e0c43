"""Open a session for somebody who has proven who they are, and say so."""

from dataclasses import dataclass

import structlog

from services.auth.domain.account import Standing
from services.auth.domain.client import Client
from services.auth.domain.outcomes import NotOpened, SessionOpened
from services.auth.domain.session import FIRST_PARTY, SESSION_MS, Session
from services.auth.flows.ending import Ending
from services.auth.flows.tokens import Issuer
from services.auth.ports import (
    BusUnavailableError,
    Events,
    Exchanged,
    NotExchanged,
    OpenSession,
    Revocations,
    Sessions,
)
from shared.clock import Clock
from shared.contract import LOGIN_SUCCEEDED
from shared.ids import Ids
from shared.messages import LoginSucceeded

log = structlog.get_logger()

BROWSER_MS = 180 * 86_400_000


@dataclass(frozen=True)
class Opening:
    """Sessions that no link opens: after a password, a provider, a changed password.

    May raise the errors of `services.auth.ports`.
    """

    sessions: Sessions
    events: Events
    revocations: Revocations
    issuer: Issuer
    ending: Ending
    clock: Clock
    ids: Ids

    async def open(
        self,
        standing: Standing,
        *,
        asked_at_ms: int,
        as_of_ms: int,
        amr: str,
        client: Client,
        browser: str,
        client_id: str = FIRST_PARTY,
        cookies: bool = False,
        next: str = "",  # noqa: A002 - the name of the parameter everywhere
    ) -> SessionOpened | NotOpened:
        """A session, unless all of the person's were ended since *asked_at_ms*, or they are kept out.

        *asked_at_ms* is the store's time (`Sessions.now`) before what proves the person was read, *as_of_ms*
        the same before *standing* was: the token is dated with it, so that whatever changed since refuses it.
        *browser* is the hash of the pre-login value, or "".
        """
        self.revocations.require_fresh()
        session = self.new_session(standing, client, client_id, amr)
        result = await self.sessions.open(
            OpenSession(
                session=session,
                session_ms=SESSION_MS,
                asked_at_ms=asked_at_ms,
                watermark=self.watermark(standing),
                browser=browser or f"{client_id}|{client.user_agent}",
                browser_ms=BROWSER_MS,
            )
        )
        if isinstance(result, NotExchanged):
            log.info("session.not_opened", reason=result.reason)
            return NotOpened()
        return await self.opened(
            result, standing, as_of_ms=as_of_ms, client=client, cookies=cookies, next=next
        )

    def new_session(self, standing: Standing, client: Client, client_id: str, amr: str) -> Session:
        """What the store completes with its times."""
        return Session(
            sid=self.ids.ulid(self.clock.now_ms()),
            sub=standing.sub,
            email=standing.email,
            sst=0,
            expires_at_ms=0,
            counter=1,
            advanced_at_ms=0,
            secret=self.ids.secret(),
            client=client,
            client_id=client_id,
            amr=amr,
            org=standing.org,
        )

    def watermark(self, standing: Standing) -> int:
        """The greatest ``sessions_before`` the feed knows for the person."""
        return self.revocations.watermark(standing.sub, standing.email).sessions_before

    async def opened(
        self,
        result: Exchanged,
        standing: Standing,
        *,
        as_of_ms: int | None,
        client: Client,
        cookies: bool,
        next: str,  # noqa: A002 - as above
        login_id: str | None = None,
    ) -> SessionOpened:
        """Say that the session of *result* is open, and make its first tokens.

        They are dated with *as_of_ms* (None: nothing they say can have changed since).
        """
        session = result.session
        log.info("session.opened", sid=session.sid, login_id=login_id)
        await self._publish_succeeded(session, login_id)
        if result.new_browser:
            await self.ending.notify_if_possible(session, client, "new_browser")
        tokens = self.issuer.issue(
            session,
            standing,
            counter=session.counter,
            at_ms=session.sst if as_of_ms is None else min(session.sst, as_of_ms),
            cookies=cookies,
        )
        return SessionOpened(tokens, next)

    async def _publish_succeeded(self, session: Session, login_id: str | None) -> None:
        event = LoginSucceeded(
            id=self.ids.ulid(self.clock.now_ms()),
            at=session.sst,
            sub=session.sub,
            sid=session.sid,
            method=session.amr,
            login_id=login_id,
        )
        try:
            await self.events.publish(LOGIN_SUCCEEDED, event)
        except BusUnavailableError:
            # What proved the person is spent by now: to fail here would leave them with nothing.
            log.warning("event.lost", subject=LOGIN_SUCCEEDED.name, sid=session.sid)
