"""Fixtures: real servers on free ports, one set per test, ended with it."""

import gc
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shared.bus import Bus
from tests.support.databases import (  # noqa: F401 - fixtures for everybody
    accounts_url,
    database,
    empty_url,
    migrated_file,
    postgresql_server,
)
from tests.support.properties import load_profile
from tests.support.servers import NatsServer, RedisServer, make_nats, make_redis, make_secrets

load_profile()

# What a shell starts in the background is born deaf to Ctrl-C (POSIX), and so would be all that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Whatever proxy the environment names: what tests talk to is here, curl and browsers included.
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = f"localhost,.localhost,127.0.0.1,{os.environ.get(name, '')}".rstrip(",")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Nothing that other tests left behind is collected within a property.

    hypothesis parses its source first; a finalizer that runs in the middle of that trips CPython (gh-106905).
    """
    if item.get_closest_marker("hypothesis") is None:
        return (yield)
    gc.freeze()
    try:
        return (yield)
    finally:
        gc.unfreeze()


BusFactory = Callable[[str], Awaitable[Bus]]


@pytest.fixture(scope="session")
def secrets_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys made once a session: generating RSA keys is slow."""
    return make_secrets(tmp_path_factory.mktemp("secrets-template") / "secrets")


@pytest.fixture
def secrets_dir(secrets_template: Path, tmp_path: Path) -> Path:
    """A secrets directory of this test's own."""
    target = tmp_path / "secrets"
    shutil.copytree(secrets_template, target)
    return target


@pytest.fixture
async def nats_server(tmp_path: Path, secrets_dir: Path) -> AsyncIterator[NatsServer]:
    """A real nats-server with the contract's permissions, streams and consumers."""
    server = make_nats(tmp_path / "nats", secrets_dir)
    try:
        server.start()
        await server.provision()
        yield server
    finally:
        server.kill()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A real redis-server that fsyncs every write."""
    server = make_redis(tmp_path / "redis")
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def bus_of(nats_server: NatsServer) -> AsyncIterator[BusFactory]:
    """``await bus_of("mailer")``: a bus as that credential."""
    async with AsyncExitStack() as stack:

        async def connect(name: str) -> Bus:
            return await stack.enter_async_context(nats_server.connect(name))

        yield connect
