"""The version of the schema: what this program needs, what a database has, and the way from one to the other.

SQLite is brought up to date when auth starts. PostgreSQL only by ``latchwire accounts migrate``: several
processes of auth use it, and the one who upgrades decides when.
"""

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from services.auth.adapters.sql import LOCK_MS, Database

LOCATION = Path(__file__).parent / "migrations"
LOCK = 4_927_115_208_233_111_041  # any number of our own: two migrations at once come one after the other


@dataclass(frozen=True)
class Schema:
    """*found* is the database's version ("": it has none), *needed* this program's."""

    found: str
    needed: str
    known: bool

    @property
    def fits(self) -> bool:
        """Whether this program can work with it."""
        return self.found == self.needed

    @property
    def is_older(self) -> bool:
        """Whether migrating helps."""
        return self.known and not self.fits


async def read_schema(database: Database) -> Schema:
    """How the database stands. Raises: AccountsUnavailableError."""
    async with database.reading() as connection:
        return await connection.run_sync(_read)


async def migrate(database: Database) -> tuple[Schema, Schema]:
    """Bring the schema up to date in one transaction: how it was, and how it is.

    A newer one than this program knows is left alone. Raises: AccountsUnavailableError.
    """
    async with database.writing() as connection:
        if not database.is_sqlite:
            await connection.execute(text("SET LOCAL lock_timeout = '10min'"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            # For the tables again little: who waits for one holds up everybody behind.
            await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_MS}"))
        before = await connection.run_sync(_read)
        if before.is_older:
            await connection.run_sync(_upgrade)
        return before, await connection.run_sync(_read)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(LOCATION).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _read(connection: Connection) -> Schema:
    scripts = ScriptDirectory.from_config(_config())
    found = MigrationContext.configure(connection).get_current_revision() or ""
    revisions = {script.revision for script in scripts.walk_revisions()} | {""}
    return Schema(found, scripts.get_current_head() or "", found in revisions)


def _upgrade(connection: Connection) -> None:
    command.upgrade(_config(connection), "head")
