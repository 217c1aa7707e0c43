"""A service without NATS and without Python: examples/node_reader on the copy that the real worker keeps."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.bus import Bus
from shared.clock import SystemClock
from shared.redis import connect_redis
from tests.conftest import BusFactory
from tests.support.node import node_or_skip
from tests.support.revocation import Worker, make_worker
from tests.support.servers import ROOT, NatsServer, RedisServer, start_in_thread
from tests.support.tokens import make_claims
from tests.support.waiting import eventually

NODE = node_or_skip()
READER = ROOT / "examples" / "node_reader" / "reader.mjs"


@dataclass(frozen=True)
class Service:
    """The reader, and an operator who revokes."""

    redis_url: str
    blocklist_key: Path
    operator: Bus
    worker: Worker

    async def ask(self, **claims: object) -> str:
        """What the reader says about a token with these claims."""
        verified = make_claims(now_ms=SystemClock().now_ms(), **claims) | {"kid": "k-1"}
        process = await asyncio.create_subprocess_exec(
            NODE, READER, self.redis_url, self.blocklist_key, stdin=-1, stdout=-1, stderr=-1
        )
        async with asyncio.timeout(60):
            told, errors = await process.communicate(json.dumps(verified).encode())
        assert (process.returncode, errors) == (0, b"")
        return told.decode().strip()

    async def revoke(self, **body: str) -> None:
        """Returns with the PubAck."""
        await self.operator.client.request("token.revoked", json.dumps(body).encode(), timeout=5)


@pytest.fixture
async def service(
    nats_server: NatsServer,
    redis_server: RedisServer,
    secrets_dir: Path,
    bus_of: BusFactory,
    tmp_path: Path,
) -> AsyncIterator[Service]:
    """A worker with Redis keeps the copy."""
    worker = make_worker(nats_server, redis_server.url, tmp_path)
    await start_in_thread(worker)
    try:
        key = secrets_dir / "blocklist.key"
        yield Service(redis_server.url, key, await bus_of("operator"), worker)
    finally:
        await asyncio.to_thread(worker.kill)


async def test_a_reader_in_another_language_refuses_what_is_revoked(service: Service) -> None:
    """By session and by person, and only those; and knows when it knows nothing."""
    await eventually(lambda: _says(service, "allowed", sid="s-1"), within=60)

    await service.revoke(scope="session", sid="s-1")
    await eventually(lambda: _says(service, "refused session", sid="s-1"))
    old = SystemClock().now_ms() - 60_000
    await service.revoke(scope="subject", sub="Grace@Example.com")
    await eventually(
        lambda: _says(service, "refused subject", sub="u", email="grace@example.com", sst=old)
    )

    assert "allowed" == await service.ask(sid="s-2")
    await asyncio.to_thread(service.worker.kill)
    async with connect_redis(service.redis_url) as redis:
        await redis.flushall()
    assert "unknown" == await service.ask(sid="s-2")


async def _says(service: Service, word: str, **claims: object) -> bool:
    return await service.ask(**claims) == word
