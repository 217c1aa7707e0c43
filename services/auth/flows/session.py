"""What a person does with a session: prove it, renew it, look at all of them, end them."""

from dataclasses import dataclass

import structlog

from latchwire.claims import Claims
from services.auth.domain.client import Client
from services.auth.domain.ending import reuse_of
from services.auth.domain.outcomes import (
    ContinueTo,
    Credentials,
    HopTo,
    LoginFirst,
    NotAMember,
    NotSignedIn,
    Refreshed,
    SessionOver,
    SessionView,
    SignedIn,
)
from services.auth.domain.session import (
    FIRST_PARTY,
    GRACE_MS,
    Session,
    handle_of,
    judge_counter,
    parse_refresh_token,
)
from services.auth.flows.ending import Ending
from services.auth.flows.revoked import is_revoked
from services.auth.flows.tokens import Issuer
from services.auth.ports import (
    NOBODY,
    AccessTokens,
    BusUnavailableError,
    Keys,
    Over,
    Revocations,
    Sessions,
    StoreUnavailableError,
    Watch,
)
from services.auth.ports.accounts import Subjects
from shared.clock import Clock

log = structlog.get_logger()


@dataclass(frozen=True)
class _Renewal:
    """A genuine refresh token's counter, shown by *client*; *seen_ms* as in `SessionFlow._look`."""

    session: Session
    counter: int
    client: Client
    org: str | None
    seen_ms: int | None


@dataclass(frozen=True)
class SessionFlow:
    """The use cases of a session. All methods may raise the errors of `services.auth.ports`."""

    sessions: Sessions
    revocations: Revocations
    access_tokens: AccessTokens
    issuer: Issuer
    ending: Ending
    keys: Keys
    subjects: Subjects
    clock: Clock

    def identify(
        self, credentials: Credentials, *, services: bool = False
    ) -> SignedIn | NotSignedIn:
        """Who is this? The access token is checked as an edge does it, revocations included.

        A service is nobody who could be signed in: its access token counts only where *services* may come.
        """
        if not credentials.access:
            return NotSignedIn("no_credentials")
        now_ms = self.clock.now_ms()
        claims = self.access_tokens.read(credentials.access, now_ms)
        if isinstance(claims, str):
            return NotSignedIn("token_expired" if claims == "token_expired" else "token_invalid")
        if claims.service and not services:
            return NotSignedIn("token_invalid")
        self.revocations.require_fresh()
        if self.revocations.refuses(claims, now_ms):
            return NotSignedIn("token_revoked")
        return SignedIn(claims)

    async def refresh(
        self,
        text: str,
        *,
        client: Client,
        cookies: bool,
        client_id: str = FIRST_PARTY,
        org: str | None = None,
    ) -> Refreshed | SessionOver | NotAMember:
        """Renew a session with its refresh token; in one atomic step, after the revocation feed.

        What a confidential client opened, only that client (*client_id*) renews (RFC 6749 §6). *org* becomes
        the active organisation ("" for none); None leaves it, as long as the person is a member.
        """
        token = parse_refresh_token(text)
        session, seen_ms = await self._look(token.sid) if token else (None, None)
        if token is None or session is None:
            return SessionOver("refresh_invalid")
        if session.ended and session.announced:  # what could prove the token is gone with the rest
            return SessionOver("session_ended")
        genuine = self.issuer.is_genuine(token, session)
        if not genuine or session.client_id not in {FIRST_PARTY, client_id}:
            return SessionOver("refresh_invalid")
        self.revocations.require_fresh()
        if self._is_revoked(session, f"refresh/{token.kid}"):
            return SessionOver("session_ended")
        renewal = _Renewal(session, token.counter, client, org, seen_ms)
        return await self._renew(renewal, cookies=cookies)

    async def _look(self, sid: str) -> tuple[Session | None, int | None]:
        """The session; and where what tokens say can change, a time from before that is read."""
        if self.subjects.changes:
            return await self.sessions.look(sid)
        return await self.sessions.find(sid), None

    async def _renew(
        self, renewal: _Renewal, *, cookies: bool
    ) -> Refreshed | SessionOver | NotAMember:
        session, org, as_of_ms = renewal.session, renewal.org, renewal.seen_ms
        after_ms = self.revocations.watermark(session.sub, session.email).tokens_before
        if as_of_ms is not None and as_of_ms <= after_ms:  # or the new token would be born refused
            as_of_ms = await self.sessions.now(after_ms=after_ms)
        wanted = session.org if org is None else org
        standing = await self.subjects.standing(session.sub, session.email, wanted)
        if standing is None:
            return SessionOver("session_ended")
        if org and standing.org != org:
            return await self._no_member(renewal)
        result = await self.sessions.advance(
            session,
            renewal.counter,
            GRACE_MS,
            after_ms=after_ms,
            client=renewal.client,
            org=None if standing.org == session.org else standing.org,
        )
        if isinstance(result, Over):
            return await self._over(session, result)
        tokens = self.issuer.issue(
            session,
            standing,
            counter=result.counter,
            at_ms=result.at_ms if as_of_ms is None else min(result.at_ms, as_of_ms),
            cookies=cookies,
        )
        log.info("session.renewed", sid=session.sid)
        return Refreshed(tokens)

    async def _no_member(self, renewal: _Renewal) -> SessionOver | NotAMember:
        """Uses nothing up. But a token that was used before is that, whatever is asked with it."""
        session, now_ms = renewal.session, renewal.seen_ms
        if now_ms is None:
            now_ms = await self.sessions.now()
        since_ms = now_ms - session.advanced_at_ms
        if judge_counter(renewal.counter, session.counter, since_ms, GRACE_MS) != "reuse":
            return NotAMember()
        # What was used up stays so: the store comes to the same verdict, and ends the session.
        result = await self.sessions.advance(
            session, renewal.counter, GRACE_MS, client=renewal.client
        )
        return await self._over(session, result) if isinstance(result, Over) else NotAMember()

    async def continue_(
        self, text: str, *, target: str, client: Client, may_hop: bool
    ) -> ContinueTo | HopTo | LoginFirst:
        """A navigation whose access cookie ran out: renew and go on to *target* (validated).

        *may_hop*: this navigation was begun elsewhere, so the browser may be keeping a Strict cookie
        to itself; our own page has to ask once more.
        """
        if not text:
            return HopTo(target) if may_hop else LoginFirst(target)
        result = await self.refresh(text, client=client, cookies=True)
        if isinstance(result, Refreshed):
            return ContinueTo(target, result.tokens)
        return LoginFirst(target)

    async def held_sessions(self, credentials: Credentials) -> frozenset[str]:
        """The sids of the living sessions this request proves to hold."""
        proven = self._proven_by_access(credentials) | await self._proven_by_refresh(credentials)
        held = [await self.sessions.find(sid) for sid in proven]
        return frozenset(
            session.sid
            for session in held
            if session and not session.ended and not self._is_revoked(session)
        )

    async def logout(self, *shown: Credentials, watch: Watch = NOBODY) -> None:
        """End the sessions of all tokens that are shown, of any age; nothing to end is no error.

        With the store away a refresh token proves nothing, and the error is raised; the access token
        beside it proves its session all the same, and that is revoked first.
        """
        proven: dict[str, str] = {}
        failures: list[BusUnavailableError | StoreUnavailableError] = []
        for credentials in shown:
            proven |= self._proven_by_access(credentials)
        try:
            for credentials in shown:
                proven |= await self._proven_by_refresh(credentials, known=frozenset(proven))
        except StoreUnavailableError as error:
            failures.append(error)
        for sid, sub in proven.items():
            try:
                await self.ending.end_session(sid, sub, "logout", watch=watch)
            except (BusUnavailableError, StoreUnavailableError) as error:
                failures.append(error)  # the others are ended all the same
        if failures:
            # An end that is not stored is worse than one that is not told yet.
            raise min(failures, key=lambda error: isinstance(error, BusUnavailableError))

    async def end_replaced(self, credentials: Credentials) -> None:
        """After a new sign-in in a browser: the session it held would live on where nobody sees it."""
        try:
            await self.logout(credentials)
        except (BusUnavailableError, StoreUnavailableError):
            # The person is signed in by now; the old session runs out by itself.
            log.warning("session.not_replaced")

    async def list_sessions(self, claims: Claims) -> list[SessionView]:
        """The person's living sessions, newest first."""
        living = await self.sessions.of(claims.sub)
        await self.sessions.require_settled()  # a list with gaps reads like sessions that are over
        return [
            SessionView(
                handle=handle_of(self.keys.index, session.sid),
                current=session.sid == claims.sid,
                started_at_ms=session.sst,
                last_used_at_ms=session.advanced_at_ms,
                expires_at_ms=session.expires_at_ms,
                client=session.client,
            )
            for session in living
            if not self._is_revoked(session)
        ]

    async def end_session(self, claims: Claims, handle: str, *, watch: Watch = NOBODY) -> bool:
        """End one of the person's own sessions; False when *handle* names none of them."""
        for session in await self.sessions.of(claims.sub):
            if handle_of(self.keys.index, session.sid) == handle:
                await self.ending.end_session(
                    session.sid, session.sub, "ended_by_user", watch=watch
                )
                return True
        await self.sessions.require_settled()
        return False

    async def end_all(self, claims: Claims, *, watch: Watch = NOBODY) -> None:
        """Sign out everywhere, here included; unopened links of the person die too."""
        end = await self.sessions.end_all(claims.sub, claims.email, "everywhere", "user")
        await self.ending.announce(end, watch=watch)

    def _proven_by_access(self, credentials: Credentials) -> dict[str, str]:
        """sid -> sub of a person's genuine access token of any age; needs no store.

        A service logs out by having its own token revoked: one of a quarter of an hour cannot end it.
        """
        claims = credentials.access and self.access_tokens.read_expired(credentials.access)
        return {claims.sid: claims.sub} if claims and not claims.service else {}

    async def _proven_by_refresh(
        self, credentials: Credentials, known: frozenset[str] = frozenset()
    ) -> dict[str, str]:
        """sid -> sub of a genuine refresh token. What is over already takes no proof to be ended again.

        What is *known* without the store needs no look into it.
        """
        token = parse_refresh_token(credentials.refresh)
        if token is None or token.sid in known:
            return {}
        session = await self.sessions.find(token.sid)
        if session is None:
            return {}
        proven = session.ended or self.issuer.is_genuine(token, session)
        return {session.sid: session.sub} if proven else {}

    async def _over(self, session: Session, over: Over) -> SessionOver:
        if over.reason == "refresh_reuse" and not over.announced:
            log.warning("session.reused", sid=session.sid)
            await self.ending.announce(reuse_of(session))
        return SessionOver("session_ended")

    def _is_revoked(self, session: Session, kid: str = "") -> bool:
        return is_revoked(self.revocations, session, self.clock.now_ms(), kid)
