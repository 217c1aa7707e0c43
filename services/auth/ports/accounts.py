"""What the flows need of the accounts' store (SQL). Each method is one transaction; times in Unix ms.

*entries* are written with the rows they are about (`services.auth.domain.outbox`); the caller has them done
at once with `Relay.deliver`, and whatever a crash leaves, the relay does later.

All raise `AccountsUnavailableError`: not now, try again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from services.auth.domain.account import Account, Registration, Rights, Standing
from services.auth.domain.outbox import Entry
from services.auth.ports import StoreUnavailableError


class AccountsUnavailableError(StoreUnavailableError):
    """The store of accounts does not answer; nothing was changed, or the whole transaction was.

    A COMMIT whose answer was lost may have happened. Then the rows are there with the entries that follow from
    them, and the relay completes it; to ask again is safe.
    """


@dataclass(frozen=True)
class Registered:
    """What `Accounts.register` did: ``new`` account, ``pending`` password for one unverified, or ``known``."""

    account: Account
    outcome: Literal["new", "pending", "known"]


@dataclass(frozen=True)
class Proof:
    """An address has been proven: by what the account may keep, and what to write where there is none.

    *new_sub* is for an account that is made here; *registered* and *verified* are the entries that go with an
    account that is made, or verified, in this step (both when it is made). *registration* is the login_id whose
    waiting password is proven too; every other waiting password of the address is thrown away.
    """

    email: str = field(repr=False)
    new_sub: str
    at_ms: int
    registered: tuple[Entry, ...] = ()
    verified: tuple[Entry, ...] = ()
    registration: str | None = None


class Accounts(Protocol):
    """Accounts and their passwords."""

    async def by_email(self, email: str) -> Account | None:
        """The account of a canonical address."""
        ...

    async def by_sub(self, sub: str) -> Account | None:
        """The account; None when it was deleted."""
        ...

    async def rights(self, sub: str, org: str) -> Rights | None:
        """What a token of *sub* may say; None when there is no such account (any more)."""
        ...

    async def was_deleted(self, email: str) -> bool:
        """Whether an account of this address was deleted once (known by a keyed hash): its old sub is gone."""
        ...

    async def register(
        self,
        email: str,
        new_sub: str,
        at_ms: int,
        registration: Registration,
        entries: Sequence[Entry],
    ) -> Registered:
        """Make an unverified account with a waiting password, or add that password to one unverified.

        *entries* are written for a new account only; for a verified one nothing is written.
        """
        ...

    async def registration(self, login_id: str) -> Registration | None:
        """A waiting password that has not run out."""
        ...

    async def prove(self, proof: Proof) -> Account:
        """The account of a proven address: made where there is none, verified, freed of what was not proven."""
        ...

    async def adopt(self, account: Account, entries: Sequence[Entry]) -> Account:
        """Write *account* as it is, unless its address has one: that one (accounts were off before)."""
        ...

    async def set_password(
        self,
        sub: str,
        password_hash: str,
        entries: Sequence[Entry],
        *,
        instead_of: str | None = None,
    ) -> bool:
        """Whether it was set: only while the stored hash is *instead_of* (None: whatever it is)."""
        ...

    async def block(self, sub: str, at_ms: int | None) -> None:
        """Keep the person out since *at_ms*, or (None) let them in again. Unknown: nothing."""
        ...

    async def forget_expired(self, at_ms: int) -> int:
        """Remove waiting passwords and never-proven accounts that ran out; how many rows."""
        ...


class Outbox(Protocol):
    """Entries that are written and perhaps not done yet."""

    async def pending(self, limit: int, without: Collection[str] = ()) -> list[Entry]:
        """The oldest *limit* of each kind (of events: each subject) in the order of writing, but those
        whose ids are in *without*, and those that only a newer auth can read."""
        ...

    async def done(self, ids: Sequence[str]) -> None:
        """Forget these."""
        ...


class Subjects(Protocol):
    """Who an address is: its ``sub``, and what tokens say of it. Without accounts the address itself."""

    @property
    def changes(self) -> bool:
        """Whether what is said of a person can change while they are signed in: then tokens are dated with
        an instant before it was asked."""
        ...

    async def names(self, name: str) -> tuple[str, str]:
        """The ``sub`` and the address of whom *name*, either of them, names; twice *name* if that is nobody."""
        ...

    async def confirms(self, login_id: str, email: str, password: str) -> bool:
        """Whether *password* is the one that waits under *login_id*, or is that of *email* by now.

        The second, because what failed after it was proven is tried again.
        """
        ...

    async def prove(
        self, email: str, *, remembered: bool, registration: str | None = None
    ) -> Standing | None:
        """Who has just proven *email*; None when they are kept out.

        *remembered*: this address signed in here before it had an account (then its ``sub`` stays the address).
        """
        ...

    async def standing(self, sub: str, email: str, org: str) -> Standing | None:
        """What a new token of a living session may say; None when there is no such person any more.

        Where *org* is none of theirs (any more), the answer's ``org`` is "".
        """
        ...


class Hasher(Protocol):
    """Password hashing in a bounded pool, so that logins cannot stop everything else."""

    async def hash(self, password: str) -> str:
        """An Argon2id hash (PHC string). Raises: HasherBusyError."""
        ...

    async def verify(self, password_hash: str, password: str) -> "PasswordVerdict":
        """Compare; "" stands for nobody's hash and costs the same as ours. Raises: HasherBusyError."""
        ...


@dataclass(frozen=True)
class PasswordVerdict:
    """Whether it matches; *outdated*: hash it again with today's parameters."""

    matches: bool
    outdated: bool = False


class HasherBusyError(Exception):
    """Too many passwords are being checked; nothing was looked at. Answer 503 with Retry-After."""
