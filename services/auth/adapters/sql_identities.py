"""Linked logins in SQL."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import delete, select, update

from services.auth.adapters.sql import Database, enqueue, insert_if_absent
from services.auth.adapters.sql_schema import accounts, identities
from services.auth.domain.outbox import Entry
from services.auth.domain.provider import Identity


class SQLIdentities:
    """`services.auth.ports.providers.Identities`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, iss: str, subject: str) -> Identity | None:
        rows = await self._database.ask(select(identities).where(_is(iss, subject)))
        return _identity(rows[0]) if rows else None

    async def of(self, sub: str) -> list[Identity]:
        owned = select(identities).where(identities.c.sub == sub)
        order = (identities.c.created_at, identities.c.iss, identities.c.subject)
        rows = await self._database.ask(owned.order_by(*order))
        return [_identity(row) for row in rows]

    async def link(
        self, identity: Identity, entries: Sequence[Entry]
    ) -> Literal["linked", "known", "taken", "gone"]:
        async with self._database.writing() as connection:
            # The account's row is held, so that nobody deletes it between the look and the link.
            owner = select(accounts.c.sub).where(accounts.c.sub == identity.sub).with_for_update()
            if (await connection.execute(owner)).first() is None:
                return "gone"
            if await insert_if_absent(connection, identities, _row(identity)):
                await enqueue(connection, entries)
                return "linked"
            who = select(identities.c.sub).where(_is(identity.iss, identity.subject))
            stored = (await connection.execute(who)).scalar()
        return "known" if stored == identity.sub else "taken"

    async def unlink(self, identity: Identity, entries: Sequence[Entry]) -> bool:
        owned = delete(identities).where(
            _is(identity.iss, identity.subject), identities.c.sub == identity.sub
        )
        async with self._database.writing() as connection:
            removed = bool((await connection.execute(owned)).rowcount)
            await enqueue(connection, entries if removed else ())
        return removed

    async def used(self, identity: Identity, at_ms: int) -> None:
        seen = update(identities).where(_is(identity.iss, identity.subject))
        async with self._database.writing() as connection:
            await connection.execute(seen.values(used_at=at_ms))


def _is(iss: str, subject: str) -> Any:
    return (identities.c.iss == iss) & (identities.c.subject == subject)


def _row(identity: Identity) -> dict[str, Any]:
    return {
        "iss": identity.iss,
        "subject": identity.subject,
        "sub": identity.sub,
        "provider": identity.provider,
        "email": identity.email,
        "created_at": identity.created_at_ms,
        "used_at": identity.used_at_ms,
    }


def _identity(row: Any) -> Identity:
    return Identity(
        iss=row.iss,
        subject=row.subject,
        sub=row.sub,
        provider=row.provider,
        created_at_ms=row.created_at,
        used_at_ms=row.used_at,
        email=row.email,
    )
