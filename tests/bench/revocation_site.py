"""What bench_revocation measures: nats-server, Redis, one revocation worker and many edges, each a process.

The credentials and permissions are the product's. Beside its accounts there is one more, BARE, for the
messages the product is compared with: core NATS, and a file stream of its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import nats
from nats.aio.client import Client

from shared.bus import Bus
from shared.bus.permissions import render_accounts
from shared.secrets import load_blocklist_key, load_seed, public_key
from tests.bench.pages import Page
from tests.support.edge_process import EdgeProcess, make_edge
from tests.support.revocation import Worker, make_worker
from tests.support.servers import CREDENTIALS, NatsServer, make_nats, make_redis, make_secrets
from tests.support.waiting import eventually

BARE_ACCOUNT = (
    "accounts {\n  BARE {\n    jetstream: enabled\n"
    "    users: [ { user: bare, password: bare } ]\n  }\n"
)
READY_WITHIN = 60.0  # seconds


@dataclass
class Site:
    """Running parts. *edges* and *pages* go together."""

    directory: Path
    nats: NatsServer
    bus: Bus  # as the operator, who may revoke
    bare: Client
    worker: Worker
    edges: list[EdgeProcess]
    pages: list[Page]
    hash_key: bytes = field(repr=False)


@asynccontextmanager
async def running_site(directory: Path, *, edges: int, lag: bool = False) -> AsyncIterator[Site]:
    """Everything up and ready; ended with the block."""
    names = [f"edge-{n + 1}" for n in range(edges)]
    secrets = make_secrets(directory / "secrets", tuple(dict.fromkeys((*CREDENTIALS, *names))))
    server, redis = make_nats(directory / "nats", secrets), make_redis(directory / "redis")
    write_accounts(server, names)
    worker = make_worker(server, redis.url, directory)
    fleet = [measured_edge(server, directory, name, lag=lag) for name in names]
    started = [server, redis, worker, *fleet]
    try:
        server.start()
        redis.start()
        await server.provision()
        worker.start()
        await eventually(lambda: answers_ready(worker.port), within=READY_WITHIN)
        async with asyncio.TaskGroup() as group:
            for half in (fleet[::2], fleet[1::2]):
                group.create_task(_start_each(half))
        for edge in fleet:
            await eventually(lambda e=edge: is_ready(e), within=READY_WITHIN)
        pages = [Page(page_path(directory, name)) for name in names]
        async with server.connect("operator") as bus:
            bare = await nats.connect(server.url, user="bare", password="bare")
            key = load_blocklist_key(secrets)
            yield Site(directory, server, bus, bare, worker, fleet, pages, key)
            await bare.close()
    finally:
        for part in reversed(started):
            part.kill()


async def _start_each(edges: list[EdgeProcess]) -> None:
    """One after the other: ten at once would all be slow."""
    for edge in edges:
        await asyncio.to_thread(edge.start)


def page_path(directory: Path, name: str) -> Path:
    """Where the edge *name* notes down."""
    return directory / f"{name}.page"


def write_accounts(server: NatsServer, edges: list[str]) -> None:
    """The product's accounts for these edges, and BARE."""
    names = dict.fromkeys((*CREDENTIALS, *edges))
    keys = {name: public_key(load_seed(server.secrets_dir, name)) for name in names}
    text = render_accounts(keys).replace("accounts {\n", BARE_ACCOUNT, 1)
    (server.log.parent / "accounts.conf").write_text(text)


def measured_edge(server: NatsServer, directory: Path, name: str, *, lag: bool) -> EdgeProcess:
    """An edge (not started) that writes a page."""
    edge = make_edge(server, directory, edge_id=name)
    arguments = [str(page_path(directory, name)), server.url, *(["lag"] if lag else [])]
    edge.command = [*edge.command[:-1], "tests.bench.measured_edge", *arguments]
    return edge


async def is_ready(edge: EdgeProcess) -> bool:
    """Whether the edge says so."""
    return await answers_ready(edge.admin)


async def answers_ready(admin: int) -> bool:
    """Whether the worker with this admin port says that it is ready."""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{admin}/ready") as answer,
        ):
            return answer.status == 200
    return False
