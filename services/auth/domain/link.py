"""Login attempts: what is stored, what may be asked of them, and every possible answer.

An attempt is opened for every address alike. One that must not lead to a mail (not allowed, blocked,
over a limit) is *muted*: it costs the same work, gets the same answer, and nothing ever opens it.
"""

from dataclasses import dataclass, field
from typing import Literal

from services.auth.domain.client import UNKNOWN, Client

LINK_SECONDS = 600
NOTICE_SECONDS = 7 * 86_400  # a notice can end its session for as long as that lives
CODE_TRIES = 5

Purpose = Literal["sign_in", "notice", "verify_email", "reset_password", "invitation"]
OPENING: tuple[Purpose, ...] = ("sign_in", "verify_email")  # what opens a session
State = Literal["open", "used", "cancelled", "voided"]
Muted = Literal["", "not_allowed", "blocked", "address_limit", "global_limit", "no_account"]


@dataclass(frozen=True)
class Attempt:
    """A stored attempt. Times in Unix ms of the store's clock.

    *browser* is the hash of the asking browser's pre-login value ("" when it had none), *sid* the
    session it opened (or, for a notice, the one it can end). *identity* is a provider's login that waits
    for this proof, as `services.auth.flows.social` wrote it; "" for none.
    """

    login_id: str
    email: str
    purpose: Purpose
    requested_at_ms: int
    expires_at_ms: int
    link_kid: str
    client: Client = UNKNOWN
    browser: str = ""
    next: str = ""
    state: State = "open"
    muted: Muted = ""
    tries: int = 0
    sid: str = ""
    identity: str = ""


@dataclass(frozen=True)
class LinkAsk:
    """A request for a link. *email* is canonical, *next* validated, *browser* a hash or ""."""

    email: str
    client: Client
    browser: str = ""
    next: str = ""
    locale: str = "en"


@dataclass(frozen=True)
class LinkSent:
    """The one answer for every address. *expires_in* in seconds."""

    login_id: str
    expires_in: int


@dataclass(frozen=True)
class TooManyRequests:
    """The network asked too often. *retry_after* in seconds."""

    retry_after: int


@dataclass(frozen=True)
class TokenProof:
    """The token of a link."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class CodeProof:
    """The code of a mail, as typed, for one attempt."""

    login_id: str
    code: str = field(repr=False)


Proof = TokenProof | CodeProof


@dataclass(frozen=True)
class OfferedLogin:
    """A login at *provider*, known there by *email*: this proof adds it if the person says so."""

    provider: str
    title: str
    email: str = field(repr=False)


@dataclass(frozen=True)
class LinkView:
    """What a holder of the link may see before deciding. *offered* is added only if the person says so."""

    login_id: str
    email: str
    purpose: Purpose
    requested_at_ms: int
    expires_at_ms: int
    client: Client
    same_browser: bool
    next: str
    offered: OfferedLogin | None = None


@dataclass(frozen=True)
class AlreadySignedIn:
    """This very browser holds the session that the link opened: go on to *next*."""

    next: str


@dataclass(frozen=True)
class WrongPassword:
    """The link is right, but the password typed with it is not the one that waits. Nothing is used up."""


@dataclass(frozen=True)
class LinkSpent:
    """Used, expired, unknown, cancelled, muted or a wrong code: one answer, on purpose."""
