"""Log in with a password, and change it while signed in. Who forgot it: `services.auth.flows.reset`.

Every answer to a login is either a session or the one `InvalidCredentials`: unknown, unverified, blocked,
throttled addresses and those without a password cost the same hash and get the same words. A new password ends
every session the person has, here and everywhere, and the address that is stored is told.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import structlog

from latchwire.claims import Claims
from services.auth.domain.account import Account
from services.auth.domain.client import Client
from services.auth.domain.limits import retry_after
from services.auth.domain.link import TooManyRequests
from services.auth.domain.outcomes import NotOpened, SessionOpened
from services.auth.domain.password import PasswordRules
from services.auth.domain.password_use import (
    FRESH_SECONDS,
    CurrentMissing,
    InvalidCredentials,
    NewPassword,
    NobodyAnyMore,
    PasswordChange,
    PasswordLogin,
    PasswordRefused,
    SignInAgain,
)
from services.auth.domain.tries import TryAllowed
from services.auth.flows.opening import Opening
from services.auth.flows.relay import Relay
from services.auth.ports import (
    BusUnavailableError,
    Events,
    FeedStaleError,
    Keys,
    NetworkLimited,
    Revocations,
    Sessions,
    StoreUnavailableError,
)
from services.auth.ports.accounts import (
    Accounts,
    AccountsUnavailableError,
    Hasher,
    HasherBusyError,
    Subjects,
)
from services.auth.ports.tries import Tries
from shared.allow import AllowList
from shared.clock import Clock
from shared.contract import LOGIN_FAILED
from shared.ids import Ids
from shared.messages import LoginFailed

log = structlog.get_logger()

NOBODY = ""  # nobody's hash: costs what ours cost (`Hasher.verify`)
AWAY = (StoreUnavailableError, BusUnavailableError, FeedStaleError, HasherBusyError)


@dataclass(frozen=True)
class PasswordFlow:
    """All methods may raise the errors of `services.auth.ports` and HasherBusyError: try again."""

    accounts: Accounts
    subjects: Subjects
    tries: Tries
    hasher: Hasher
    opening: Opening
    sessions: Sessions
    revocations: Revocations
    events: Events
    relay: Relay
    keys: Keys
    rules: PasswordRules
    allow: AllowList
    clock: Clock
    ids: Ids
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def log_in(
        self, login: PasswordLogin
    ) -> SessionOpened | InvalidCredentials | TooManyRequests:
        """A session, or the one answer for everything else.

        The instant is taken before anything is read (`Tries.begin`): whatever ends the person's sessions from
        then on also ends this login, which may have read a password that is none any more.
        """
        self.revocations.require_fresh()
        begun = await self.tries.begin(login.email, login.browser, login.client)
        if isinstance(begun, NetworkLimited):
            return TooManyRequests(retry_after(begun.wait_ms))
        async with self._taken_back_if_away(begun):
            opened = await self._open(begun, login)
        if opened is None:
            return await self._refused()
        with contextlib.suppress(
            StoreUnavailableError
        ):  # the person is signed in; the try counts for a while
            await self.tries.passed(begun)
        return opened

    async def change(
        self, claims: Claims, change: PasswordChange
    ) -> (
        SessionOpened
        | InvalidCredentials
        | TooManyRequests
        | PasswordRefused
        | CurrentMissing
        | SignInAgain
        | NobodyAnyMore
    ):
        """A new password for who is signed in, and a new session: all others, this one too, are over.

        The current one is asked for where there is one, and counts as a try like any other.
        """
        account = await self.accounts.by_sub(claims.sub)
        if account is None or account.blocked_at_ms is not None:
            return NobodyAnyMore()
        if problem := self.rules.judge(change.password, account.email):
            return PasswordRefused(problem)
        refusal = await self._prove_again(account, claims, change)
        if refusal is not None:
            return refusal
        new = self._new_password(account, change.client)
        ended, *told = new.entries("password_changed")
        password_hash = await self.hasher.hash(change.password)
        if not await self.accounts.set_password(
            account.sub, password_hash, [ended, *told], instead_of=account.password_hash
        ):
            return (
                InvalidCredentials()
            )  # it was another one's turn: what was typed is the current one no more
        await self.relay.deliver(ended, *told)
        log.info("password.changed")
        return await self._open_anew(account, claims, change, ended.id)

    async def _open(self, begun: TryAllowed, login: PasswordLogin) -> SessionOpened | None:
        account = await self._verified(begun, login.email, login.password)
        if account is None or not self.allow.permits(login.email):
            return None
        standing = await self.subjects.standing(account.sub, account.email, "")
        if standing is None:
            return None
        opened = await self.opening.open(
            standing,
            asked_at_ms=begun.at_ms,
            as_of_ms=begun.at_ms,
            amr="pwd",
            client=login.client,
            browser=login.browser,
            client_id=login.client_id,
            cookies=login.cookies,
            next=login.next,
        )
        return None if isinstance(opened, NotOpened) else opened

    async def _verified(self, begun: TryAllowed, email: str, password: str) -> Account | None:
        """Whose *password* this is, after what the tarpit wants; the same work for every address."""
        await self.pause(begun.delay_ms / 1000)
        account = await self.accounts.by_email(email)
        verdict = await self.hasher.verify(_usable(account), password)
        if account is None or not verdict.matches or begun.muted:
            return None
        if verdict.outdated:
            await self._renew_hash(account, password)
        return account

    @contextlib.asynccontextmanager
    async def _taken_back_if_away(self, begun: TryAllowed) -> AsyncIterator[None]:
        """A try that nobody could judge is no wrong password."""
        try:
            yield
        except AWAY:
            with contextlib.suppress(StoreUnavailableError):  # then it counts, for an hour
                await self.tries.undone(begun)
            raise

    async def _renew_hash(self, account: Account, password: str) -> None:
        """Keep it as strongly as it is kept today. A login never fails because this did."""
        try:
            renewed = await self.hasher.hash(password)
            await self.accounts.set_password(
                account.sub, renewed, [], instead_of=account.password_hash
            )
            log.info("password.rehashed")
        except (AccountsUnavailableError, HasherBusyError):
            log.info("password.rehashed_later")

    async def _refused(self) -> InvalidCredentials:
        """Say that somebody did not get in, not who: that would say who exists."""
        now_ms = self.clock.now_ms()
        event = LoginFailed(
            id=self.ids.ulid(now_ms), at=now_ms, method="pwd", reason="invalid_credentials"
        )
        try:
            await self.events.publish(LOGIN_FAILED, event)
        except BusUnavailableError:
            log.warning("event.lost", subject=LOGIN_FAILED.name)
        return InvalidCredentials()

    async def _prove_again(
        self, account: Account, claims: Claims, change: PasswordChange
    ) -> InvalidCredentials | TooManyRequests | CurrentMissing | SignInAgain | None:
        """What a stolen session lacks: the password, or where there is none a sign-in of the last minutes."""
        if not account.password_hash:
            age = self.clock.now_ms() // 1000 - claims.auth_time
            return SignInAgain() if age > FRESH_SECONDS else None
        if change.current is None:
            return CurrentMissing()
        begun = await self.tries.begin(account.email, change.browser, change.client)
        if isinstance(begun, NetworkLimited):
            return TooManyRequests(retry_after(begun.wait_ms))
        async with self._taken_back_if_away(begun):
            proven = await self._verified(begun, account.email, change.current)
        if proven is None:
            return InvalidCredentials()
        await self.tries.passed(begun)
        return None

    def _new_password(self, account: Account, client: Client) -> NewPassword:
        now_ms = self.clock.now_ms()
        cause = self.ids.ulid(now_ms)
        return NewPassword(
            account.sub, account.email, cause, now_ms, self.keys.link.current, client
        )

    async def _open_anew(
        self, account: Account, claims: Claims, change: PasswordChange, ended: str
    ) -> SessionOpened | NobodyAnyMore:
        """A session asked for right after the end of the others; a later end ends this one too."""
        asked_at_ms = await self.sessions.instant(ended) + 1
        as_of_ms = await self.sessions.now(after_ms=self._tokens_before(account))
        standing = await self.subjects.standing(account.sub, account.email, claims.org)
        if standing is None:
            return NobodyAnyMore()
        opened = await self.opening.open(
            standing,
            asked_at_ms=asked_at_ms,
            as_of_ms=as_of_ms,
            amr="pwd",
            client=change.client,
            browser=change.browser,
            client_id=claims.client_id,
            cookies=change.cookies,
        )
        return NobodyAnyMore() if isinstance(opened, NotOpened) else opened

    def _tokens_before(self, account: Account) -> int:
        return self.revocations.watermark(account.sub, account.email).tokens_before


def _usable(account: Account | None) -> str:
    """The hash to compare with: nobody's, unless the address is proven and the person may come in."""
    if account is None or account.verified_at_ms is None or account.blocked_at_ms is not None:
        return NOBODY
    return account.password_hash
