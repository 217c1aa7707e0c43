"""Organisations in SQL. Whatever changes one locks its row first, so that two changes of it never overlap.

SQLite has one writer at a time anyway (BEGIN IMMEDIATE); PostgreSQL takes the row lock, and what is read after
it is what the other has committed (READ COMMITTED).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.adapters.sql import Database, enqueue
from services.auth.adapters.sql_org_rows import (
    askable,
    count,
    delete_org,
    give,
    invitation_row,
    join,
    leave,
    lock_account,
    memberships_where,
    roles_of,
    seats,
    sub_of,
    to_invitation,
    unsaid,
)
from services.auth.adapters.sql_schema import (
    accounts,
    invitations,
    member_roles,
    members,
    organisations,
)
from services.auth.adapters.turns import Turns
from services.auth.domain.org import (
    MAX_MEMBERS,
    MAX_OPEN_INVITATIONS,
    MAX_ORGS,
    Done,
    Invitation,
    Member,
    Membership,
    NotDone,
    Org,
)
from services.auth.domain.outbox import Entry
from services.auth.domain.roles import OWNER
from services.auth.ports.orgs import EntriesFor, Judge


class SQLOrgs:
    """`services.auth.ports.orgs.Orgs`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = Turns()

    async def create(self, org: Org, owner: str, entries: Sequence[Entry]) -> Done | NotDone:
        async with self._turns.of(owner), self._database.writing() as c:
            if not await lock_account(c, owner):
                return NotDone("no_account")
            if await count(c, members, members.c.sub == owner) >= MAX_ORGS:
                return NotDone("too_many")
            values = {"org": org.org, "name": org.name, "created_at": org.created_at_ms}
            await c.execute(insert(organisations).values(values))
            await join(c, org.org, owner, [OWNER], org.created_at_ms)
            await enqueue(c, entries)
        return Done(tuple(entries))

    async def memberships(self, sub: str) -> list[Membership]:
        async with self._database.reading() as c:
            return await memberships_where(c, members.c.sub == sub)

    async def membership(self, org: str, sub: str) -> Membership | None:
        async with self._database.reading() as c:
            here = and_(members.c.org == askable(org), members.c.sub == sub)
            found = await memberships_where(c, here)
        return found[0] if found else None

    async def existing(self, orgs: frozenset[str]) -> frozenset[str]:
        async with self._database.reading() as c:
            rows = await c.execute(
                select(organisations.c.org).where(organisations.c.org.in_(sorted(orgs)))
            )
            return frozenset(rows.scalars())

    async def members(self, org: str, after: str, limit: int) -> list[Member]:
        async with self._database.reading() as c:
            rows = await c.execute(
                select(members.c.sub, accounts.c.email, members.c.joined_at)
                .join(accounts, accounts.c.sub == members.c.sub)
                .where(members.c.org == org, members.c.sub > askable(after))
                .order_by(members.c.sub)
                .limit(limit)
            )
            found = rows.all()
            held = and_(
                member_roles.c.org == org, member_roles.c.sub.in_([row.sub for row in found])
            )
            roles = await roles_of(c, held)
        return [
            Member(row.sub, row.email, row.joined_at, roles.get((org, row.sub), ()))
            for row in found
        ]

    async def rename(self, org: str, actor: str, name: str, judge: Judge) -> Done | NotDone:
        async with self._changing(org) as c:
            refusal = judge(await seats(c, org, actor, actor))
            if refusal:
                return NotDone(refusal)
            await c.execute(
                update(organisations).where(organisations.c.org == org).values(name=name)
            )
        return Done()

    async def delete(
        self, org: str, actor: str, judge: Judge, entries: EntriesFor
    ) -> Done | NotDone:
        async with self._changing(org) as c:
            refusal = judge(await seats(c, org, actor, actor))
            if refusal:
                return NotDone(refusal)
            rows = await c.execute(select(members.c.sub).where(members.c.org == org))
            written = entries(sorted(row.sub for row in rows))
            await delete_org(c, org)
            await enqueue(c, written)
        return Done(tuple(written))

    async def set_roles(
        self,
        org: str,
        actor: str,
        sub: str,
        roles: Sequence[str],
        judge: Judge,
        entries: EntriesFor,
    ) -> Done | NotDone:
        async with self._changing(org) as c:
            found = await seats(c, org, actor, sub)
            refusal = judge(found)
            if refusal:
                return NotDone(refusal)
            if set(found.target or ()) == set(roles):
                # Nothing new to say: only what the first request was answered 503 for.
                return Done(await unsaid(c, sub))
            await give(c, org, sub, roles)
            written = entries([sub])
            await enqueue(c, written)
        return Done(tuple(written))

    async def remove(
        self, org: str, actor: str, sub: str, judge: Judge, entries: EntriesFor
    ) -> Done | NotDone:
        async with self._changing(org) as c:
            refusal = judge(await seats(c, org, actor, sub))
            if refusal:
                return NotDone(refusal)
            await leave(c, org, sub)
            written = entries([sub])
            await enqueue(c, written)
        return Done(tuple(written))

    async def invite(self, invitation: Invitation, judge: Judge) -> Done | NotDone:
        org, at_ms = invitation.org, invitation.created_at_ms
        async with self._changing(org) as c:
            holder = await sub_of(c, invitation.email)
            found = await seats(c, org, invitation.invited_by, holder)
            refusal = judge(found)
            if refusal or found.target is not None:
                return NotDone(refusal or "already_member")
            stale = (invitations.c.email == invitation.email) | (invitations.c.expires_at <= at_ms)
            await c.execute(delete(invitations).where(invitations.c.org == org, stale))
            if await count(c, invitations, invitations.c.org == org) >= MAX_OPEN_INVITATIONS:
                return NotDone("too_many")
            await c.execute(insert(invitations).values(invitation_row(invitation)))
        return Done()

    async def invitations(self, org: str, at_ms: int) -> list[Invitation]:
        async with self._database.reading() as c:
            rows = await c.execute(
                select(invitations)
                .where(invitations.c.org == org, invitations.c.expires_at > at_ms)
                .order_by(invitations.c.invitation.desc())
            )
            return [to_invitation(row) for row in rows]

    async def invitation(self, invitation: str, at_ms: int) -> tuple[Invitation, Org] | None:
        async with self._database.reading() as c:
            rows = await c.execute(
                select(invitations, organisations.c.name, organisations.c.created_at.label("made"))
                .join(organisations, organisations.c.org == invitations.c.org)
                .where(invitations.c.invitation == invitation, invitations.c.expires_at > at_ms)
            )
            row = rows.first()
        return (to_invitation(row), Org(row.org, row.name, row.made)) if row else None

    async def withdraw(self, org: str, actor: str, invitation: str, judge: Judge) -> Done | NotDone:
        async with self._changing(org) as c:
            refusal = judge(await seats(c, org, actor, actor))
            if refusal:
                return NotDone(refusal)
            gone = await c.execute(
                delete(invitations).where(
                    invitations.c.org == org, invitations.c.invitation == askable(invitation)
                )
            )
        return Done() if gone.rowcount else NotDone("no_such_invitation")

    async def accept(
        self,
        invitation: Invitation,
        sub: str,
        at_ms: int,
        judge: Judge,
        entries: EntriesFor,
    ) -> Done | NotDone:
        org = invitation.org
        async with self._changing(org) as c:
            if not await lock_account(c, sub):
                return NotDone("no_account")
            found = await seats(c, org, invitation.invited_by, sub)
            used = await c.execute(
                delete(invitations).where(
                    invitations.c.invitation == invitation.invitation,
                    invitations.c.expires_at > at_ms,
                )
            )
            if not used.rowcount or judge(found):
                # An offer that its maker may not make any more is removed all the same.
                return NotDone("no_such_invitation")
            if await count(c, members, members.c.org == org) >= MAX_MEMBERS:
                return NotDone("too_many")
            await join(c, org, sub, invitation.roles, at_ms, found.target)
            written = entries([sub])
            await enqueue(c, written)
        return Done(tuple(written))

    @asynccontextmanager
    async def _changing(self, org: str) -> AsyncIterator[AsyncConnection]:
        """A transaction about *org*. Whoever waits for another one of it has no connection yet."""
        async with self._turns.of(org), self._database.writing() as connection:
            yield connection
