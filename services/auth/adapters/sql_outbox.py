"""What is written and perhaps not done yet, in the order in which it was written."""

from collections.abc import Sequence

from sqlalchemy import delete, select

from services.auth.adapters.sql import ANNOUNCE, KINDS, Database, to_entry
from services.auth.adapters.sql_schema import outbox
from services.auth.domain.outbox import Entry


class SQLOutbox:
    """`services.auth.ports.accounts.Outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pending(self, limit: int) -> list[Entry]:
        # Of a kind that only a newer auth knows: left for that one.
        known = outbox.c.kind.in_([ANNOUNCE, *KINDS])
        oldest = select(outbox).where(known).order_by(outbox.c.number).limit(limit)
        async with self._database.reading() as connection:
            return [to_entry(row) for row in await connection.execute(oldest)]

    async def done(self, ids: Sequence[str]) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(outbox).where(outbox.c.entry.in_(ids)))
