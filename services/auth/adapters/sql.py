"""The one door to SQL: connections, transactions, errors. Imported only when accounts are switched on."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.auth.adapters.sql_schema import outbox
from services.auth.domain.outbox import Announce, EndSessions, Entry, RefuseTokens
from services.auth.ports.accounts import AccountsUnavailableError

KINDS: dict[str, type[EndSessions] | type[RefuseTokens]] = {
    "end_sessions": EndSessions,
    "refuse_tokens": RefuseTokens,
}


class Database:
    """An engine for ``sqlite+aiosqlite:///…`` or ``postgresql+asyncpg://…``."""

    def __init__(self, url: str) -> None:
        self.engine: AsyncEngine = create_async_engine(url, hide_parameters=True)
        if self.engine.dialect.name == "sqlite":
            _prepare_sqlite(self.engine)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose changes are thrown away. Raises: AccountsUnavailableError."""
        with translate_sql_errors():
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self, *entries: Entry) -> AsyncIterator[AsyncConnection]:
        """One transaction; *entries* are written with it. Raises: AccountsUnavailableError."""
        with translate_sql_errors():
            async with self.engine.begin() as connection:
                yield connection
                await enqueue(connection, entries)

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


async def enqueue(connection: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Write *entries* in this transaction."""
    if entries:
        await connection.execute(outbox.insert(), [to_row(entry) for entry in entries])


def to_row(entry: Entry) -> dict[str, Any]:
    """An entry as its row."""
    if isinstance(entry, Announce):
        return {"entry": entry.id, "kind": "announce", "subject": entry.subject, "body": entry.body}
    kind = next(name for name, type_ in KINDS.items() if isinstance(entry, type_))
    body = json.dumps(asdict(entry)).encode()
    return {"entry": entry.id, "kind": kind, "subject": "", "body": body}


def to_entry(row: Any) -> Entry:
    """A row as its entry."""
    if row.kind == "announce":
        return Announce(row.entry, row.subject, row.body)
    return KINDS[row.kind](**json.loads(row.body))


@contextmanager
def translate_sql_errors() -> Iterator[None]:
    """The database is away, or busy for too long: not now. What is wrong with a statement stays an error."""
    try:
        yield
    except (OperationalError, InterfaceError, OSError, TimeoutError) as error:
        raise AccountsUnavailableError from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise AccountsUnavailableError from error
        raise


def _prepare_sqlite(engine: AsyncEngine) -> None:
    """Foreign keys, one writer that waits its turn, and a log that survives a power failure."""

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "foreign_keys=ON",
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=5000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
