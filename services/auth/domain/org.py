"""Organisations: who may do what to whom in one, judged on what is read under its lock.

Nobody grants, takes or removes what goes beyond his own: a role may be given, and taken away, by who holds
every permission of it by the roles he has. An organisation always has an owner.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from services.auth.domain.outbox import Entry
from services.auth.domain.roles import INVITE, OWNER, REMOVE_MEMBERS, SET_ROLES, RoleTable

INVITATION_MS = 7 * 86_400_000
MAX_NAME = 64
MAX_ORGS = 100  # a person's memberships, counted where an organisation is made
MAX_OPEN_INVITATIONS = 200
MAX_MEMBERS = 10_000

OrgRefusal = Literal[
    "no_such_org",  # or the asker is no member: nobody can tell which
    "not_permitted",
    "no_such_member",
    "unknown_role",
    "beyond_own_roles",
    "last_owner",
    "already_member",
    "too_many",
    "no_such_invitation",
    "other_address",
    "no_account",  # the asker's own: deleted meanwhile
]
NameProblem = Literal["empty", "too_long", "control", "spaces", "link"]

# What a mail program makes a link of: a scheme, an address, or words joined by dots and slashes.
_LINKED = re.compile(r"://|@|/|\\|www\.|\w\.\w|\bmailto:|\btel:", re.IGNORECASE)


@dataclass(frozen=True)
class Org:
    """An organisation. *created_at_ms* in Unix ms."""

    org: str
    name: str
    created_at_ms: int


@dataclass(frozen=True)
class Membership:
    """One person's place in *org*, with the roles as they rest in the store."""

    org: Org
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Member:
    """One of an organisation's people. *joined_at_ms* in Unix ms."""

    sub: str
    email: str = field(repr=False)
    joined_at_ms: int
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Invitation:
    """An open invitation: for one address, once. Times in Unix ms; *invitation* is its mail's ``login_id``."""

    invitation: str
    org: str
    email: str = field(repr=False)
    roles: tuple[str, ...]
    invited_by: str
    created_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True)
class Seats:
    """Who asks and who is asked about. None: no member. *other_owners*: owners beside the one asked about."""

    actor: tuple[str, ...] | None
    target: tuple[str, ...] | None
    other_owners: int


@dataclass(frozen=True)
class NotDone:
    """Nothing was changed."""

    code: OrgRefusal


@dataclass(frozen=True)
class Done:
    """It is written; *entries* went with it and are to be done."""

    entries: tuple[Entry, ...] = ()


def name_problem(name: str) -> NameProblem | None:
    """What keeps *name* from being an organisation's: it stands in mails that strangers get.

    One line of plain text, at most 64 characters, without anything that a mail program would turn into a link
    and without characters that cannot be seen or that turn the reading order around.
    """
    if not name:
        return "empty"
    if len(name) > MAX_NAME:
        return "too_long"
    if any(
        unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for char in name
    ):
        return "control"
    if name != " ".join(name.split()) or any(c.isspace() and c != " " for c in name):
        return "spaces"
    # Full-width and other look-alikes of dots and slashes are read as such by some (UTS 46).
    plain = unicodedata.normalize("NFKC", name).replace("\u3002", ".")
    return "link" if _LINKED.search(plain) else None


def judge_permission(table: RoleTable, seats: Seats, permission: str) -> OrgRefusal | None:
    """May the asker do what needs *permission*?"""
    if seats.actor is None:
        return "no_such_org"
    return None if permission in table.org_permissions(seats.actor) else "not_permitted"


def judge_roles(table: RoleTable, seats: Seats, roles: Iterable[str]) -> OrgRefusal | None:
    """May the asker let the other have exactly *roles*? His own too: less he may always have, never more."""
    refusal = judge_permission(table, seats, SET_ROLES)
    if refusal or seats.actor is None:
        return refusal
    if seats.target is None:
        return "no_such_member"
    wanted = set(roles)
    return (
        _judge_names(table, wanted)
        or _judge_reach(table, seats.actor, wanted ^ set(seats.target))
        or _judge_last(seats, stays=OWNER in wanted)
    )


def judge_removal(table: RoleTable, seats: Seats, *, oneself: bool) -> OrgRefusal | None:
    """May the asker remove the other? Everybody may leave, except the last owner."""
    if seats.actor is None:
        return "no_such_org"
    if not oneself:
        refusal = judge_permission(table, seats, REMOVE_MEMBERS)
        if refusal:
            return refusal
        if seats.target is None:
            return "no_such_member"
        refusal = _judge_reach(table, seats.actor, seats.target)
        if refusal:
            return refusal
    return _judge_last(seats, stays=False)


def judge_invitation(table: RoleTable, seats: Seats, roles: Iterable[str]) -> OrgRefusal | None:
    """May the asker offer *roles*? The target is whoever has the address by now.

    Judged again when it is accepted: who has lost a role in between offers it no more.
    """
    refusal = judge_permission(table, seats, INVITE)
    if refusal or seats.actor is None:
        return refusal
    wanted = set(roles)
    return _judge_names(table, wanted) or _judge_reach(table, seats.actor, wanted)


def _judge_names(table: RoleTable, roles: Iterable[str]) -> OrgRefusal | None:
    return None if all(map(table.is_org_role, roles)) else "unknown_role"


def _judge_reach(
    table: RoleTable, actor: tuple[str, ...], roles: Iterable[str]
) -> OrgRefusal | None:
    beyond = table.org_permissions(roles) - table.org_permissions(actor)
    return "beyond_own_roles" if beyond else None


def _judge_last(seats: Seats, *, stays: bool) -> OrgRefusal | None:
    is_owner = OWNER in (seats.target or ())
    return "last_owner" if is_owner and not stays and seats.other_owners == 0 else None
