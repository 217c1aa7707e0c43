"""Auth and its store of accounts at start: what is imported, waited for, refused and brought up to date."""

import asyncio
import stat
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_migrations import migrate, read_schema
from services.auth.ports.accounts import AccountsUnavailableError
from services.auth.settings import AuthSettings
from services.auth.wiring.accounts_schema import make_database, require_schema
from shared.lifecycle import Runtime, StartRefusedError
from shared.secrets import SecretsError, write_private
from tests.support.postgresql import OWNER, running_postgresql
from tests.support.servers import ROOT, NatsServer, RedisServer, free_port, start_in_thread
from tests.support.waiting import eventually

PASSWORD = "s3cret-canary"

# Starts auth and tells which of these it has imported by then.
STARTED = """
import asyncio, sys
from services.auth.settings import AuthSettings
from services.auth.wiring import start
from shared.lifecycle import run_worker

async def start_and_tell(settings, runtime):
    await start(settings, runtime)
    names = {name.partition(".")[0] for name in sys.modules}
    print("imported:", sorted(names & {"sqlalchemy", "alembic", "asyncpg", "aiosqlite", "argon2"}))
    runtime.stop("told")

run_worker("auth", AuthSettings, start_and_tell)
"""


async def run_python(*words: str, cwd: Path, **settings: str) -> tuple[int, str]:
    """A process of ours: its exit code, and everything it printed."""
    environment = {f"LATCHWIRE_{name}": value for name, value in settings.items()}
    environment |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}", "PATH": "/usr/bin:/bin"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        env=environment,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def settings_in(nats: NatsServer, redis: RedisServer) -> dict[str, str]:
    """Those of an auth on these servers."""
    return {
        "URL": "http://localhost:8080",
        "ALLOW": "*",
        "SECRETS_DIR": str(nats.secrets_dir),
        "NATS_URL": nats.url,
        "REDIS_URL": redis.url,
        "AUTH_LISTEN": f"127.0.0.1:{free_port()}",
        "AUTH_ADMIN": f"127.0.0.1:{free_port()}",
    }


@pytest.mark.parametrize(
    ("accounts", "imported"),
    [("off", []), ("on", ["aiosqlite", "alembic", "argon2", "asyncpg", "sqlalchemy"])],
)
async def test_without_accounts_nothing_of_sql_is_imported(
    accounts: str,
    imported: list[str],
    nats_server: NatsServer,
    redis_server: RedisServer,
    tmp_path: Path,
) -> None:
    """Up to the moment when requests are served; with accounts all of it is, and a file is there for them."""
    url = {"ACCOUNTS_URL": f"sqlite:///{tmp_path / 'accounts.db'}"} if accounts == "on" else {}

    house = nats_server, redis_server
    code, said = await run_python("-c", STARTED, cwd=tmp_path, **settings_in(*house), **url)

    assert code == 0, said
    [told] = [line for line in said.splitlines() if line.startswith("imported:")]
    assert set(imported) <= set(
        told.removeprefix("imported: ").strip("[]").replace("'", "").split(", ")
    )
    assert (told == "imported: []") is (accounts == "off")
    assert "alembic" not in said.replace(told, "")
    assert (f'no_file": "{tmp_path}/providers.yaml' in said) is (accounts == "on")
    made = tmp_path / "accounts.db"
    assert made.exists() is (accounts == "on")
    if made.exists():
        assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.glob("accounts.db*")} == {0o600}


@pytest.mark.parametrize("name", ["PROVIDERS", "ROLES"])
async def test_a_table_that_was_named_and_is_missing_refuses_to_start(
    name: str, nats_server: NatsServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Rather than a page without buttons, or the built-in roles, and nobody told."""
    mine = {"ACCOUNTS_URL": f"sqlite:///{tmp_path / 'accounts.db'}", name: "mistyped.yaml"}
    house = nats_server, redis_server
    code, said = await run_python(
        "-m", "services.auth", cwd=tmp_path, **settings_in(*house), **mine
    )

    assert code != 0
    assert "worker.start_refused" in said
    assert "mistyped.yaml: no such file" in said.lower()


@asynccontextmanager
async def runtime() -> AsyncIterator[Runtime]:
    """A worker's life without a worker."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        yield Runtime(tasks, stack)


async def test_auth_waits_for_its_database_and_says_so(tmp_path: Path) -> None:
    """PostgreSQL comes up after auth: nothing is restarted, and nobody is let in before."""
    with running_postgresql() as server:
        url = server.url("postgres")
        async with Database(url) as database, runtime() as life, asyncio.TaskGroup() as tasks:
            await migrate(database)
            server.kill()
            started = tasks.create_task(require_schema(database, life))
            waiting = {"accounts schema": "the store does not answer"}
            await eventually(lambda: life.health.problems().items() >= waiting.items())
            assert not started.done()
            await start_in_thread(server)
            await started
            assert "accounts schema" not in life.health.problems()


async def test_on_postgresql_auth_refuses_a_schema_that_nobody_has_migrated(empty_url: str) -> None:
    """Several processes use it, and who upgrades decides when; SQLite's file is auth's own."""
    async with Database(empty_url) as database, runtime() as life:
        if database.is_sqlite:
            await require_schema(database, life)
            assert (await read_schema(database)).fits
            return
        with pytest.raises(StartRefusedError, match=r"run `latchwire accounts migrate` first"):
            await require_schema(database, life)


@pytest.mark.parametrize("content", [b"no database at all, but a text of some length" * 40, None])
async def test_a_file_that_is_no_database_is_refused_at_once(
    tmp_path: Path, content: bytes | None
) -> None:
    """Waiting would not help; a missing directory neither."""
    path = tmp_path / "accounts.db" if content else tmp_path / "missing" / "accounts.db"
    if content:
        path.write_bytes(content)
    async with Database(f"sqlite:///{path}") as database, runtime() as life:
        with pytest.raises(StartRefusedError, match="not usable: SQLITE_"):
            await require_schema(database, life)
    # The driver's thread for a connection that could not be made ends by itself, but wants our loop for it.
    await eventually(lambda: not any("_connection_worker" in t.name for t in threading.enumerate()))
    assert content is None or path.read_bytes() == content


async def test_accounts_migrate_with_a_password_that_is_in_no_url(tmp_path: Path) -> None:
    """From the file alone; it is printed nowhere, and a file that others may read is refused."""
    secrets = tmp_path / "secrets"
    write_private(secrets / "accounts.password", PASSWORD)
    with running_postgresql(PASSWORD) as server:
        settings = {"URL": "http://localhost:8080", "ALLOW": "*", "SECRETS_DIR": str(secrets)}
        settings["ACCOUNTS_URL"] = f"postgresql://{OWNER}@127.0.0.1:{server.port}/postgres"
        words = ("-m", "ctl", "accounts", "migrate")

        code, told = await run_python(*words, cwd=tmp_path, **settings)

        loaded = AuthSettings.load({f"LATCHWIRE_{name}": value for name, value in settings.items()})
        async with make_database(loaded) as database:
            before, after = await migrate(database)
        write_private(secrets / "accounts.password", "wrong")
        async with make_database(loaded) as database:
            with pytest.raises(AccountsUnavailableError, match=r"^28P01$"):  # invalid_password
                await migrate(database)
        (secrets / "accounts.password").chmod(0o644)
        with pytest.raises(SecretsError, match="readable by others"):
            make_database(loaded)

    assert (code, told) == (0, "the store of accounts has schema 0001 (before: none)\n")
    assert before == after


async def test_accounts_migrate_needs_accounts(tmp_path: Path) -> None:
    """Exit code 2 and the setting that is missing."""
    words = ("-m", "ctl", "accounts", "migrate")
    code, said = await run_python(*words, cwd=tmp_path, URL="http://localhost", ALLOW="*")

    assert (code, said) == (
        2,
        "accounts migrate: LATCHWIRE_ACCOUNTS_URL is not set: accounts are off\n",
    )
