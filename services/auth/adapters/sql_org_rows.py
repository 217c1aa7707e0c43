"""What the statements about organisations share: seats under a lock, roles, rows."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, FromClause, and_, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.adapters.sql import ANNOUNCE, to_entry
from services.auth.adapters.sql_schema import (
    accounts,
    member_roles,
    members,
    organisations,
    outbox,
)
from services.auth.domain.org import Invitation, Membership, Org, Seats
from services.auth.domain.outbox import Announce, Entry
from services.auth.domain.roles import OWNER
from shared.contract import USER_ROLES_CHANGED


async def lock_account(c: AsyncConnection, sub: str) -> bool:
    """Whether the account is there; if so it stays until the transaction ends.

    Always before the lock of an organisation: in one order for all, nobody waits for one who waits for him.
    """
    rows = await c.execute(select(accounts.c.sub).where(accounts.c.sub == sub).with_for_update())
    return rows.first() is not None


def askable(text: str) -> str:
    """*text* as a database can be asked for it; "", which is nobody's id, for what no id can be.

    PostgreSQL has no NUL, and neither engine's driver takes half a surrogate pair: both come in paths.
    """
    return text if text.isprintable() else ""


async def seats(c: AsyncConnection, org: str, actor: str, target: str) -> Seats:
    """The seats of two people (or one) in *org*, which is locked from here on."""
    org, target = askable(org), askable(target)
    await c.execute(select(organisations.c.org).where(organisations.c.org == org).with_for_update())
    rows = await c.execute(
        select(members.c.sub).where(members.c.org == org, members.c.sub.in_([actor, target]))
    )
    present = {row.sub for row in rows}
    held = and_(member_roles.c.org == org, member_roles.c.sub.in_([actor, target]))
    roles = await roles_of(c, held)
    owners = and_(
        member_roles.c.org == org, member_roles.c.role == OWNER, member_roles.c.sub != target
    )
    seat = {sub: roles.get((org, sub), ()) for sub in present}
    return Seats(seat.get(actor), seat.get(target), await count(c, member_roles, owners))


async def memberships_where(c: AsyncConnection, which: ColumnElement[bool]) -> list[Membership]:
    """With their roles, by the organisations' names."""
    rows = await c.execute(
        select(organisations, members.c.sub)
        .join(members, members.c.org == organisations.c.org)
        .where(which)
        .order_by(organisations.c.name, organisations.c.org)
    )
    found = rows.all()
    held = and_(
        member_roles.c.sub.in_({row.sub for row in found}),
        member_roles.c.org.in_([row.org for row in found]),
    )
    roles = await roles_of(c, held)
    return [
        Membership(Org(row.org, row.name, row.created_at), roles.get((row.org, row.sub), ()))
        for row in found
    ]


async def roles_of(
    c: AsyncConnection, which: ColumnElement[bool]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """(org, sub) -> roles, in the order of their names."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in await c.execute(select(member_roles).where(which).order_by(member_roles.c.role)):
        found[row.org, row.sub] = (*found.get((row.org, row.sub), ()), row.role)
    return found


async def join(
    c: AsyncConnection,
    org: str,
    sub: str,
    roles: Sequence[str],
    at_ms: int,
    present: tuple[str, ...] | None = None,
) -> None:
    """Make *sub* a member with *roles*, or (*present*: the roles so far) give a member these too."""
    if present is None:
        await c.execute(insert(members).values(org=org, sub=sub, joined_at=at_ms))
    await give(c, org, sub, sorted({*roles, *(present or ())}))


async def give(c: AsyncConnection, org: str, sub: str, roles: Sequence[str]) -> None:
    """Make *roles* the roles of *sub* in *org*: those and no others."""
    await take(c, org, sub)
    if roles:
        rows = [{"org": org, "sub": sub, "role": role} for role in roles]
        await c.execute(insert(member_roles), rows)


async def take(c: AsyncConnection, org: str, sub: str) -> None:
    """Take all roles that *sub* has in *org*."""
    await c.execute(
        delete(member_roles).where(member_roles.c.org == org, member_roles.c.sub == sub)
    )


async def leave(c: AsyncConnection, org: str, sub: str) -> None:
    """*sub* is no member of *org* any more, and has no role in it."""
    await take(c, org, sub)
    await c.execute(delete(members).where(members.c.org == org, members.c.sub == sub))


async def delete_org(c: AsyncConnection, org: str) -> None:
    """Members and invitations go with it (ON DELETE CASCADE); roles have no such tie."""
    await c.execute(delete(member_roles).where(member_roles.c.org == org))
    await c.execute(delete(organisations).where(organisations.c.org == org))


async def unsaid(c: AsyncConnection, sub: str) -> tuple[Entry, ...]:
    """What has been written about the roles of *sub*, and perhaps not done yet, in that order."""
    told = and_(outbox.c.kind == ANNOUNCE, outbox.c.subject == USER_ROLES_CHANGED.name)
    refused = outbox.c.kind == "refuse_tokens"
    rows = await c.execute(select(outbox).where(told | refused).order_by(outbox.c.number))
    entries = [to_entry(row) for row in rows]
    return tuple(entry for entry in entries if entry is not None and _is_about(entry, sub))


def _is_about(entry: Entry, sub: str) -> bool:
    if not isinstance(entry, Announce):
        return entry.sub == sub
    try:
        return USER_ROLES_CHANGED.decode(entry.body).sub == sub
    except ValidationError:  # of a newer auth, which says it
        return False


async def sub_of(c: AsyncConnection, email: str) -> str:
    """Whose address it is; "" for nobody's."""
    rows = await c.execute(select(accounts.c.sub).where(accounts.c.email == email))
    row = rows.first()
    return str(row.sub) if row else ""


async def count(c: AsyncConnection, table: FromClause, which: ColumnElement[bool]) -> int:
    """How many rows of *table* are so."""
    counted = await c.execute(select(func.count()).select_from(table).where(which))
    return int(counted.scalar_one())


def invitation_row(invitation: Invitation) -> dict[str, object]:
    """As the table has it: times in ms, roles in one text with spaces between."""
    return {
        "invitation": invitation.invitation,
        "org": invitation.org,
        "email": invitation.email,
        "roles": " ".join(invitation.roles),
        "invited_by": invitation.invited_by,
        "created_at": invitation.created_at_ms,
        "expires_at": invitation.expires_at_ms,
    }


def to_invitation(row: Any) -> Invitation:
    """What `invitation_row` has written."""
    return Invitation(
        row.invitation,
        row.org,
        row.email,
        tuple(row.roles.split()),
        row.invited_by,
        row.created_at,
        row.expires_at,
    )
