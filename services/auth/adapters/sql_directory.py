"""All accounts in SQL, as operators see them."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.adapters.sql import Database, enqueue, insert_if_absent
from services.auth.adapters.sql_accounts import account_row
from services.auth.adapters.sql_org_rows import lock_account, roles_of
from services.auth.adapters.sql_schema import (
    accounts,
    deletions,
    identities,
    installation_roles,
    member_roles,
    members,
    organisations,
    registrations,
)
from services.auth.domain.account import Account, email_hash
from services.auth.domain.importing import Known, Newcomer
from services.auth.domain.outbox import Entry
from services.auth.ports.directory import ChangedMeanwhileError, Listed, Membership


class SQLDirectory:
    """`services.auth.ports.directory.Directory`. *hash_key* names addresses that are not kept."""

    def __init__(self, database: Database, hash_key: bytes) -> None:
        self._database = database
        self._hash_key = hash_key

    async def page(self, after: str, limit: int) -> list[Listed]:
        named = select(accounts).where(accounts.c.sub > after, accounts.c.email.contains("@"))
        return await self._listed(named.order_by(accounts.c.sub).limit(limit))

    async def by_email(self, email: str) -> Listed | None:
        found = await self._listed(select(accounts).where(accounts.c.email == email))
        return found[0] if found else None

    async def set_roles(
        self, sub: str, grant: Sequence[str], revoke: Sequence[str], entries: Sequence[Entry]
    ) -> bool:
        async with self._database.writing() as connection:
            if not await lock_account(connection, sub):
                return False
            rows = [{"sub": sub, "role": role} for role in dict.fromkeys(grant)]
            granted = [await insert_if_absent(connection, installation_roles, row) for row in rows]
            lost = delete(installation_roles).where(
                installation_roles.c.sub == sub, installation_roles.c.role.in_(revoke)
            )
            taken = (await connection.execute(lost)).rowcount
            changed = any(granted) or bool(taken)
            await enqueue(connection, entries if changed else ())
        return changed

    async def look_up(self, emails: Sequence[str], subs: Sequence[str]) -> Known:
        by_hash = {email_hash(self._hash_key, email): email for email in emails}
        async with self._database.reading() as c:
            # One that was never proven in time is kept under its hash: it is there all the same.
            found = await _all(c, select(accounts).where(accounts.c.email.in_([*emails, *by_hash])))
            roles = await _roles(c, [row.sub for row in found])
            there = [Newcomer(_account(row, by_hash), roles.get(row.sub, ())) for row in found]
            taken = await _all(c, select(accounts.c.sub).where(accounts.c.sub.in_(subs)))
            gone = deletions.c.sub.in_(subs) | deletions.c.email_hash.in_(by_hash)
            deleted = await _all(c, select(deletions).where(gone))
        return Known(
            by_email={newcomer.account.email: newcomer for newcomer in there},
            forgotten=frozenset(by_hash[row.email] for row in found if row.email in by_hash),
            taken_subs=frozenset(row.sub for row in taken),
            deleted_subs=frozenset(row.sub for row in deleted),
            deleted_emails=frozenset(
                by_hash[row.email_hash] for row in deleted if row.email_hash in by_hash
            ),
        )

    async def bring_in(
        self,
        people: Sequence[Newcomer],
        entries: Sequence[Entry],
        *,
        claimed: Sequence[Newcomer] = (),
    ) -> None:
        roles = [
            {"sub": person.account.sub, "role": role} for person in people for role in person.roles
        ]
        try:
            async with self._database.writing() as connection:
                for person in sorted(claimed, key=lambda one: one.account.sub):
                    await self._claim(connection, person)
                if people:
                    await connection.execute(
                        insert(accounts), [account_row(p.account) for p in people]
                    )
                if roles:
                    await connection.execute(insert(installation_roles), roles)
                await enqueue(connection, entries)
        except IntegrityError as error:
            raise ChangedMeanwhileError from error

    async def _claim(self, connection: AsyncConnection, person: Newcomer) -> None:
        """Raises: ChangedMeanwhileError: it was proven, or is gone."""
        account = person.account
        names = [account.email, email_hash(self._hash_key, account.email)]
        row = {
            **account_row(account),
            "blocked_at": func.coalesce(accounts.c.blocked_at, account.blocked_at_ms),
        }
        unproven = update(accounts).where(
            accounts.c.sub == account.sub,
            accounts.c.email.in_(names),
            accounts.c.verified_at.is_(None),
        )
        if not (await connection.execute(unproven.values(**row))).rowcount:
            raise ChangedMeanwhileError
        if account.verified_at_ms is not None:
            waiting = delete(registrations).where(registrations.c.sub == account.sub)
            await connection.execute(waiting)
        for role in person.roles:
            values = {"sub": account.sub, "role": role}
            await insert_if_absent(connection, installation_roles, values)

    async def _listed(self, wanted: Select[Any]) -> list[Listed]:
        async with self._database.reading() as c:
            rows = await _all(c, wanted)
            subs = [row.sub for row in rows]
            roles = await _roles(c, subs)
            providers = await _providers(c, subs)
            orgs = await _orgs(c, subs)
        return [
            Listed(
                _account(row, {}),
                roles.get(row.sub, ()),
                providers.get(row.sub, ()),
                orgs.get(row.sub, ()),
            )
            for row in rows
        ]


async def _all(connection: AsyncConnection, wanted: Select[Any]) -> Sequence[Any]:
    rows: Sequence[Any] = (await connection.execute(wanted)).all()
    return rows


async def _roles(connection: AsyncConnection, subs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    rows = await _all(
        connection, select(installation_roles).where(installation_roles.c.sub.in_(subs))
    )
    return _by_sub((row.sub, row.role) for row in rows)


async def _providers(
    connection: AsyncConnection, subs: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    wanted = select(identities.c.sub, identities.c.provider).where(identities.c.sub.in_(subs))
    return _by_sub((row.sub, row.provider) for row in await _all(connection, wanted))


async def _orgs(
    connection: AsyncConnection, subs: Sequence[str]
) -> dict[str, tuple[Membership, ...]]:
    """The organisations of each, by name."""
    joined = select(members.c.sub, organisations.c.org, organisations.c.name).join(
        organisations, organisations.c.org == members.c.org
    )
    named = joined.where(members.c.sub.in_(subs)).order_by(organisations.c.name, members.c.org)
    held = await roles_of(connection, member_roles.c.sub.in_(subs))
    found: dict[str, tuple[Membership, ...]] = {}
    for row in await _all(connection, named):
        membership = Membership(row.org, row.name, held.get((row.org, row.sub), ()))
        found[row.sub] = (*found.get(row.sub, ()), membership)
    return found


def _by_sub(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for sub, text in sorted(set(pairs)):
        found[sub] = (*found.get(sub, ()), text)
    return found


def _account(row: Any, by_hash: dict[str, str]) -> Account:
    return Account(
        sub=row.sub,
        email=by_hash.get(row.email, row.email),
        created_at_ms=row.created_at,
        verified_at_ms=row.verified_at,
        blocked_at_ms=row.blocked_at,
        password_hash=row.password_hash,
    )
