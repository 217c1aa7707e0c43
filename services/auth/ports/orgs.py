"""What the flows need of organisations (SQL). Each method is one transaction; times in Unix ms.

What changes an organisation is judged inside the transaction, with the organisation locked: *judge* gets the
`Seats` as they are then and says what is wrong, or None. All raise `AccountsUnavailableError`: nothing was
changed.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from services.auth.domain.org import (
    Done,
    Invitation,
    Member,
    Membership,
    NotDone,
    Org,
    OrgRefusal,
    Seats,
)
from services.auth.domain.outbox import Entry

Judge = Callable[[Seats], OrgRefusal | None]
# What goes with a change, by whose roles it changed.
EntriesFor = Callable[[Sequence[str]], Sequence[Entry]]


class Orgs(Protocol):
    """Organisations, their members and invitations."""

    async def create(self, org: Org, owner: str, entries: Sequence[Entry]) -> Done | NotDone:
        """Make *org* with *owner* as its one member. ``too_many``: he is in `MAX_ORGS` already."""
        ...

    async def memberships(self, sub: str) -> list[Membership]:
        """The organisations of *sub*, by name."""
        ...

    async def membership(self, org: str, sub: str) -> Membership | None:
        """The place of *sub* in *org*; None when there is no such organisation, or *sub* is not in it."""
        ...

    async def existing(self, orgs: frozenset[str]) -> frozenset[str]:
        """Those of *orgs* that there are."""
        ...

    async def members(self, org: str, after: str, limit: int) -> list[Member]:
        """Members in the order of their ``sub``, after *after*."""
        ...

    async def rename(self, org: str, actor: str, name: str, judge: Judge) -> Done | NotDone:
        """Give it another name."""
        ...

    async def delete(
        self, org: str, actor: str, judge: Judge, entries: EntriesFor
    ) -> Done | NotDone:
        """Remove it with its memberships and invitations; *entries* for each member."""
        ...

    async def set_roles(
        self,
        org: str,
        actor: str,
        sub: str,
        roles: Sequence[str],
        judge: Judge,
        entries: EntriesFor,
    ) -> Done | NotDone:
        """Let *sub* have exactly *roles*. Where they are these already nothing is written, and what is done
        are the entries about the roles of *sub* that still wait: whoever was told 503, because the first
        ones could not be done, repeats what he asked."""
        ...

    async def remove(
        self, org: str, actor: str, sub: str, judge: Judge, entries: EntriesFor
    ) -> Done | NotDone:
        """Remove *sub* (*actor* himself: he leaves)."""
        ...

    async def invite(self, invitation: Invitation, judge: Judge) -> Done | NotDone:
        """Keep it instead of an earlier one for the same address."""
        ...

    async def invitations(self, org: str, at_ms: int) -> list[Invitation]:
        """Those that can still be accepted at *at_ms*, newest first."""
        ...

    async def invitation(self, invitation: str, at_ms: int) -> tuple[Invitation, Org] | None:
        """One that can still be accepted, and whose it is."""
        ...

    async def withdraw(self, org: str, actor: str, invitation: str, judge: Judge) -> Done | NotDone:
        """Remove an invitation of *org*."""
        ...

    async def accept(
        self,
        invitation: Invitation,
        sub: str,
        at_ms: int,
        judge: Judge,
        entries: EntriesFor,
    ) -> Done | NotDone:
        """Consume it and make *sub* a member, or give a member its roles too.

        *judge* gets the inviter's seat, and his who accepts as the target. ``no_such_invitation``: used,
        withdrawn or run out meanwhile, or its inviter may not offer this any more.
        """
        ...
