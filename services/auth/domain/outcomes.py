"""What the session flows answer. Tokens never show in a repr."""

from dataclasses import dataclass, field
from typing import Literal

from latchwire.claims import Claims
from services.auth.domain.client import Client


@dataclass(frozen=True)
class Tokens:
    """A pair for one session. *expires_in* seconds of the access token, *session_seconds* of all.

    *csrf* is the readable cookie's value, "" outside cookie mode.
    """

    sid: str
    expires_in: int
    session_seconds: int
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    csrf: str = field(default="", repr=False)


@dataclass(frozen=True)
class SessionOpened:
    """A new session; go on to *next* ("" when the request named no target)."""

    tokens: Tokens
    next: str


@dataclass(frozen=True)
class NotOpened:
    """The person is kept out, or everything of theirs was ended meanwhile. They may try again."""


@dataclass(frozen=True)
class Credentials:
    """What a request showed. *access* from the header or the cookie, *refresh* likewise."""

    access: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)
    by_cookie: bool = False


@dataclass(frozen=True)
class SignedIn:
    """A genuine, unexpired, unrevoked access token."""

    claims: Claims


@dataclass(frozen=True)
class NotSignedIn:
    """Why not; the codes of the edge."""

    code: Literal["no_credentials", "token_invalid", "token_expired", "token_revoked"]


@dataclass(frozen=True)
class Refreshed:
    """The session goes on."""

    tokens: Tokens


@dataclass(frozen=True)
class SessionOver:
    """This refresh token will never work again."""

    code: Literal["refresh_invalid", "session_ended"]


@dataclass(frozen=True)
class NotAMember:
    """The organisation is none of theirs, or none at all: which, is not said. Nothing is used up."""


@dataclass(frozen=True)
class ContinueTo:
    """Renewed: set the cookies and go to *next*."""

    next: str
    tokens: Tokens


@dataclass(frozen=True)
class HopTo:
    """Strict cookies stay away from a navigation that another site began: load *url* from our own page."""

    next: str


@dataclass(frozen=True)
class LoginFirst:
    """Nothing to renew: sign in and come back to *next*."""

    next: str


@dataclass(frozen=True)
class SessionView:
    """One session in a person's list. Times in Unix ms."""

    handle: str
    current: bool
    started_at_ms: int
    last_used_at_ms: int
    expires_at_ms: int
    client: Client


@dataclass(frozen=True)
class Matched:
    """What a revocation would hit: living *sessions* and *links* that could still open one."""

    sessions: int
    links: int


@dataclass(frozen=True)
class Person:
    """An operator's view: blocked since when (ms, None: not), and how many sessions are open."""

    sub: str
    blocked_at_ms: int | None
    sessions: int
