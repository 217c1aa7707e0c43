"""What is asked of the store of login attempts, and what it answers. Times in Unix ms."""

from dataclasses import dataclass

from services.auth.domain.limits import Rate
from services.auth.domain.link import Attempt, Muted
from services.auth.domain.session import Session


@dataclass(frozen=True)
class Budget:
    """One limit to be counted: *subject* is hashed before it becomes a key."""

    subject: str
    rate: Rate


@dataclass(frozen=True)
class Budgets:
    """The limits of a request for a link.

    *known* counts instead of *address*, at its rate, in a browser that the person has signed in with:
    strangers who ask for somebody's links cannot use that one up. *networks* are three, each with room.
    """

    address: Budget
    known: Budget
    networks: tuple[Budget, Budget, Budget]
    whole: Budget


@dataclass(frozen=True)
class Opened:
    """The attempt is stored; *muted* may have become a limit's or a block's name."""

    at_ms: int
    muted: Muted


@dataclass(frozen=True)
class NetworkLimited:
    """Nothing is stored; *wait_ms* until the oldest request of that network is forgotten."""

    wait_ms: int


@dataclass(frozen=True)
class Exchange:
    """Turn an attempt into a session.

    *right* says whether the proof matched (compared by the caller in constant time); a wrong code is
    counted. *watermark* is the greatest ``sessions_before`` the feed knows for the person. *session* is
    what to create; its times are set by the store. *browser* is the hash that is remembered for
    *browser_ms*.
    """

    attempt: Attempt
    by_code: bool
    right: bool
    watermark: int
    session: Session
    session_ms: int
    browser: str
    browser_ms: int


@dataclass(frozen=True)
class OpenSession:
    """Create *session* for somebody who proved who they are without a link.

    *asked_at_ms* is the store's time before what proves it was read: ends since then refuse it. The rest is as
    in `Exchange`.
    """

    session: Session
    session_ms: int
    asked_at_ms: int
    watermark: int
    browser: str
    browser_ms: int


@dataclass(frozen=True)
class Exchanged:
    """The session as created; *new_browser* when the person was seen before, but never in this one."""

    session: Session
    new_browser: bool


@dataclass(frozen=True)
class UsedBefore:
    """The proof is right, but the attempt has already opened *sid*."""

    sid: str


@dataclass(frozen=True)
class NotExchanged:
    """Refused; *reason* is for counters, never for the person."""

    reason: str
