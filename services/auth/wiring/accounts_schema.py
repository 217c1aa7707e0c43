"""Whether the store of accounts has the schema that this program needs: at start, and ``accounts migrate``."""

import asyncio
import sys
from pathlib import Path

import structlog

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_migrations import Schema, migrate, read_schema
from services.auth.ports.accounts import AccountsUnavailableError
from services.auth.settings import AuthSettings
from shared.accounts_url import PASSWORD_FILE, SQLiteStore, parse_accounts_url
from shared.lifecycle import EXIT_FAILED, EXIT_USAGE, Runtime, StartRefusedError
from shared.log import configure_logging
from shared.pauses import pause
from shared.secrets import SecretsError, read_private
from shared.settings import SettingsError

log = structlog.get_logger()

AGAIN_SECONDS = 1.0
BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


def make_database(settings: AuthSettings, *, patient: bool = False) -> Database:
    """The database of the settings, not yet connected; a *patient* one waits long for its statements.

    Raises:
        SecretsError: its password cannot be read.
        OSError: its file cannot be made.
    """
    assert settings.accounts_url is not None
    store = parse_accounts_url(settings.accounts_url)
    if isinstance(store, SQLiteStore):
        # Password hashes are in it: nobody else's to read. Its log gets the same mode from SQLite.
        Path(store.path).touch(mode=0o600)
        return Database(settings.accounts_url, patient=patient)
    path = settings.secrets_dir / PASSWORD_FILE
    password = read_private(path) if path.exists() else ""
    return Database(settings.accounts_url, password=password, patient=patient)


async def require_schema(database: Database, runtime: Runtime) -> None:
    """Return when the schema fits; SQLite's is brought up to date. Waits for a database that is away.

    Raises:
        StartRefusedError: it is older (PostgreSQL), or newer, or SQLite cannot use the file.
    """
    state = {"problem": "the schema was not read yet"}
    runtime.health.check("accounts schema", lambda: state["problem"] or None)
    while state["problem"]:
        try:
            refuse_unfit(await _present(database))
            state["problem"] = ""
        except AccountsUnavailableError as error:
            if database.is_sqlite and not str(error).startswith(BUSY):
                raise StartRefusedError(f"the store of accounts is not usable: {error}") from None
            log.warning("accounts.unavailable", error=str(error))
            state["problem"] = "the store does not answer"
            await pause(AGAIN_SECONDS, runtime.stopping)


async def _present(database: Database) -> Schema:
    return (await migrate(database))[1] if database.is_sqlite else await read_schema(database)


def refuse_unfit(schema: Schema) -> None:
    """Raises: StartRefusedError: *schema* is not this program's."""
    if schema.fits:
        return
    versions = f"the store of accounts has schema {schema.found or '(none)'}, not {schema.needed}"
    if schema.is_older:
        raise StartRefusedError(f"{versions}: run `latchwire accounts migrate` first")
    raise StartRefusedError(f"{versions}: a newer Latchwire has been here, run that one")


def run_migrate() -> int:
    """``accounts migrate``: the exit code; 0 when the schema is now this program's."""
    try:
        settings = AuthSettings.load()
    except SettingsError as error:
        return _complain(EXIT_USAGE, *error.problems)
    if settings.accounts_url is None:
        return _complain(EXIT_USAGE, "LATCHWIRE_ACCOUNTS_URL is not set: accounts are off")
    configure_logging(worker="migrate", level=settings.log_level, fmt=settings.log_format)
    try:
        print(asyncio.run(_migrate(settings)))
    except (AccountsUnavailableError, StartRefusedError, SecretsError, OSError) as error:
        return _complain(EXIT_FAILED, str(error))
    return 0


def _complain(code: int, *lines: str) -> int:
    sys.stderr.write("".join(f"accounts migrate: {line}\n" for line in lines))
    return code


async def _migrate(settings: AuthSettings) -> str:
    async with make_database(settings, patient=True) as database:
        before, after = await migrate(database)
    refuse_unfit(after)
    if before == after:
        return f"the store of accounts has schema {after.found} already"
    return f"the store of accounts has schema {after.found} (before: {before.found or 'none'})"
