"""A real PostgreSQL of Debian for tests, as an unprivileged user where the tests are root."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.servers import Server, free_port

# Not for keeping anything: these make a start and a commit take milliseconds.
FAST = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB")
SMALL = ("max_connections=200", "autovacuum=off", "log_min_messages=warning", "max_wal_size=64MB")
OWNER = "latchwire"
# A database is three hundred files: 40 ms to make in memory, 220 ms on a disk.
MEMORY, ROOM = Path("/dev/shm"), 2**31  # a container may have little of it


def find_postgresql() -> Path | None:
    """The directory of PostgreSQL's programs: Debian keeps them by version; else where initdb is."""
    kept = Path("/usr/lib/postgresql")
    versions = sorted(kept.glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]))
    found = [str(versions[-1])] if versions else [shutil.which("initdb")]
    return Path(found[0]).resolve().parent if found[0] else None


def postgresql_missing(environ: Mapping[str, str], found: Path | None) -> str | None:
    """Why tests on PostgreSQL cannot run here, or None.

    Raises:
        RuntimeError: in CI (any value of ``CI``), where a test that was skipped proves nothing.
    """
    if found is not None:
        return None
    if environ.get("CI"):
        raise RuntimeError("CI is set and PostgreSQL is missing: its tests have to run here")
    return "MISSING: PostgreSQL. Accounts are tested on SQLite alone. On Debian: apt-get install postgresql"


def postgresql_or_skip() -> Path:
    """The programs; without them the test is skipped with a warning, never in CI."""
    found = find_postgresql()
    missing = postgresql_missing(os.environ, found)
    if missing:
        print(f"\n{missing}", file=sys.__stderr__)
        pytest.skip(missing)
    assert found is not None
    return found


@dataclass
class PostgreSQLServer(Server):
    """A server whose superuser is `OWNER`."""

    data: Path = Path()
    programs: Path = Path()

    def start(self) -> None:
        """Start and wait until it lets clients in: it listens while it is still starting up."""
        super().start()
        asking = [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(asking, check=False).returncode == 1:  # 1: it refuses for now
            assert self.runs, self.log.read_text()[-2000:]

    def url(self, name: str) -> str:
        """LATCHWIRE_ACCOUNTS_URL of the database *name*."""
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{name}?sslmode=disable"

    def kill(self) -> None:
        """All its processes at once, as a power failure does."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """An orderly end that waits for no client."""
        self._end(signal.SIGINT)


@contextmanager
def running_postgresql(password: str = "") -> Iterator[PostgreSQLServer]:
    """A server with nothing in it, gone with the block. It asks everybody for a *password* that is not ""."""
    programs = postgresql_or_skip()
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM
    # Not under pytest's directory, which only its owner may enter.
    directory = Path(
        tempfile.mkdtemp(prefix="latchwire-postgresql-", dir=MEMORY if roomy else None)
    )
    try:
        server = _prepare(programs, directory, password)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)


def _prepare(programs: Path, directory: Path, password: str) -> PostgreSQLServer:
    data = directory / "data"
    data.mkdir(mode=0o700)
    prefix: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        for path in (directory, data):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        identity = (f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
        prefix = ["setpriv", *identity, "--"]
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", OWNER, "-E", "UTF8"]
    options = ["--no-locale", "--no-sync", "--no-instructions", "-A", "trust"]
    if password:
        (directory / "password").write_text(password)
        (directory / "password").chmod(0o644)  # for nobody, whatever our umask is
        options[-1:] = ["scram-sha-256", "--pwfile", str(directory / "password")]
    subprocess.run([*prefix, *initdb, *options], check=True, capture_output=True, cwd=directory)
    port = free_port()
    command = [*prefix, str(programs / "postgres"), "-D", str(data), "-p", str(port)]
    command += ["-h", "127.0.0.1", "-k", ""]  # no socket file: its path may be too long for one
    for setting in (*FAST, *SMALL):
        command += ["-c", setting]
    return PostgreSQLServer(
        command, port, directory / "postgresql.log", data=data, programs=programs
    )
