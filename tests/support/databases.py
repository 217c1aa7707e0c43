"""The store of accounts for tests: empty, with its schema, on real SQLite and on real PostgreSQL.

`database` gives every test its own; `accounts_url` the same as LATCHWIRE_ACCOUNTS_URL, for what opens it
itself. Both are parametrised over the two engines, and are the same store within one test. `empty_url` has no
schema yet.
"""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_migrations import migrate
from tests.support.postgresql import OWNER, PostgreSQLServer, running_postgresql

ENGINES = ("sqlite", "postgresql")
MIGRATED = "migrated"  # the database that others are copied from


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """One server for the session; databases are cheap. Whoever stops it starts one of his own."""
    with running_postgresql() as server:
        in_a_loop_of_its_own(_make_template(server))
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema, to be copied."""
    path = tmp_path_factory.mktemp("accounts") / "accounts.db"
    in_a_loop_of_its_own(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=ENGINES)
async def accounts_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a store with its schema that only this test knows."""
    if request.param == "sqlite":
        path = tmp_path / "accounts.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    name = await create_database(server, MIGRATED)
    yield server.url(name)
    await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=ENGINES)
async def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a store in which nothing is."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    name = await create_database(server, "template0")
    yield server.url(name)
    await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(accounts_url: str) -> AsyncIterator[Database]:
    """The store with its schema, open."""
    async with Database(accounts_url) as database:
        forget_the_disk(database)
        yield database


def forget_the_disk(database: Database) -> None:
    """Commit without waiting for the disk, as our PostgreSQL does: no test here cuts the power.

    Else a disk that others keep busy decides how long a hundred commits take.
    """
    if database.is_sqlite:

        @event.listens_for(database.engine.sync_engine, "connect")
        def _connected(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.close()


def in_a_loop_of_its_own(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* to its end, also where a loop is running already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def create_database(server: PostgreSQLServer, template: str) -> str:
    """A new database like *template*; its name."""
    name = f"test_{uuid.uuid4().hex}"
    await _administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


async def _make_template(server: PostgreSQLServer) -> None:
    await _administer(server, f"CREATE DATABASE {MIGRATED}")
    await _migrate(server.url(MIGRATED))


async def _migrate(url: str) -> None:
    async with Database(url) as database:
        await migrate(database)


async def _administer(server: PostgreSQLServer, statement: str) -> None:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=server.port, user=OWNER, database="postgres"
    )
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
