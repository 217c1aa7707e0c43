"""Accounts and their waiting passwords in SQL: the same statements on SQLite and PostgreSQL.

Whoever changes an account locks its row first (SQLite: the one writer), so two proofs of one address, or a
proof and a registration, come one after the other.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    bindparam,
    delete,
    exists,
    literal_column,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auth.adapters.sql import Database, enqueue, insert_if_absent
from services.auth.adapters.sql_schema import (
    accounts,
    deletions,
    installation_roles,
    member_roles,
    members,
    registrations,
)
from services.auth.domain.account import Account, Registration, Rights, email_hash
from services.auth.domain.outbox import Announce, Entry
from services.auth.ports.accounts import AccountsUnavailableError, Proof, Registered
from shared.clock import Clock, SystemClock

# One statement sees one state, and costs one round: it is asked with every refresh.
_SUB: Any = bindparam("of_sub")
_ORG: Any = bindparam("of_org")


def _roles(kind: str, table: Table, role: Any, *where: ColumnElement[bool]) -> Any:
    empty = [null().label(column.name) for column in accounts.c]
    return select(literal_column(f"'{kind}'").label("kind"), role, *empty).where(
        table.c.sub == _SUB, *where
    )


_NO_ROLE: Any = literal_column("''").label("role")
_RIGHTS = union_all(
    select(literal_column("'account'").label("kind"), _NO_ROLE, *accounts.c).where(
        accounts.c.sub == _SUB
    ),
    _roles("all", installation_roles, installation_roles.c.role),
    _roles("member", members, _NO_ROLE, members.c.org == _ORG),
    _roles("org", member_roles, member_roles.c.role, member_roles.c.org == _ORG),
)
# Made once: to make a statement costs as much as to ask it.
_BY_SUB: Any = select(accounts).where(accounts.c.sub == _SUB)
_BY_EMAIL: Any = select(accounts).where(
    accounts.c.email.in_([bindparam("of_email"), bindparam("unnamed")])
)


class OutdatedError(AccountsUnavailableError):
    """Somebody was faster: what was to be written is about another sub than the account has. Try again."""


class SQLAccounts:
    """`services.auth.ports.accounts.Accounts`.

    *hash_key* names addresses that are not kept: those of deleted accounts, and those never proven in time,
    whose row stays without the address so that whoever proves it later has the sub that was announced.
    """

    def __init__(self, database: Database, hash_key: bytes, clock: Clock | None = None) -> None:
        self._database = database
        self._hash_key = hash_key
        self._clock = clock or SystemClock()

    async def by_email(self, email: str) -> Account | None:
        rows = await self._database.ask(
            _BY_EMAIL, {"of_email": email, "unnamed": self._unnamed(email)}
        )
        return _account(rows[0], email) if rows else None

    async def by_sub(self, sub: str) -> Account | None:
        rows = await self._database.ask(_BY_SUB, {"of_sub": sub})
        return _account(rows[0]) if rows else None

    async def rights(self, sub: str, org: str) -> Rights | None:
        rows = await self._database.ask(_RIGHTS, {"of_sub": sub, "of_org": org})
        account = next((row for row in rows if row.kind == "account"), None)
        if account is None:
            return None
        said = {kind: [r.role for r in rows if r.kind == kind] for kind in ("member", "org", "all")}
        org_roles = tuple(sorted(said["org"])) if said["member"] else None
        return Rights(_account(account), tuple(sorted(said["all"])), org_roles)

    async def was_deleted(self, email: str) -> bool:
        gone = select(deletions.c.sub).where(deletions.c.email_hash == self._unnamed(email))
        return bool(await self._database.ask(gone.limit(1)))

    async def register(
        self,
        email: str,
        new_sub: str,
        at_ms: int,
        registration: Registration,
        entries: Sequence[Entry],
    ) -> Registered:
        async with self._database.writing() as connection:
            new = Account(new_sub, email, at_ms)
            made, account = await self._make_or_lock(connection, new, entries)
            if account.verified_at_ms is not None:
                return Registered(account, "known")
            await insert_if_absent(connection, registrations, _waiting(account.sub, registration))
        return Registered(account, "new" if made else "pending")

    async def registration(self, login_id: str) -> Registration | None:
        found = select(registrations).where(
            registrations.c.login_id == login_id,
            registrations.c.expires_at > self._clock.now_ms(),
        )
        rows = await self._database.ask(found)
        return next((Registration(r.login_id, r.expires_at, r.password_hash) for r in rows), None)

    async def prove(self, proof: Proof) -> Account:
        known = await self.by_email(proof.email)
        if known is not None and known.verified_at_ms is not None:
            return known  # the usual login: nothing waits, nothing is written
        async with self._database.writing() as connection:
            new = Account(proof.new_sub, proof.email, proof.at_ms, verified_at_ms=proof.at_ms)
            made, account = await self._make_or_lock(
                connection, new, (*proof.registered, *proof.verified)
            )
            if made or account.verified_at_ms is not None or account.blocked_at_ms is not None:
                return account
            _require_about(account.sub, proof.verified)
            await enqueue(connection, proof.verified)
            return await _verify(connection, account, proof)

    async def adopt(self, account: Account, entries: Sequence[Entry]) -> Account:
        async with self._database.writing() as connection:
            made, stored = await self._make_or_lock(connection, account, entries)
            gone = select(exists().where(deletions.c.sub == account.sub))
            if made and (await connection.execute(gone)).scalar():
                raise OutdatedError  # deleted since this was begun: an id is never used again
        return stored

    async def set_password(
        self,
        sub: str,
        password_hash: str,
        entries: Sequence[Entry],
        *,
        instead_of: str | None = None,
    ) -> bool:
        change = update(accounts).where(accounts.c.sub == sub).values(password_hash=password_hash)
        if instead_of is not None:
            change = change.where(accounts.c.password_hash == instead_of)
        async with self._database.writing() as connection:
            changed = bool((await connection.execute(change)).rowcount)
            await enqueue(connection, entries if changed else ())
        return changed

    async def block(self, sub: str, at_ms: int | None) -> None:
        change = update(accounts).where(accounts.c.sub == sub).values(blocked_at=at_ms)
        async with self._database.writing() as connection:
            await connection.execute(change)

    async def forget_expired(self, at_ms: int) -> int:
        expired = registrations.c.expires_at <= at_ms
        async with self._database.writing() as connection:
            subs = (await connection.execute(select(registrations.c.sub).where(expired))).scalars()
            gone = await connection.execute(delete(registrations).where(expired))
            for sub in sorted(set(subs)):
                await self._forget_address(connection, sub)
        return gone.rowcount

    async def _forget_address(self, connection: AsyncConnection, sub: str) -> None:
        """Of an account that came by a registration, was never proven and waits for no proof any more.

        The row stays, under a keyed hash: services know its sub by `user.registered`. Whoever proves the
        address later has to get that one, or what was moved to it would be nobody's.
        """
        unproven = select(accounts.c.email).where(
            accounts.c.sub == sub,
            accounts.c.sub != accounts.c.email,
            accounts.c.verified_at.is_(None),
            accounts.c.password_hash == "",
            ~exists().where(registrations.c.sub == sub),
        )
        email = (await connection.execute(unproven.with_for_update())).scalar()
        if email is not None:
            unnamed = update(accounts).where(accounts.c.sub == sub)
            await connection.execute(unnamed.values(email=self._unnamed(email)))

    async def _make_or_lock(
        self, connection: AsyncConnection, new: Account, entries: Sequence[Entry]
    ) -> tuple[bool, Account]:
        """Whether *new* was written, with *entries*; else the account its address has, locked."""
        named_again = update(accounts).where(accounts.c.email == self._unnamed(new.email))
        await connection.execute(named_again.values(email=new.email))
        if await insert_if_absent(connection, accounts, account_row(new)):
            _require_about(new.sub, entries)
            await enqueue(connection, entries)
            return True, new
        found = select(accounts).where(accounts.c.email == new.email).with_for_update()
        row = (await connection.execute(found)).first()
        if row is None:
            raise OutdatedError  # the sub is somebody's, or the account has just been deleted
        return False, _account(row)

    def _unnamed(self, email: str) -> str:
        """What stands for an address that is not kept: 64 hex digits, no address."""
        return email_hash(self._hash_key, email)


def _require_about(sub: str, entries: Sequence[Entry]) -> None:
    """Raises: OutdatedError: an entry names another person than *sub*."""
    for entry in entries:
        named = json.loads(entry.body).get("sub") if isinstance(entry, Announce) else entry.sub
        if named not in {None, sub}:
            raise OutdatedError


async def _verify(connection: AsyncConnection, account: Account, proof: Proof) -> Account:
    """Only what is proven stays: the password of *proof*'s own registration, if it still waits."""
    waiting = select(registrations.c.password_hash).where(
        registrations.c.login_id == (proof.registration or ""),
        registrations.c.sub == account.sub,
        registrations.c.expires_at > proof.at_ms,
    )
    password_hash = (await connection.execute(waiting)).scalar() or ""
    await connection.execute(delete(registrations).where(registrations.c.sub == account.sub))
    verified = update(accounts).where(accounts.c.sub == account.sub)
    await connection.execute(verified.values(verified_at=proof.at_ms, password_hash=password_hash))
    return replace(account, verified_at_ms=proof.at_ms, password_hash=password_hash)


def _waiting(sub: str, registration: Registration) -> dict[str, Any]:
    return {
        "login_id": registration.login_id,
        "sub": sub,
        "password_hash": registration.password_hash,
        "expires_at": registration.expires_at_ms,
    }


def account_row(account: Account) -> dict[str, Any]:
    """*account* as its row."""
    return {
        "sub": account.sub,
        "email": account.email,
        "created_at": account.created_at_ms,
        "verified_at": account.verified_at_ms,
        "blocked_at": account.blocked_at_ms,
        "password_hash": account.password_hash,
    }


def _account(row: Any, email: str = "") -> Account:
    """*email* is what the address is known to be where the row does not say it."""
    return Account(
        sub=row.sub,
        email=email or row.email,
        created_at_ms=row.created_at,
        verified_at_ms=row.verified_at,
        blocked_at_ms=row.blocked_at,
        password_hash=row.password_hash,
    )
