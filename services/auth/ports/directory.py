"""What operators ask of the accounts' store: all accounts in pages, roles of the installation, and imports.

All raise `AccountsUnavailableError`: not now; to try again is safe.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.auth.domain.account import Account
from services.auth.domain.importing import Known, Newcomer
from services.auth.domain.outbox import Entry


class ChangedMeanwhileError(Exception):
    """Somebody else wrote one of these accounts in the same moment; nothing of the batch was written."""


@dataclass(frozen=True)
class Membership:
    """An organisation (id, name) and the roles held in it."""

    org: str
    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Listed:
    """An account with what hangs on it."""

    account: Account
    roles: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    orgs: tuple[Membership, ...] = ()


class Directory(Protocol):
    """All accounts. One whose address was never proven in time has none any more and is in no list."""

    async def page(self, after: str, limit: int) -> list[Listed]:
        """Accounts in the order of ``sub``, after *after*."""
        ...

    async def by_email(self, email: str) -> Listed | None:
        """The account of a canonical address."""
        ...

    async def set_roles(
        self, sub: str, grant: Sequence[str], revoke: Sequence[str], entries: Sequence[Entry]
    ) -> bool:
        """Whether this changed the installation's roles of *sub*; *entries* are written only then."""
        ...

    async def look_up(self, emails: Sequence[str], subs: Sequence[str]) -> Known:
        """What is known of these; for an import."""
        ...

    async def bring_in(
        self,
        people: Sequence[Newcomer],
        entries: Sequence[Entry],
        *,
        claimed: Sequence[Newcomer] = (),
    ) -> None:
        """Write all or none. *claimed* are there, unproven, and become what is given; a block of theirs stays.

        With the proof of one go the passwords that wait for another proof. Raises: ChangedMeanwhileError.
        """
        ...
