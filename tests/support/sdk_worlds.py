"""The worlds that the SDK's contract suite runs in: a real installation, and the fake the SDK ships.

A world can revoke, go silent and come back; what the SDK then says must be the same in both.
"""

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from latchwire import Feed, RevocationFeed
from latchwire.testing import FakeClock, FakeFeed, FakeIssuer
from shared.clock import SystemClock
from tests.support.revocation import Worker, make_worker
from tests.support.servers import NatsServer, make_nats, start_in_thread

SERVICE = "service-shop"
NO_REDIS = "redis://127.0.0.1:1/0"  # nothing listens there: the feed does not need it
MAX_STALENESS = 5.0


class World(Protocol):
    """What a test does to the feed's surroundings. Identifiers are used once per world."""

    issuer: FakeIssuer
    feed: Feed

    async def revoke(self, scope: str, identifier: str, *, applies_to: str = "sessions") -> None:
        """As an operator; true for the feed a moment later."""

    async def go_stale(self) -> None:
        """Nobody proves anything from now on."""

    async def come_back(self) -> None:
        """Somebody does again."""

    async def start_over(self) -> None:
        """The stream is another one: what was in it is gone."""


@dataclass
class FakeWorld:
    """`latchwire.testing`, as its users have it."""

    issuer: FakeIssuer
    feed: FakeFeed

    async def revoke(self, scope: str, identifier: str, *, applies_to: str = "sessions") -> None:
        if scope == "subject":
            self.feed.revoke_subject(identifier, "access" if applies_to == "access" else "sessions")
        else:
            getattr(self.feed, f"revoke_{scope}")(identifier)

    async def go_stale(self) -> None:
        self.feed.go_stale()

    async def come_back(self) -> None:
        self.feed.come_back()

    async def start_over(self) -> None:
        self.feed.reload()


@asynccontextmanager
async def fake_world(_directory: Path) -> AsyncIterator[FakeWorld]:
    """The fake; nothing is started."""
    clock = FakeClock()
    feed = FakeFeed(max_staleness=MAX_STALENESS, clock=clock)
    try:
        yield FakeWorld(FakeIssuer(clock=clock), feed)
    finally:
        feed.stop()


@dataclass
class RealWorld:
    """nats-server with the real permissions, the real revocation worker, and a feed as a service opens it."""

    issuer: FakeIssuer
    feed: RevocationFeed
    nats: NatsServer
    worker: Worker

    async def revoke(self, scope: str, identifier: str, *, applies_to: str = "sessions") -> None:
        names = {"token": "jti", "session": "sid", "subject": "sub", "service": "service"}
        body: dict[str, Any] = {"scope": scope, names.get(scope, "kid"): identifier}
        if scope == "subject":
            body["applies_to"] = applies_to
        async with self.nats.connect("operator") as operator:
            data = json.dumps(body).encode()
            ack = json.loads((await operator.client.request("token.revoked", data, timeout=5)).data)
            assert ack["stream"] == "TOKEN"

    async def go_stale(self) -> None:
        self.worker.signal(signal.SIGSTOP)

    async def come_back(self) -> None:
        self.worker.signal(signal.SIGCONT)

    async def start_over(self) -> None:
        self.nats.kill()
        shutil.rmtree(self.nats.log.parent / "js")
        await start_in_thread(self.nats)
        await self.nats.provision()


@asynccontextmanager
async def real_world(directory: Path) -> AsyncIterator[RealWorld]:
    """The servers, the worker, and the feed of the credential `SERVICE`; *directory* holds ``secrets``."""
    secrets = directory / "secrets"
    nats = make_nats(directory / "nats", secrets)
    worker = make_worker(nats, NO_REDIS, directory)
    await start_in_thread(nats)
    try:
        await nats.provision()
        await start_in_thread(worker)
        async with open_feed(nats, secrets) as feed:
            await feed.wait_ready(60)
            yield RealWorld(FakeIssuer(clock=SystemClock().now_ms), feed, nats, worker)
    finally:
        await asyncio.to_thread(worker.kill)
        nats.kill()


def open_feed(nats: NatsServer, secrets: Path) -> AbstractAsyncContextManager[RevocationFeed]:
    """``async with open_feed(...) as feed``: exactly what the README tells a service to do."""
    return RevocationFeed.open(**feed_options(nats, secrets))


def feed_options(nats: NatsServer, secrets: Path) -> dict[str, Any]:
    """What `RevocationFeed.open` needs here."""
    return {
        "servers": nats.url,
        "name": SERVICE,
        "nkey_seed": nats.seed(SERVICE),
        "blocklist_key": (secrets / "blocklist.key").read_text("ascii"),
        "max_staleness": MAX_STALENESS,
    }
