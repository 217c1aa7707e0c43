"""What the flows of a deletion need: the ledger (SQL), the services, and auth's own memory outside SQL.

Times in Unix ms. The ledger's methods raise `AccountsUnavailableError`: not now; to try again is safe.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.auth.domain.deletion import Answer, Deletion
from services.auth.domain.outbox import Entry
from shared.messages import EraseAnswer, EraseUser


@dataclass(frozen=True)
class Deleted:
    """The account is gone. *again*: it was before, and *deletion* is the row of then."""

    deletion: Deletion
    again: bool = False


@dataclass(frozen=True)
class SoleOwner:
    """Nothing was changed: these organisations (id, name) have other members and no other owner."""

    organisations: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class NoAccount:
    """There is no account under this id, and there never was one that was deleted."""


@dataclass(frozen=True)
class Erasing:
    """One question to one service that this process, and no other, puts now."""

    deletion: Deletion
    service: str
    asked: int


@dataclass(frozen=True)
class LedgerRow:
    """One deletion with every answer."""

    deletion: Deletion
    answers: tuple[Answer, ...]


class Deletions(Protocol):
    """The ledger of deletions."""

    async def delete(
        self, deletion: Deletion, services: Sequence[str], entries: Sequence[Entry]
    ) -> Deleted | SoleOwner | NoAccount:
        """In one transaction: the account with all that hangs on it gone, the ledger's rows, the *entries*.

        Organisations whose only member this is go too, and so do invitations to its address or from it.
        """
        ...

    async def claim(self, now_ms: int, limit: int) -> list[Erasing]:
        """Questions that are due, each counted as put in this step, so that no other process puts it too.

        None is due before everything that the deletion wrote into the outbox has been done.
        """
        ...

    async def done(self, deletion_id: str, service: str, at_ms: int) -> bool:
        """*service* has erased; whether it was the last one: then the address has left the ledger."""
        ...

    async def note(self, deletion_id: str, service: str, note: str) -> None:
        """Why *service* is not done yet."""
        ...

    async def page(self, *, every: bool, after: str, limit: int) -> list[LedgerRow]:
        """Rows after the id *after*, oldest first; without *every* only those not complete."""
        ...

    async def late(self, now_ms: int) -> int:
        """How many are over their deadline and not complete."""
        ...


class Erasers(Protocol):
    """The services that registered interest."""

    async def ask(self, service: str, request: EraseUser) -> EraseAnswer | None:
        """Its answer; None: nobody there answered in time."""
        ...


class Memory(Protocol):
    """What the store of sessions remembers of a person beside the sessions."""

    async def forget(self, sub: str, email: str) -> None:
        """Forget links, notices, known browsers and counts, and whatever session is left; safe to repeat.

        What stays holds no name: when the sessions ended, under a keyed hash, for as long as they could live.
        Raises: StoreUnavailableError.
        """
        ...
