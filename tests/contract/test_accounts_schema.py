"""The schema: the migrations make what the statements are written for, on both real engines."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select, text

from services.auth.adapters.sql import (
    ASKERS,
    LOCK_MS,
    PATIENT_LOCK_MS,
    PATIENT_MS,
    POOL_SIZE,
    STATEMENT_MS,
    Database,
)
from services.auth.adapters.sql_migrations import Schema, migrate, read_schema
from services.auth.adapters.sql_schema import accounts, metadata
from services.auth.ports.accounts import AccountsUnavailableError
from services.auth.wiring.accounts_schema import refuse_unfit
from shared.lifecycle import StartRefusedError


async def differences(database: Database) -> list[Any]:
    """What Alembic would change to make the database like `metadata`."""

    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        )

    async with database.reading() as connection:
        return await connection.run_sync(compare)


async def foreign_keys(database: Database) -> dict[str, list[tuple[str, str]]]:
    """Which columns refer to which table, and what a deletion does; Alembic does not compare the latter."""

    def read(connection: Connection) -> dict[str, list[tuple[str, str]]]:
        tables = inspect(connection)
        return {
            name: sorted(
                (key["constrained_columns"][0], key["options"].get("ondelete", ""))
                for key in tables.get_foreign_keys(name)
            )
            for name in sorted(metadata.tables)
        }

    async with database.reading() as connection:
        return await connection.run_sync(read)


async def test_migrations_make_the_schema_that_the_statements_are_written_for(
    empty_url: str,
) -> None:
    """No table, column, type, index or constraint more or less; and the second time nothing is to be done."""
    async with Database(empty_url) as database:
        before, after = await migrate(database)

        assert (before.found, before.fits, before.is_older) == ("", False, True)
        assert (after.found, after.fits) == (before.needed, True)
        assert await migrate(database) == (after, after)
        assert await read_schema(database) == after
        assert await differences(database) == []
        expected = {
            name: sorted((k.parent.name, k.ondelete or "") for k in table.foreign_keys)
            for name, table in sorted(metadata.tables.items())
        }
        assert await foreign_keys(database) == expected


async def test_a_column_that_no_migration_makes_is_noticed(database: Database) -> None:
    """The comparison itself can fail."""
    async with database.writing() as connection:
        await connection.execute(text("ALTER TABLE accounts ADD COLUMN nickname VARCHAR(10)"))

    assert len(await differences(database)) == 1


async def test_migrations_at_once_come_one_after_the_other(empty_url: str) -> None:
    """Two processes of auth start on one new file; two jobs on one database."""
    one, two = (Database(empty_url, patient=True) for _ in range(2))
    async with one, two, asyncio.TaskGroup() as tasks:
        begun = [tasks.create_task(migrate(database)) for database in (one, two)]
        await asyncio.wait(begun)

    befores = sorted(task.result()[0].found for task in begun)
    assert befores == ["", begun[0].result()[1].found]


async def test_a_new_file_refuses_none_of_those_that_open_it_at_once(tmp_path: Path) -> None:
    """Two that turn one to its log at the same moment: SQLite refuses one of a hundred without waiting."""
    for n in range(100):
        url = f"sqlite:///{tmp_path / str(n)}"
        async with AsyncExitStack() as opened, asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(_schema(await opened.enter_async_context(Database(url))))


async def _schema(database: Database) -> list[Any]:
    async with database.reading() as reading:
        return list(await reading.exec_driver_sql("SELECT * FROM sqlite_schema"))


@pytest.mark.parametrize("patient", [True, False])
async def test_only_who_migrates_waits_for_as_long_as_another_may_take(
    accounts_url: str, patient: bool
) -> None:
    """A migration takes as long as the tables are big; everybody else is refused in time."""
    async with Database(accounts_url, patient=patient) as database, database.reading() as reading:
        if database.is_sqlite:
            usual_ms, patient_ms, asked = LOCK_MS, PATIENT_LOCK_MS, "PRAGMA busy_timeout"
        else:
            usual_ms, patient_ms = STATEMENT_MS, PATIENT_MS
            asked = "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"
        waits = await reading.exec_driver_sql(asked)

        assert waits.scalar() == (patient_ms if patient else usual_ms)


async def test_a_newer_schema_is_left_alone_and_refused(database: Database) -> None:
    """Whoever goes back to an older program is told so, and nothing is touched."""
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    before, after = await migrate(database)

    assert before == after == await read_schema(database)
    assert (after.fits, after.is_older) == (False, False)
    with pytest.raises(StartRefusedError, match=r"9999, not .*: a newer Latchwire"):
        refuse_unfit(after)


def test_an_older_schema_is_refused_with_the_command_that_helps() -> None:
    """And one that fits is not."""
    with pytest.raises(StartRefusedError, match=r"\(none\), not 0001: run `latchwire accounts"):
        refuse_unfit(Schema("", "0001", known=True))
    refuse_unfit(Schema("0001", "0001", known=True))


async def test_a_reader_waits_for_no_writer(database: Database) -> None:
    """A login that writes holds up no refresh: each sees the state before the other's commit."""
    row = {"sub": "1", "email": "a@acme.com", "created_at": 1, "password_hash": ""}
    async with database.reading() as early:
        assert (await early.execute(accounts.select())).all() == []
        async with database.writing() as writer:
            await writer.execute(accounts.insert().values(**row))
            async with asyncio.timeout(20):  # the writer waits for us: for ever, if we did for it
                assert await database.ask(accounts.select()) == []
        assert len(await database.ask(accounts.select())) == 1
        assert (await early.execute(accounts.select())).all() == []


async def test_a_store_with_no_free_connection_is_refused_in_time(database: Database) -> None:
    """Not waited for without end, and usable again afterwards."""
    # In no transaction: PostgreSQL ends one that does nothing for a while.
    held = [await database.engine.connect() for _ in range(POOL_SIZE)]

    with pytest.raises(AccountsUnavailableError):
        await read_schema(database)
    for connection in held:
        await connection.close()

    assert (await read_schema(database)).fits


async def test_a_lock_that_is_not_given_back_is_refused_in_time(
    database: Database, accounts_url: str
) -> None:
    """The second writer of one row gives up after `LOCK_MS`, and says that it was the store."""
    row = {"sub": "1", "email": "a@acme.com", "created_at": 1, "password_hash": ""}
    async with database.writing() as connection:
        await connection.execute(accounts.insert().values(**row))
    change = accounts.update().values(password_hash="x")

    async def change_too(other: Database) -> None:
        async with other.writing() as connection:
            await connection.execute(change)

    async with Database(accounts_url) as other:
        assert (await read_schema(other)).fits  # connected: only the lock is waited for
        async with database.writing() as connection:
            await connection.execute(change)
            async with asyncio.timeout(LOCK_MS / 1000 + 5):
                with pytest.raises(AccountsUnavailableError):
                    await change_too(other)


async def test_a_select_that_is_given_up_harms_nobody_behind_it(database: Database) -> None:
    """The one who asked went away: the connection is not handed on in the middle of an answer."""
    for _ in range(ASKERS + 2):
        begun = asyncio.Event()

        async def ask() -> None:
            begun.set()  # noqa: B023 - used within its round
            await database.ask(accounts.select())

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ask())
            await begun.wait()
            task.cancel()

        assert await database.ask(accounts.select()) == []


async def test_more_who_ask_than_connections_take_turns(database: Database) -> None:
    """All are answered, and what another wrote meanwhile is seen by the next."""
    row = {"sub": "1", "email": "a@acme.com", "created_at": 1, "password_hash": ""}

    async def ask() -> int:
        return len(await database.ask(accounts.select()))

    for expected in (0, 1):
        async with asyncio.TaskGroup() as tasks:
            begun = [tasks.create_task(ask()) for _ in range(ASKERS * 4)]
        assert {task.result() for task in begun} == {expected}
        if not expected:
            async with database.writing() as connection:
                await connection.execute(accounts.insert().values(**row))


@pytest.mark.parametrize("accounts_url", ["sqlite"], indirect=True)
async def test_writers_of_a_file_come_in_the_order_of_asking(database: Database) -> None:
    """And hold nothing while they wait: none sleeps and asks again until it is refused."""
    row = {"sub": "1", "email": "a@acme.com", "created_at": 1, "password_hash": ""}
    came, held = list[int](), set[int]()

    async def write(number: int) -> None:
        async with database.writing() as connection:
            came.append(number)
            held.add(database.engine.pool.checkedout())  # type: ignore[attr-defined]
            await connection.execute(accounts.update().values(**row))

    async with asyncio.TaskGroup() as tasks:
        for number in range(30):
            tasks.create_task(write(number))

    assert came == list(range(30))
    assert held == {1}


async def test_writers_that_read_first_come_one_after_the_other(database: Database) -> None:
    """What they read is still so when they write: no change is lost, and none is refused for it."""
    row = {"sub": "1", "email": "a@acme.com", "created_at": 0, "password_hash": ""}
    async with database.writing() as connection:
        await connection.execute(accounts.insert().values(**row))

    async def count() -> None:
        async with database.writing() as connection:
            read = await connection.execute(select(accounts.c.created_at).with_for_update())
            await connection.execute(accounts.update().values(created_at=read.scalar_one() + 1))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(count())

    assert await database.ask(select(accounts.c.created_at)) == [(8,)]
