"""The port of login attempts; `services.auth.ports` says what holds for all of them."""

from typing import Protocol

from services.auth.domain.exchange import (
    Budgets,
    Exchange,
    Exchanged,
    NetworkLimited,
    NotExchanged,
    Opened,
    UsedBefore,
)
from services.auth.domain.link import Attempt


class Attempts(Protocol):
    """Login attempts and their limits."""

    async def open(
        self, attempt: Attempt, ttl_ms: int, budgets: Budgets, *, after_ms: int = 0
    ) -> Opened | NetworkLimited:
        """Count, store with the store's time, and say what became of it. Safe to repeat.

        The time is later than *after_ms* (a watermark that has arrived, and so came before).
        """
        ...

    async def open_notice(self, attempt: Attempt, ttl_ms: int) -> Opened:
        """Store an attempt no limit counts. Safe to repeat."""
        ...

    async def find(self, login_id: str) -> Attempt | None:
        """The attempt, used or not, while it has not expired.

        Raises:
            StoreUnsettledError: it is not there, in a store that may have lost it.
        """
        ...

    async def unopened(self, email: str, watermark: int) -> int:
        """How many links of *email* would open a session, for either purpose; changes nothing.

        Those asked for up to *watermark* would not.
        """
        ...

    async def cancel(self, login_id: str) -> bool:
        """Close an open attempt; whether it was open."""
        ...

    async def judge(
        self, attempt: Attempt, *, by_code: bool, right: bool, watermark: int
    ) -> UsedBefore | NotExchanged | None:
        """What `exchange` would refuse with; None: nothing. A wrong code is counted, nothing is used up.

        Asked before an address counts as proven elsewhere: parallel guesses share their tries here.
        """
        ...

    async def type_password(self, attempt: Attempt) -> bool:
        """Count a password sent with *attempt*'s proof, before it is judged; False: there are `CODE_TRIES`."""
        ...

    async def untype_password(self, attempt: Attempt) -> None:
        """It was right, or nobody could judge it: it does not count."""
        ...

    async def consume(
        self, attempt: Attempt, *, by_code: bool, right: bool, watermark: int, mark: str = ""
    ) -> bool:
        """Use the attempt up without a session, and void its siblings; whether it was this call.

        A repetition with the same *mark* (which then is the ``sid`` of `UsedBefore`) was this call too.
        """
        ...

    async def remembers(self, email: str) -> bool:
        """Whether somebody signed in with *email* within the last 180 days."""
        ...

    async def exchange(self, exchange: Exchange) -> Exchanged | UsedBefore | NotExchanged:
        """Consume the attempt and create the session, or neither. Safe to repeat with the same sid."""
        ...
