"""The store of accounts for tests: empty, with its schema, on real SQLite and on real PostgreSQL.

`database` gives every test its own; `accounts_url` the same as LATCHWIRE_ACCOUNTS_URL, for what opens it
itself. Both are parametrised over the two engines, and are the same store within one test.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_schema import metadata
from tests.support.postgresql import OWNER, PostgreSQLServer, running_postgresql

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """One server for the session; databases are cheap. Whoever stops it starts one of his own."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=ENGINES)
async def accounts_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of an empty store that only this test knows."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'accounts.db'}"
        return
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    name = f"test_{uuid.uuid4().hex}"
    await _administer(server, f"CREATE DATABASE {name}")
    yield server.url(name)
    await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(accounts_url: str) -> AsyncIterator[Database]:
    """The store with its schema, open."""
    async with Database(accounts_url) as database:
        async with database.writing() as connection:
            await connection.run_sync(metadata.create_all)
        yield database


async def _administer(server: PostgreSQLServer, statement: str) -> None:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=server.port, user=OWNER, database="postgres"
    )
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
