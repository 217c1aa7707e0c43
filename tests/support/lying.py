"""Parts that break a promise, to show that the fault tests would find it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.revocation.flows.freshness import FreshnessDesk
from shared import contract
from shared.bus import Delivery
from shared.ids import b64url
from shared.messages import TokenRevoked
from tests.support.cluster import Fleet
from tests.support.edge_process import EdgeProcess, make_edge

FOR_EVER = "900s"


def trusting_edge(fleet: Fleet, name: str) -> EdgeProcess:
    """An edge that goes on without any proof."""
    url = f"nats://127.0.0.1:{fleet.links[name].port}"
    return make_edge(
        fleet.nats[0], fleet.directory, edge_id=name, nats_url=url, max_staleness=FOR_EVER
    )


def deaf_edge(fleet: Fleet, name: str) -> EdgeProcess:
    """An edge with another installation's blocklist key: it hears every record and finds nobody in them."""
    secrets = fleet.directory / f"secrets-of-{name}"
    shutil.copytree(fleet.secrets_dir, secrets)
    (secrets / "blocklist.key").write_text(b64url(bytes(32)))
    return make_edge(fleet.nats[0], fleet.directory, edge_id=name, secrets_dir=str(secrets))


@asynccontextmanager
async def idle_worker(fleet: Fleet) -> AsyncIterator[None]:
    """A revocation worker that acknowledges without writing, and says that nothing waits."""

    async def done(_event: TokenRevoked, _delivery: Delivery) -> None:
        """Nothing at all."""

    stopping = asyncio.Event()
    async with fleet.bus("revocation") as bus, asyncio.TaskGroup() as group:
        await bus.answer(contract.BLOCKLIST_PROBE, FreshnessDesk(bus).answer)
        group.create_task(
            bus.consume(
                contract.REVOCATION,
                contract.TOKEN_REVOKED,
                done,
                concurrency=4,
                stopping=stopping,
            )
        )
        try:
            yield
        finally:
            stopping.set()
