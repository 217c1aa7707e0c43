"""What is asked with a password, every answer, and what a new one leads to. No password shows in a repr."""

import hashlib
from dataclasses import dataclass, field

from services.auth.domain.client import Client
from services.auth.domain.link import NOTICE_SECONDS
from services.auth.domain.outbox import EndSessions, Entry, announce
from services.auth.domain.password import PasswordProblem
from services.auth.domain.session import FIRST_PARTY, EndReason
from shared.contract import LOGIN_REQUESTED, USER_PASSWORD_CHANGED
from shared.ids import encode_ulid
from shared.messages import ClientHint, LoginRequested, UserPasswordChanged

FRESH_SECONDS = 600  # how recent a sign-in must be for what a stolen session must not do (RFC 9470)


@dataclass(frozen=True)
class PasswordLogin:
    """A login with a password. *email* is canonical, *next* validated, *browser* a hash or ""."""

    email: str
    password: str = field(repr=False)
    client: Client
    browser: str = ""
    next: str = ""
    client_id: str = FIRST_PARTY
    cookies: bool = False


@dataclass(frozen=True)
class PasswordChange:
    """A new password, by somebody who is signed in. *current* None: not given."""

    password: str = field(repr=False)
    current: str | None = field(repr=False)
    client: Client
    browser: str = ""
    cookies: bool = False


@dataclass(frozen=True)
class PasswordRefused:
    """Nobody may have this password, whoever they are and whether or not there is an account."""

    code: PasswordProblem


@dataclass(frozen=True)
class InvalidCredentials:
    """Wrong, unknown, unverified, blocked, deleted, without a password, throttled: one answer, on purpose."""


@dataclass(frozen=True)
class PasswordSet:
    """It is the account's password now; every session the person had is over."""


@dataclass(frozen=True)
class CurrentMissing:
    """The account has a password, and the request did not give it."""


@dataclass(frozen=True)
class SignInAgain:
    """The account has no password that could be given, and the sign-in is too long ago."""


@dataclass(frozen=True)
class NobodyAnyMore:
    """The account is gone, or kept out, or all its sessions were ended meanwhile."""


@dataclass(frozen=True)
class NewPassword:
    """Whose password is set, and where to say so. *cause* is a ULID: the same one says the same again.

    *at_ms* is when; *link_kid* the key of the mail's link.
    """

    sub: str
    email: str = field(repr=False)
    cause: str
    at_ms: int
    link_kid: str
    client: Client

    def entries(self, reason: EndReason) -> tuple[EndSessions, Entry, Entry]:
        """Sessions end first; then services and the person hear of it."""
        ended, told, mailed = (self._id(what) for what in ("ended", "told", "mailed"))
        event = UserPasswordChanged(id=told, at=self.at_ms, sub=self.sub)
        return (
            EndSessions(ended, self.sub, self.email, reason),
            announce(USER_PASSWORD_CHANGED, event),
            announce(LOGIN_REQUESTED, self._mail(mailed)),
        )

    def _id(self, what: str) -> str:
        """A ULID of the same time as the cause's."""
        digest = hashlib.sha256(f"password/v1|{self.cause}|{what}".encode()).digest()
        return self.cause[:10] + encode_ulid(0, digest[:10])[10:]

    def _mail(self, login_id: str) -> LoginRequested:
        return LoginRequested(
            id=login_id,
            at=self.at_ms,
            login_id=login_id,
            email=self.email,
            purpose="notice",
            client=ClientHint(network=self.client.network, user_agent=self.client.user_agent),
            link_kid=self.link_kid,
            expires_at=self.at_ms + NOTICE_SECONDS * 1000,
            notice="password_changed",
        )
