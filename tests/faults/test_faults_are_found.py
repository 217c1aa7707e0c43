"""The negative control: parts that break a promise on purpose, and the judge that has to say so."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.cluster import Fleet, now, running_fleet
from tests.support.load import BOUND, Load, under_load
from tests.support.lying import deaf_edge, idle_worker, trusting_edge
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRUSTING, HONEST, DEAF = "edge-1", "edge-2", "edge-3"
SOME = 5  # acknowledged revocations


def lie(fleet: Fleet) -> None:
    """Two of the three edges are not what they should be."""
    fleet.edges[TRUSTING] = trusting_edge(fleet, TRUSTING)
    fleet.edges[DEAF] = deaf_edge(fleet, DEAF)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """An honest edge, one that needs no proof, and one that recognises nobody; one worker."""
    async with running_fleet(tmp_path_factory.mktemp("lying"), workers=1, prepare=lie) as fleet:
        yield fleet


async def test_edges_that_trust_for_ever_or_recognise_nobody_are_found(fleet: Fleet) -> None:
    """Cut off, the one goes on for longer than the bound; the other never refuses. The third is not blamed."""
    async with under_load(fleet, publishers=()) as load:
        fleet.links[TRUSTING].swallow()
        fleet.links[HONEST].swallow()
        await some_revoked_long_ago(fleet, load)
        fleet.links[TRUSTING].heal()
        fleet.links[HONEST].heal()
    await load.settle()

    found = load.violations()
    blamed = {sentence.split()[0] for sentence in found}
    assert blamed == {TRUSTING, DEAF}
    assert any("after it was acknowledged" in s for s in found if s.startswith(TRUSTING))
    assert not any("does not refuse" in s for s in found if s.startswith(TRUSTING))
    assert any("does not refuse" in s for s in found if s.startswith(DEAF))


async def test_a_worker_that_acknowledges_without_writing_is_found(fleet: Fleet) -> None:
    """It says that nothing waits, edges believe it, and the revoked are let in."""
    fleet.workers[0].kill()
    async with idle_worker(fleet), under_load(fleet, publishers=()) as load:
        await some_revoked_long_ago(fleet, load)
    found = [sentence for sentence in load.violations() if sentence.startswith(HONEST)]

    assert any("after it was acknowledged" in sentence for sentence in found)
    assert any("does not refuse" in sentence for sentence in found)


async def some_revoked_long_ago(fleet: Fleet, load: Load) -> None:
    """Revoke some sessions and return when that was longer ago than any edge may be behind."""
    async with fleet.bus("auth") as bus:
        for _ in range(SOME):
            await load.revoke(bus, load.session())
    late = now() + BOUND + 1
    await eventually(lambda: now() > late, within=BOUND + 2)
