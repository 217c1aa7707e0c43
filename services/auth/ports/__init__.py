"""What the flows need from outside. Times in Unix ms; every store operation is one atomic step.

The store's clock is the one clock for `sst`, `iat_ms` and watermarks: each operation that creates or
advances something reads it inside that step and answers with it. The same operations refuse with
`StoreUnsettledError` while the revocation worker does not vouch for the store; what ends something does not.

Errors of all ports: `StoreUnavailableError` (Redis), `BusUnavailableError` (no PubAck) and
`FeedStaleError`. Each means "not now": the answer is 503 and nothing is lost by trying again.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from latchwire.claims import Claims
from services.auth.domain.client import UNKNOWN, Client
from services.auth.domain.ending import PendingEnd
from services.auth.domain.exchange import Budget as Budget
from services.auth.domain.exchange import Budgets as Budgets
from services.auth.domain.exchange import Exchange as Exchange
from services.auth.domain.exchange import Exchanged as Exchanged
from services.auth.domain.exchange import NetworkLimited as NetworkLimited
from services.auth.domain.exchange import NotExchanged as NotExchanged
from services.auth.domain.exchange import Opened as Opened
from services.auth.domain.exchange import OpenSession as OpenSession
from services.auth.domain.exchange import UsedBefore as UsedBefore
from services.auth.domain.outcomes import Person
from services.auth.domain.session import EndReason, Session
from services.auth.ports.attempts import Attempts as Attempts
from shared.bus import BusUnavailableError as BusUnavailableError
from shared.bus import NoAnswerError as NoAnswerError
from shared.contract import Question, R, Subject
from shared.messages import Message
from shared.redis import StoreUnavailableError as StoreUnavailableError
from shared.secrets import SymmetricKeys

M = TypeVar("M", bound=Message)


class ClockSkewedError(StoreUnavailableError):
    """The store's clock cannot be right; nothing was written."""


class StoreUnsettledError(StoreUnavailableError):
    """The store was emptied, restored or may forget: nothing is concluded from it until it is trusted again."""


class NotAnnouncedError(BusUnavailableError):
    """The end is stored and cannot be lost, but nobody else could be told of it yet."""


class FeedStaleError(Exception):
    """It is not proven lately that every revocation has arrived here."""


@dataclass(frozen=True)
class Advanced:
    """*counter* is now the session's; *at_ms* is when to issue. Also the answer to a repetition."""

    counter: int
    at_ms: int


@dataclass(frozen=True)
class Over:
    """The session is not alive; *reason* is its tombstone's, "" when nothing is known of it.

    *announced* says whether that end is known to have been published.
    """

    reason: str
    announced: bool = True


class Sessions(Protocol):
    """Sessions. An ended one keeps its tombstone for as long as its tokens could have lived.

    A tombstone holds times and a reason; only one of a reuse keeps who and where until it is announced.
    Every end is remembered as unannounced, in the step that makes it, until `announced` is called.
    """

    async def require_settled(self) -> None:
        """Raises: StoreUnsettledError: what is not there may have been lost, what is there may be old."""
        ...

    async def now(self, *, after_ms: int = 0) -> int:
        """The store's time, later than *after_ms*; no operation will answer with an earlier one."""
        ...

    async def instant(self, entry_id: str, *, keep_ms: int | None = None) -> int:
        """The store's time when this was first asked for *entry_id*; a repetition is told the same.

        It is kept for *keep_ms* after it was asked for last; None: for longer than any session lives.
        What any operation gives a time afterwards is later.
        """
        ...

    async def open(self, opening: OpenSession) -> Exchanged | NotExchanged:
        """Create a session that no link opens. Safe to repeat with the same sid."""
        ...

    async def find(self, sid: str) -> Session | None:
        """The session, or its tombstone; None when nothing is known.

        Raises:
            StoreUnsettledError: nothing is known, in a store that may have lost it.
        """
        ...

    async def look(self, sid: str) -> tuple[Session | None, int]:
        """`find` and `now` in one step.

        Raises:
            StoreUnsettledError: as for `find`.
        """
        ...

    async def advance(
        self,
        session: Session,
        counter: int,
        grace_ms: int,
        *,
        after_ms: int = 0,
        client: Client = UNKNOWN,
        org: str | None = None,
    ) -> Advanced | Over:
        """One refresh: `judge_counter` inside the store. Safe to repeat. *org* (not None) is active after it.

        Reuse ends the session, whose tombstone then says which *client* presented the token.
        The time answered is later than *after_ms* (a watermark) and not before the session's start.
        """
        ...

    async def end(self, sid: str, sub: str, reason: EndReason, actor: str) -> PendingEnd:
        """Write the tombstone; what to publish, also when nothing is known of *sid*."""
        ...

    async def unannounced(self) -> list[PendingEnd]:
        """Ends that are not known to have been published, a thousand at most."""
        ...

    async def announced(self, end: PendingEnd) -> None:
        """Remember that *end* was published; a newer one of the same target stays."""
        ...

    async def of(self, sub: str) -> list[Session]:
        """The living sessions of *sub*, newest first."""
        ...

    async def end_all(
        self, sub: str, email: str, reason: EndReason, actor: str, *, at_ms: int | None = None
    ) -> PendingEnd:
        """End every session of *sub*, void every open attempt of *email*; what to publish.

        With *at_ms* (an `instant`) only what began up to then; safe to repeat.
        """
        ...


class People(Protocol):
    """Who is blocked: by address. Sessions are those whose ``sub`` is that address."""

    async def block(self, email: str, reason: str, actor: str) -> PendingEnd:
        """Block *email*, void its links and end the sessions of that name, in one step; what to publish."""
        ...

    async def unblock(self, email: str) -> None:
        """Let *email* sign in again; ended sessions stay ended."""
        ...

    async def find(self, email: str) -> Person:
        """What is known."""
        ...


class Events(Protocol):
    """The bus, as far as auth speaks on it."""

    async def publish(
        self, subject: Subject[M], message: M, *, msg_id: str | None = None
    ) -> object:
        """Return once the stream has acknowledged. Raises: BusUnavailableError."""
        ...


class Signals(Protocol):
    """What is said beside the streams."""

    def hear_once(self, subject: Subject[M]) -> AbstractAsyncContextManager["asyncio.Future[M]"]:
        """The first message from now on. Raises: BusUnavailableError."""
        ...

    async def ask(self, question: Question[M, R], message: M, *, timeout: float) -> R:
        """The answer within *timeout* seconds. Raises: NoAnswerError, BusUnavailableError."""
        ...


class Watch(Protocol):
    """Somebody who wants to know how far a revocation has come."""

    async def expect(self, event_id: str) -> None:
        """*event_id* is about to be published. Takes no time and never fails: it must not hold that up."""
        ...


class Nobody:
    """The `Watch` of a request that does not wait."""

    async def expect(self, event_id: str) -> None:
        """Nothing."""


NOBODY = Nobody()


@dataclass(frozen=True)
class Watermark:
    """Sessions begun, and tokens issued, at or before these instants are refused (0: none)."""

    sessions_before: int = 0
    tokens_before: int = 0


class Revocations(Protocol):
    """The revocation feed."""

    def require_fresh(self) -> None:
        """Raises: FeedStaleError."""
        ...

    def watermark(self, *identifiers: str) -> Watermark:
        """The greatest watermarks of these subjects."""
        ...

    def refuses(self, claims: Claims, now_ms: int) -> bool:
        """Whether any record hits these claims."""
        ...

    def refuses_key(self, kid: str, now_ms: int) -> bool:
        """Whether the signing key *kid* is revoked."""
        ...


class AccessTokens(Protocol):
    """Access tokens (RFC 9068)."""

    @property
    def jwks(self) -> Mapping[str, Any]:
        """The public keys that count now (RFC 7517)."""
        ...

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with these claims under the key that signs now."""
        ...

    def read(self, token: str, now_ms: int) -> Claims | str:
        """The claims of a genuine token in its time, or the code of its refusal."""
        ...

    def read_expired(self, token: str) -> Claims | None:
        """The claims of a genuine token of any age."""
        ...


@dataclass(frozen=True, repr=False)
class Keys:
    """The symmetric keys, by purpose. *index* turns people and sessions into names for the store."""

    link: SymmetricKeys
    refresh: SymmetricKeys
    csrf: SymmetricKeys
    index: bytes
