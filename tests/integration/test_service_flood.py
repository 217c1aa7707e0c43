"""A service's credential that floods TOKEN_BY: whose proof gets old, and what it may leave there."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from latchwire import RevocationFeed
from shared import contract
from shared.bus import Bus
from shared.clock import SystemClock
from tests.integration.test_stolen_credentials import NOBODY, as_thief, opened_feed
from tests.support.revocation import make_worker
from tests.support.servers import NatsServer, start_in_thread
from tests.support.waiting import eventually

FLOOD = 9_000


@dataclass
class Scene:
    """A worker with a table, somebody else's feed, and its oldest proof so far."""

    feed: RevocationFeed
    operator: Bus
    oldest: float = 0.0
    began: float = field(default_factory=SystemClock().monotonic)

    def goes_by_the_flood(self) -> bool:
        """Whether the proof got old because of what waited, which it all did for about as long as it took."""
        return self.oldest > max(3.0, (SystemClock().monotonic() - self.began) / 2)

    async def is_done(self) -> bool:
        """Whether all of the flood is stored, and nothing of it waits."""
        self.oldest = max(self.oldest, self.feed.staleness_seconds())
        info = await self.operator.state.consumer(contract.REVOCATION_BY)
        place = await self.operator.stream_position(contract.TOKEN_BY)
        waiting = info["num_pending"] + info["num_ack_pending"]
        return place.last_seq == FLOOD and not waiting


@asynccontextmanager
async def scene(server: NatsServer, secrets: Path, table: Path) -> AsyncIterator[Scene]:
    """Everything started, and the feed has its first proof."""
    worker = make_worker(server, NOBODY, table.parent, REVOKERS=str(table))
    await start_in_thread(worker)
    try:
        async with server.connect("operator") as operator, opened_feed(server, secrets) as feed:
            await feed.wait_ready(60)
            yield Scene(feed, operator)
    finally:
        worker.kill()


async def flood(server: NatsServer) -> None:
    """Nonsense of service-shop, as fast as it can be written."""
    async with as_thief(server, "service-shop") as thief:
        for number in range(FLOOD):
            await thief.publish("token.revoked.by.shop", b"{}")
            if number % 2_000 == 0:
                await asyncio.sleep(0)
        await thief.flush()


async def test_who_has_no_row_makes_nobodys_proof_old(
    nats_server: NatsServer, secrets_dir: Path, tmp_path: Path
) -> None:
    """Thousands at once, for seconds: others go on being proven, and nothing of it is kept."""
    table = tmp_path / "revokers.yaml"
    table.write_text("shop: []\nhr: [subject]\n")
    async with scene(nats_server, secrets_dir, table) as seen:
        await flood(nats_server)
        await eventually(seen.is_done, within=90)
        letters = await seen.operator.stream_position(contract.DEADLETTER)

    assert not seen.goes_by_the_flood(), seen.oldest
    assert letters.last_seq == 0


async def test_when_its_row_is_removed_what_it_said_makes_no_proof_old_any_more(
    nats_server: NatsServer, secrets_dir: Path, tmp_path: Path
) -> None:
    """`services remove`, while thousands of its messages wait; few of them became dead letters."""
    table = tmp_path / "revokers.yaml"
    table.write_text("shop: [session]\n")
    async with scene(nats_server, secrets_dir, table) as seen:
        await flood(nats_server)
        table.write_text("shop: []\n# removed\n")
        await eventually(seen.is_done, within=90)
        letters = await seen.operator.stream_position(contract.DEADLETTER)

    assert not seen.goes_by_the_flood(), seen.oldest
    assert letters.last_seq <= 500


async def test_a_name_that_is_full_is_told_so_and_the_provisioner_can_empty_it(
    nats_server: NatsServer,
) -> None:
    """What one service may leave in TOKEN_BY is bounded: the others go on, and it can be made good."""
    async with (
        nats_server.connect("provisioner") as provisioner,
        as_thief(nats_server, "service-shop") as shop,
    ):
        config = (await provisioner.js.stream_info("TOKEN_BY")).config
        assert config.max_msgs_per_subject == contract.TOKEN_BY.per_subject
        assert config.discard_new_per_subject
        await provisioner.js.update_stream(config.evolve(max_msgs_per_subject=2))

        answers = [
            (await shop.request("token.revoked.by.shop", b"{}", timeout=5)).data for _ in range(3)
        ]
        assert b"maximum messages per subject exceeded" in answers[2]
        await provisioner.js.purge_stream("TOKEN_BY", subject="token.revoked.by.shop")
        again = json.loads((await shop.request("token.revoked.by.shop", b"{}", timeout=5)).data)
        assert again["seq"] == 3
