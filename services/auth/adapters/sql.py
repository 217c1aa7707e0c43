"""The one door to SQL: connections, transactions, errors. Imported only when accounts are switched on."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import Any

import asyncpg
from sqlalchemy import Engine, Executable, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.dml import Insert

from services.auth.adapters.sql_asking import Asker, FileAsker, Rows, ServerAsker, Values
from services.auth.adapters.sql_schema import outbox
from services.auth.domain.outbox import Announce, EndSessions, Entry, RefuseTokens
from services.auth.ports.accounts import AccountsUnavailableError
from shared.accounts_url import AccountsStore, PostgreSQLStore, SQLiteStore, parse_accounts_url

ASKERS = 6  # connections that single SELECTs share
FILE_ASKERS = 2  # threads for them with SQLite; a SELECT of ours takes 30 us there
POOL_SIZE = 10 + ASKERS  # of each process of auth
POOL_WAIT = 3.0  # seconds to wait for a free connection, or for a file: a crowd that comes at once takes turns
CONNECT_TIMEOUT = 3.0  # seconds
LOCK_MS = 2000  # waiting for another writer
STATEMENT_MS = 3000
IDLE_MS = 5000  # a transaction that does nothing is ended by PostgreSQL, its locks given back
PATIENT_MS = 3_600_000
PATIENT_LOCK_MS = 60_000  # with SQLite, whose driver's thread cannot be called back while it waits
PRAGMAS = (
    "foreign_keys=ON",
    "synchronous=FULL",
    "secure_delete=ON",  # what is erased is not left in free pages
)
WAL_TRIES = 100
WRITES = "latchwire_writes"

KINDS: dict[str, type[EndSessions] | type[RefuseTokens]] = {
    "end_sessions": EndSessions,
    "refuse_tokens": RefuseTokens,
}
ANNOUNCE = "announce"

# SQLSTATE classes and states that mean "not now": connection, login, no such database, a lost race, resources,
# intervention, system; a lock that was not to be had, and a server that only reads for the moment.
_PASSING_CLASSES = frozenset({"08", "28", "3D", "40", "53", "57", "58"})
_PASSING_STATES = frozenset({"55P03", "25006"})


class Database:
    """The store that *url* (``sqlite:///…`` or ``postgresql://…``) names. Connects on first use.

    A *patient* one is for migrations, whose statements take as long as the tables are big: it waits for them,
    its own and those of another that migrates at the same time.
    """

    def __init__(self, url: str, *, password: str = "", patient: bool = False) -> None:
        store = parse_accounts_url(url)
        self.engine: AsyncEngine = _make_engine(store, password, patient=patient)
        snapshot = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._snapshots = self.engine.execution_options(**snapshot)
        self._writes = self.engine.execution_options(**{WRITES: True})
        self._writer = asyncio.Semaphore(1)
        self._asker = _make_asker(store, self.engine)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of this machine."""
        return self.engine.dialect.name == "sqlite"

    async def ask(self, statement: Executable, values: Values | None = None) -> Rows:
        """All rows of one SELECT, which is a step of its own: the cheapest there is.

        Raises:
            AccountsUnavailableError: the store does not answer.
        """
        with translate_sql_errors():
            return await self._asker.ask(statement, values)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state through several SELECTs; it waits for no writer.

        Raises:
            AccountsUnavailableError: the store does not answer.
        """
        with translate_sql_errors():
            async with self._snapshots.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self, *entries: Entry) -> AsyncIterator[AsyncConnection]:
        """One transaction; *entries* are written with it, after everything else.

        Raises:
            AccountsUnavailableError: the store does not answer; nothing was written, or all of it (a COMMIT
                whose answer was lost).
        """
        with translate_sql_errors():
            async with self._turn(), self._writes.begin() as connection:
                yield connection
                await enqueue(connection, entries)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A file has one writer: this process's come one after the other, in the order of asking.

        SQLite itself would have each of them sleep and ask again, ever more seldom: in a crowd that a slow disk
        takes `LOCK_MS` for, whoever was unlucky would be refused. PostgreSQL's wait for a connection only.
        """
        if not self.is_sqlite:
            yield
            return
        async with asyncio.timeout(POOL_WAIT):
            await self._writer.acquire()
        try:
            yield
        finally:
            self._writer.release()

    async def close(self) -> None:
        """Close every connection."""
        await self._asker.close()
        await self.engine.dispose()

    async def __aenter__(self) -> "Database":
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


async def enqueue(connection: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Write *entries* in this transaction."""
    if entries:
        await connection.execute(outbox.insert(), [to_row(entry) for entry in entries])


async def insert_if_absent(
    connection: AsyncConnection, table: Table, values: Mapping[str, Any]
) -> bool:
    """Insert a row unless a unique one is in its way, perhaps one just being written; whether it was."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement: Insert = insert(table).values(**values).on_conflict_do_nothing()
    return bool((await connection.execute(statement)).rowcount)


def to_row(entry: Entry) -> dict[str, Any]:
    """An entry as its row."""
    if isinstance(entry, Announce):
        return {"entry": entry.id, "kind": ANNOUNCE, "subject": entry.subject, "body": entry.body}
    kind = next(name for name, type_ in KINDS.items() if isinstance(entry, type_))
    body = json.dumps(asdict(entry)).encode()
    return {"entry": entry.id, "kind": kind, "subject": "", "body": body}


def to_entry(row: Any) -> Entry | None:
    """A row as its entry; None: only a newer auth knows how to read it."""
    if row.kind == ANNOUNCE:
        return Announce(row.entry, row.subject, row.body)
    try:
        return KINDS[row.kind](**json.loads(row.body))
    except (KeyError, TypeError, ValueError):  # a kind, a field or a form of later
        return None


@contextmanager
def translate_sql_errors() -> Iterator[None]:
    """The database is away, or busy for too long: not now. What is wrong with a statement stays an error."""
    try:
        yield
    except (OSError, TimeoutError, PoolTimeoutError, InterfaceError) as error:
        raise AccountsUnavailableError(_name(error)) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:  # while connecting
        raise AccountsUnavailableError(_name(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated or _passes(error.orig):
            raise AccountsUnavailableError(_name(error.orig)) from error
        raise


def _name(error: BaseException | None) -> str:
    """What a log may say: neither statement nor values are in it."""
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    return str(code or type(error).__name__)


def _passes(error: BaseException | None) -> bool:
    """Whether the same statement may succeed later."""
    if state := getattr(error, "sqlstate", None):
        return str(state)[:2] in _PASSING_CLASSES or state in _PASSING_STATES
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    # Those are about the statement or its values; all others about the file, its locks and its disk.
    return not str(name).startswith(
        ("SQLITE_ERROR", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_RANGE", "SQLITE_TOOBIG")
    )


def _make_engine(store: AccountsStore, password: str, *, patient: bool) -> AsyncEngine:
    pool = {"pool_size": POOL_SIZE, "max_overflow": 0, "pool_timeout": POOL_WAIT}
    if isinstance(store, SQLiteStore):
        url = URL.create("sqlite+aiosqlite", database=store.path)
        engine = create_async_engine(url, hide_parameters=True, **pool)
        _prepare_sqlite(engine.sync_engine, PATIENT_LOCK_MS if patient else LOCK_MS)
        return engine
    return create_async_engine(
        _postgresql_url(store, password),
        hide_parameters=True,
        connect_args=_postgresql_arguments(store, PATIENT_MS if patient else STATEMENT_MS),
        **pool,
    )


def _make_asker(store: AccountsStore, engine: AsyncEngine) -> Asker:
    if isinstance(store, PostgreSQLStore):
        return ServerAsker(engine, ASKERS, POOL_WAIT)
    url = URL.create("sqlite+pysqlite", database=store.path)
    threaded = create_engine(url, hide_parameters=True, pool_size=FILE_ASKERS, max_overflow=0)
    _prepare_sqlite(threaded, LOCK_MS)
    return FileAsker(threaded, FILE_ASKERS, POOL_WAIT)


def _postgresql_url(store: PostgreSQLStore, password: str) -> URL:
    return URL.create(
        "postgresql+asyncpg",
        username=store.user,
        password=password or None,
        host=store.host,
        port=store.port,
        database=store.name,
    )


def _postgresql_arguments(store: PostgreSQLStore, statement_ms: int) -> dict[str, Any]:
    return {
        "timeout": CONNECT_TIMEOUT,
        "command_timeout": statement_ms / 1000 + 1,  # for a server that is gone without a word
        "ssl": store.tls if store.tls != "disable" else False,
        "server_settings": {
            "application_name": "latchwire",
            "jit": "off",
            "statement_timeout": str(statement_ms),
            "lock_timeout": str(LOCK_MS),
            "idle_in_transaction_session_timeout": str(IDLE_MS),
        },
    }


def _prepare_sqlite(engine: Engine, busy_ms: int) -> None:
    """Foreign keys, one writer that waits its turn, and a log that survives a power failure."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        try:
            connection.isolation_level = None
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={busy_ms}")
            _write_ahead(cursor)  # the first that looks at the file
            for pragma in PRAGMAS:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except (
            BaseException
        ):  # no database, perhaps: the pool forgets it, and its thread would stay
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(WRITES) else "BEGIN")


def _write_ahead(cursor: Any) -> None:
    """A log that is written ahead, whoever else makes the same of a new file at this moment.

    One of two SQLite tells that it is busy, without any wait. A transaction does wait for the other's end.
    """
    for left in reversed(range(WAL_TRIES)):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if not left:
                raise
            cursor.execute("BEGIN IMMEDIATE")  # what is wrong with the file itself is said here
            cursor.execute("ROLLBACK")
        else:
            return
