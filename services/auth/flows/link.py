"""Sign in by a link or its code: ask, look, cancel, exchange; and end a session from its notice."""

import hmac
from dataclasses import dataclass

import structlog

from services.auth.domain.client import Client, wider_networks
from services.auth.domain.limits import Rate, network_rates, retry_after
from services.auth.domain.link import (
    LINK_SECONDS,
    AlreadySignedIn,
    Attempt,
    CodeProof,
    LinkAsk,
    LinkSent,
    LinkSpent,
    LinkView,
    Muted,
    Proof,
    TokenProof,
    TooManyRequests,
)
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.session import FIRST_PARTY, SESSION_MS, Session
from services.auth.flows.ending import Ending
from services.auth.flows.tokens import Issuer
from services.auth.ports import (
    Attempts,
    Budget,
    Budgets,
    BusUnavailableError,
    Events,
    Exchange,
    Exchanged,
    Keys,
    NetworkLimited,
    Revocations,
    UsedBefore,
)
from shared.allow import AllowList
from shared.clock import Clock
from shared.contract import LOGIN_FAILED, LOGIN_REQUESTED, LOGIN_SUCCEEDED
from shared.emails import limit_address
from shared.ids import Ids
from shared.links import link_token, login_code, normalise_code, parse_link_token
from shared.messages import ClientHint, LoginFailed, LoginRequested, LoginSucceeded

log = structlog.get_logger()

BROWSER_MS = 180 * 86_400_000


@dataclass(frozen=True)
class LinkPolicy:
    """Who may sign in, and how often anybody may ask."""

    allow: AllowList
    address: Rate
    network: Rate
    whole: Rate


@dataclass(frozen=True)
class LinkFlow:
    """The use cases of a link. All methods may raise the errors of `services.auth.ports`."""

    attempts: Attempts
    events: Events
    revocations: Revocations
    issuer: Issuer
    ending: Ending
    keys: Keys
    policy: LinkPolicy
    clock: Clock
    ids: Ids

    async def request_link(self, ask: LinkAsk) -> LinkSent | TooManyRequests:
        """Store an attempt and publish it; the answer and the work are the same for every address."""
        attempt = self._new_attempt(ask)
        voided, budgets = self.revocations.watermark(ask.email).sessions_before, self._budgets(ask)
        opened = await self.attempts.open(attempt, LINK_SECONDS * 1000, budgets, after_ms=voided)
        if isinstance(opened, NetworkLimited):
            return TooManyRequests(retry_after(opened.wait_ms))
        if opened.muted:
            await self._publish_muted(attempt, opened.at_ms, opened.muted)
        else:
            await self._publish_requested(attempt, opened.at_ms, ask.locale)
        return LinkSent(attempt.login_id, LINK_SECONDS)

    async def inspect_link(
        self, token: str, *, browser: str = "", held: frozenset[str] = frozenset()
    ) -> LinkView | AlreadySignedIn | None:
        """What the link would do; consumes nothing. None: it does nothing any more.

        *browser* is the hash of this browser's pre-login value, *held* the sids of the sessions it
        proved to hold (`SessionFlow.held_sessions`).
        """
        attempt = await self._proven(token)
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
            same_browser=_same(attempt.browser, browser),
            next=attempt.next,
        )

    async def cancel_link(self, token: str) -> None:
        """ "This was not me": the link opens nothing any more. Unknown tokens are no error."""
        attempt = await self._proven(token)
        if attempt is None or attempt.purpose != "sign_in":
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
    ) -> SessionOpened | AlreadySignedIn | LinkSpent:
        """Consume the link (or code) and open a session, at most one per attempt ever."""
        self.revocations.require_fresh()
        attempt = await self._claimed(proof)
        if attempt is None or attempt.purpose != "sign_in":
            return LinkSpent()
        session = self._new_session(attempt, proof, client, client_id)
        result = await self.attempts.exchange(
            Exchange(
                attempt=attempt,
                by_code=isinstance(proof, CodeProof),
                right=self._is_right(proof, attempt),
                watermark=self.revocations.watermark(session.sub, session.email).sessions_before,
                session=session,
                session_ms=SESSION_MS,
                browser=browser or f"{client_id}|{client.user_agent}",
                browser_ms=BROWSER_MS,
            )
        )
        if isinstance(result, UsedBefore) and result.sid in held:
            return AlreadySignedIn(attempt.next)
        if not isinstance(result, Exchanged):
            log.info("link.refused", login_id=attempt.login_id)
            return LinkSpent()
        return await self._opened(result, attempt, client, cookies=cookies)

    async def end_by_notice(self, token: str) -> bool:
        """End the session that a notice is about; whether *token* is a notice's. Repeatable."""
        attempt = await self._proven(token)
        if attempt is None or attempt.purpose != "notice":
            return False
        await self.ending.end_session(attempt.sid, attempt.email, "notice")
        return True

    async def _opened(
        self, result: Exchanged, attempt: Attempt, client: Client, *, cookies: bool
    ) -> SessionOpened:
        session = result.session
        log.info("session.opened", sid=session.sid, login_id=attempt.login_id)
        await self._publish_succeeded(session, attempt)
        if result.new_browser:
            await self.ending.notify_if_possible(session, client, "new_browser")
        tokens = self.issuer.issue(
            session, counter=session.counter, at_ms=session.sst, cookies=cookies
        )
        return SessionOpened(tokens, attempt.next)

    async def _proven(self, token: str) -> Attempt | None:
        attempt = await self._claimed(TokenProof(token))
        return attempt if attempt and self._is_right(TokenProof(token), attempt) else None

    async def _claimed(self, proof: Proof) -> Attempt | None:
        if isinstance(proof, CodeProof):
            return await self.attempts.find(proof.login_id)
        parsed = parse_link_token(proof.token)
        return await self.attempts.find(parsed[0]) if parsed else None

    def _is_right(self, proof: Proof, attempt: Attempt) -> bool:
        key = self.keys.link.by_kid.get(attempt.link_kid)
        if key is None:
            return False
        of_attempt = (key, attempt.purpose, attempt.login_id, attempt.email)
        if isinstance(proof, CodeProof):
            shown, expected = normalise_code(proof.code) or "", login_code(*of_attempt)
        else:
            shown, expected = proof.token, link_token(*of_attempt)
        return hmac.compare_digest(shown.encode(), expected.encode())

    def _new_attempt(self, ask: LinkAsk) -> Attempt:
        return Attempt(
            login_id=self.ids.ulid(self.clock.now_ms()),
            email=ask.email,
            purpose="sign_in",
            requested_at_ms=0,
            expires_at_ms=0,
            link_kid=self.keys.link.current,
            client=ask.client,
            browser=ask.browser,
            next=ask.next,
            muted="" if self.policy.allow.permits(ask.email) else "not_allowed",
        )

    def _new_session(
        self, attempt: Attempt, proof: Proof, client: Client, client_id: str
    ) -> Session:
        return Session(
            sid=self.ids.ulid(self.clock.now_ms()),
            sub=attempt.email,
            email=attempt.email,
            sst=0,
            expires_at_ms=0,
            counter=1,
            advanced_at_ms=0,
            secret=self.ids.secret(),
            client=client,
            client_id=client_id,
            amr="otp" if isinstance(proof, CodeProof) else "link",
        )

    def _budgets(self, ask: LinkAsk) -> Budgets:
        mailbox = limit_address(ask.email)
        one, household, site = (
            Budget(f"network|{reach}|{network}", rate)
            for reach, network, rate in zip(
                ("one", "household", "site"),
                wider_networks(ask.client.network),
                network_rates(self.policy.network),
                strict=True,
            )
        )
        return Budgets(
            address=Budget(f"address|{mailbox}", self.policy.address),
            known=Budget(f"known|{mailbox}|{ask.browser}", self.policy.address),
            networks=(one, household, site),
            whole=Budget("whole", self.policy.whole),
        )

    async def _publish_requested(self, attempt: Attempt, at_ms: int, locale: str) -> None:
        hint = ClientHint(network=attempt.client.network, user_agent=attempt.client.user_agent)
        event = LoginRequested(
            id=attempt.login_id,
            at=at_ms,
            login_id=attempt.login_id,
            email=attempt.email,
            locale=locale,
            client=hint,
            link_kid=attempt.link_kid,
            expires_at=at_ms + LINK_SECONDS * 1000,
        )
        await self.events.publish(LOGIN_REQUESTED, event)
        log.info("link.requested", login_id=attempt.login_id)

    async def _publish_muted(self, attempt: Attempt, at_ms: int, reason: Muted) -> None:
        event = LoginFailed(id=attempt.login_id, at=at_ms, method="link", reason=reason)
        await self.events.publish(LOGIN_FAILED, event)
        log.info("link.muted", login_id=attempt.login_id, reason=reason)

    async def _publish_succeeded(self, session: Session, attempt: Attempt) -> None:
        event = LoginSucceeded(
            id=self.ids.ulid(self.clock.now_ms()),
            at=session.sst,
            sub=session.sub,
            sid=session.sid,
            method=session.amr,
            login_id=attempt.login_id,
        )
        try:
            await self.events.publish(LOGIN_SUCCEEDED, event)
        except BusUnavailableError:
            # The link is spent by now: to fail here would leave the person with nothing.
            log.warning("event.lost", subject=LOGIN_SUCCEEDED.name, sid=session.sid)

    async def _publish_failed(self, reason: str) -> None:
        now_ms = self.clock.now_ms()
        event = LoginFailed(id=self.ids.ulid(now_ms), at=now_ms, method="link", reason=reason)
        try:
            await self.events.publish(LOGIN_FAILED, event)
        except BusUnavailableError:
            log.warning("event.lost", subject=LOGIN_FAILED.name)


def _same(stored: str, presented: str) -> bool:
    return bool(stored) and hmac.compare_digest(stored.encode(), presented.encode())
