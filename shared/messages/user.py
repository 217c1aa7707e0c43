"""``user.*`` facts. No address is in them: *sub* is the person, as in every token."""

from shared.messages.base import Event, Identifier, ShortText


class UserRegistered(Event):
    """A person has an account from now on, under *sub*, for ever.

    *previous_sub* is what tokens of the same address said before (accounts were off): what a service keeps
    under it belongs to *sub* from now on. Without it nothing changes.
    """

    sub: Identifier
    previous_sub: Identifier | None = None


class UserVerified(Event):
    """The person has proven the account's address."""

    sub: Identifier


class UserPasswordChanged(Event):
    """The password was set, changed or reset; every session of the person has ended."""

    sub: Identifier


class UserRolesChanged(Event):
    """Roles or permissions changed: in the organisation *org*, or ("") those an operator grants."""

    sub: Identifier
    org: ShortText = ""


class UserDeleted(Event):
    """The account is gone and its *sub* is never used again: forget what you keep of it."""

    sub: Identifier
