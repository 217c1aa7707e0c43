"""What is written and perhaps not done yet, in the order in which it was written."""

from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import Select, delete, func, select

from services.auth.adapters.sql import ANNOUNCE, KINDS, Database, to_entry
from services.auth.adapters.sql_schema import outbox
from services.auth.domain.outbox import Entry

log = structlog.get_logger()

MANY = 1000  # parameters of one statement


class SQLOutbox:
    """`services.auth.ports.accounts.Outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unreadable: set[str] = set()  # of a newer auth, which does them

    async def pending(self, limit: int, without: Collection[str] = ()) -> list[Entry]:
        oldest = _oldest(limit, [*self._unreadable, *without][:MANY])
        async with self._database.reading() as connection:
            found = {row.entry: to_entry(row) for row in await connection.execute(oldest)}
        self._leave({id_ for id_, entry in found.items() if entry is None})
        return [entry for entry in found.values() if entry is not None]

    async def done(self, ids: Sequence[str]) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(outbox).where(outbox.c.entry.in_(ids)))

    def _leave(self, ids: set[str]) -> None:
        """Said once, and not looked at again."""
        for id_ in sorted(ids - self._unreadable):
            log.warning("outbox.unreadable", entry=id_)
        if len(self._unreadable | ids) <= MANY:
            self._unreadable |= ids


def _oldest(limit: int, without: Sequence[str]) -> Select[tuple[object, ...]]:
    """Of a kind that only a newer auth knows: none, they are left for that one.

    Each kind has a window of its own: what cannot be done hides nothing else, however many there are.
    """
    place = func.row_number().over(
        partition_by=(outbox.c.kind, outbox.c.subject), order_by=outbox.c.number
    )
    known = outbox.c.kind.in_([ANNOUNCE, *KINDS]), outbox.c.entry.not_in(without)
    placed = select(outbox, place.label("place")).where(*known).subquery()
    return select(placed).where(placed.c.place <= limit).order_by(placed.c.number)
