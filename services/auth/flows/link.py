"""Sign in by a link or its code: look, cancel, exchange; and end a session from its notice."""

import hmac
from dataclasses import dataclass
from typing import Protocol

import structlog

from services.auth.domain.account import Standing
from services.auth.domain.client import Client
from services.auth.domain.link import (
    OPENING,
    AlreadySignedIn,
    Attempt,
    CodeProof,
    LinkSpent,
    LinkView,
    OfferedLogin,
    Proof,
    Purpose,
    TooManyRequests,
    WrongPassword,
)
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.session import FIRST_PARTY, SESSION_MS
from services.auth.flows.ending import Ending
from services.auth.flows.opening import BROWSER_MS, Opening
from services.auth.flows.proving import Proving
from services.auth.flows.typed import TypedPasswords, Typist
from services.auth.ports import (
    Attempts,
    BusUnavailableError,
    Events,
    Exchange,
    Exchanged,
    NotExchanged,
    Revocations,
    Sessions,
    UsedBefore,
)
from services.auth.ports.accounts import Subjects
from shared.clock import Clock
from shared.contract import LOGIN_FAILED
from shared.ids import Ids
from shared.messages import LoginFailed

log = structlog.get_logger()

CANCELLABLE: tuple[Purpose, ...] = ("sign_in", "verify_email", "reset_password")


class Linking(Protocol):
    """Who waits for the proof that an attempt with an ``identity`` brings, in the browser that asked for it."""

    async def waiting(self, attempt: Attempt) -> OfferedLogin | None:
        """What `proven` would add; None: nothing."""
        ...

    async def proven(self, attempt: Attempt, standing: Standing) -> None:
        """The address is proven to be *standing*'s, who said yes to the login; the session is not open yet."""
        ...


@dataclass(frozen=True)
class _Visit:
    """Who shows a link, and with what. *link_login*: they said yes to the login that waits for it."""

    client: Client
    browser: str
    held: frozenset[str]
    client_id: str
    link_login: bool = False


@dataclass(frozen=True)
class LinkFlow:
    """The use cases of a link. All methods may raise the errors of `services.auth.ports`."""

    attempts: Attempts
    sessions: Sessions
    events: Events
    revocations: Revocations
    proving: Proving
    opening: Opening
    ending: Ending
    subjects: Subjects
    typed: TypedPasswords
    clock: Clock
    ids: Ids
    linking: Linking | None = None

    async def inspect_link(
        self, token: str, *, browser: str = "", held: frozenset[str] = frozenset()
    ) -> LinkView | AlreadySignedIn | None:
        """What the link would do; consumes nothing. None: it does nothing any more.

        *browser* is the hash of this browser's pre-login value, *held* the sids of the sessions it
        proved to hold (`SessionFlow.held_sessions`).
        """
        attempt = await self.proving.proven(token)
        if attempt is None:
            return None
        if attempt.state == "used" and attempt.sid in held:
            return AlreadySignedIn(attempt.next)
        if attempt.state != "open" or attempt.muted:
            return None
        return LinkView(
            login_id=attempt.login_id,
            email=attempt.email,
            purpose=attempt.purpose,
            requested_at_ms=attempt.requested_at_ms,
            expires_at_ms=attempt.expires_at_ms,
            client=attempt.client,
            same_browser=is_same(attempt.browser, browser),
            next=attempt.next,
            offered=await self.offered(attempt, browser),
        )

    async def offered(self, attempt: Attempt, browser: str) -> OfferedLogin | None:
        """The login that *attempt* would add if its person says so; None in every other *browser*.

        Anybody can go to a provider in a stranger's name, and have the stranger confirm it.
        """
        if self.linking is None or not attempt.identity or not is_same(attempt.browser, browser):
            return None
        return await self.linking.waiting(attempt)

    async def cancel_link(self, token: str) -> None:
        """ "This was not me": the link opens nothing any more. Unknown tokens are no error."""
        attempt = await self.proving.proven(token)
        if attempt is None or attempt.purpose not in CANCELLABLE:
            return
        if await self.attempts.cancel(attempt.login_id):
            log.info("link.cancelled", login_id=attempt.login_id)
            await self._publish_failed("cancelled")

    async def exchange_link(
        self,
        proof: Proof,
        *,
        client: Client,
        browser: str = "",
        held: frozenset[str] = frozenset(),
        cookies: bool = False,
        client_id: str = FIRST_PARTY,
        password: str | None = None,
        link_login: bool = False,
    ) -> SessionOpened | AlreadySignedIn | LinkSpent | WrongPassword | TooManyRequests:
        """Consume the link (or code) and open a session, at most one per attempt ever.

        *password*: of a registration whose mail is opened in another browser than it was made in.
        *link_login*: add the login that is `offered`; the person was asked.
        """
        self.revocations.require_fresh()
        attempt = await self.proving.claimed(proof)
        if attempt is None or attempt.purpose not in OPENING:
            return LinkSpent()
        visit = _Visit(client, browser, held, client_id, link_login)
        as_of_ms = await self.sessions.now() if self.subjects.changes else None
        standing = await self._standing(attempt, proof, visit, password)
        if not isinstance(standing, Standing):
            return standing
        result = await self._exchange(attempt, proof, visit, standing)
        if not isinstance(result, Exchanged):
            return _refused(attempt, visit, result)
        return await self.opening.opened(
            result,
            standing,
            as_of_ms=as_of_ms,
            client=client,
            cookies=cookies,
            next=attempt.next,
            login_id=attempt.login_id,
        )

    async def end_by_notice(self, token: str) -> bool:
        """End the session that a notice is about; whether *token* is a notice's. Repeatable."""
        attempt = await self.proving.proven(token)
        if attempt is None or attempt.purpose != "notice":
            return False
        session = await self.sessions.find(attempt.sid)
        sub = session.sub if session and not session.ended else attempt.email
        await self.ending.end_session(attempt.sid, sub, "notice")
        return True

    async def _standing(
        self, attempt: Attempt, proof: Proof, visit: _Visit, password: str | None
    ) -> Standing | AlreadySignedIn | LinkSpent | WrongPassword | TooManyRequests:
        """Whose address this proves; only a proof that counts is written down anywhere."""
        if not self.subjects.changes:
            return Standing(attempt.email, attempt.email)
        refusal = await self.attempts.judge(
            attempt,
            by_code=isinstance(proof, CodeProof),
            right=self.proving.is_right(proof, attempt),
            watermark=self.revocations.watermark(attempt.email).sessions_before,
        )
        if refusal is not None:
            return _refused(attempt, visit, refusal)
        same_browser = is_same(attempt.browser, visit.browser)
        if password and (wrong := await self._wrong(attempt, visit, password)):
            return wrong
        # In another browser, one that is not typed again is a stranger's who registered the address first.
        keeps = attempt.purpose == "verify_email" and (same_browser or bool(password))
        standing = await self.subjects.prove(
            attempt.email,
            remembered=await self.attempts.remembers(attempt.email),
            registration=attempt.login_id if keeps else None,
        )
        if standing is None:
            return LinkSpent()
        if visit.link_login and self.linking and await self.offered(attempt, visit.browser):
            await self.linking.proven(attempt, standing)
        return standing

    async def _wrong(
        self, attempt: Attempt, visit: _Visit, password: str
    ) -> WrongPassword | TooManyRequests | None:
        """Past the limit every password is wrong; without one the link still opens."""
        confirmed = await self.typed.judge(
            attempt,
            Typist(visit.client, visit.browser),
            lambda: self.subjects.confirms(attempt.login_id, attempt.email, password),
            right=bool,
        )
        if isinstance(confirmed, TooManyRequests):
            return confirmed
        return None if confirmed else WrongPassword()

    async def _exchange(
        self, attempt: Attempt, proof: Proof, visit: _Visit, standing: Standing
    ) -> Exchanged | UsedBefore | NotExchanged:
        by_code = isinstance(proof, CodeProof)
        amr = "otp" if by_code else "link"
        session = self.opening.new_session(standing, visit.client, visit.client_id, amr)
        return await self.attempts.exchange(
            Exchange(
                attempt=attempt,
                by_code=by_code,
                right=self.proving.is_right(proof, attempt),
                watermark=self.opening.watermark(standing),
                session=session,
                session_ms=SESSION_MS,
                browser=visit.browser or f"{visit.client_id}|{visit.client.user_agent}",
                browser_ms=BROWSER_MS,
            )
        )

    async def _publish_failed(self, reason: str) -> None:
        now_ms = self.clock.now_ms()
        event = LoginFailed(id=self.ids.ulid(now_ms), at=now_ms, method="link", reason=reason)
        try:
            await self.events.publish(LOGIN_FAILED, event)
        except BusUnavailableError:
            log.warning("event.lost", subject=LOGIN_FAILED.name)


def is_same(stored: str, presented: str) -> bool:
    """Whether the browser that asked (its hash, "" for none) is the one that is here; constant time."""
    return bool(stored) and hmac.compare_digest(stored.encode(), presented.encode())


def _refused(
    attempt: Attempt, visit: _Visit, refusal: UsedBefore | NotExchanged
) -> AlreadySignedIn | LinkSpent:
    if isinstance(refusal, UsedBefore) and refusal.sid in visit.held:
        return AlreadySignedIn(attempt.next)
    log.info("link.refused", login_id=attempt.login_id)
    return LinkSpent()
