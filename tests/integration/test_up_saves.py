"""services.yaml saved under `up`: also while it starts, and said to be in force only where it is."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ctl.documents import EdgeWord, Words
from ctl.up import watch
from ctl.up.documents import open_desk, publish_changes
from ctl.up.layout import Layout
from ctl.up.plan import INSIDE, Plan, make_plan
from shared.catalogue import CatalogueError
from shared.contract import OP_EDGES_LIST
from shared.messages import EdgeList, Heartbeat, ListEdges, SeenEdge
from tests.conftest import BusFactory
from tests.support.key_house import CATALOGUE, open_house
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

SHOP = CATALOGUE.replace("demo", "shop")


def plan_of(nats: NatsServer, state: Path) -> Plan:
    """What `up` would start in *state*, with the NATS and the keys that run already."""
    if not (state / "secrets").exists():
        (state / "secrets").symlink_to(nats.secrets_dir)
    inside = dict.fromkeys(INSIDE, 9100)
    plan = make_plan(Layout(state), port=80, mail_port=81, inside=inside, app=None, environ={})
    return replace(plan, nats_url=nats.url)


async def kept(plan: Plan) -> list[tuple[int, object]]:
    """Each generation in the stream, with what it says."""
    async with open_desk(plan.nats_url, plan.layout.secrets) as desk:
        return [(document.generation, document.body) for document in desk.shelf.genuine]


async def test_what_is_saved_while_everything_starts_is_in_force_when_it_runs(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """And a rollback finds what all was started with, not what was saved since."""
    state, said = tmp_path / "state", []
    state.mkdir()
    (state / "services.yaml").write_text(CATALOGUE)
    async with open_house(nats_server, tmp_path, patient=True) as house:
        plan = plan_of(nats_server, state)
        (state / "services.yaml").write_text(SHOP)
        following = asyncio.ensure_future(watch.follow(plan, said.append))
        try:
            await eventually(lambda: said, within=60)
        finally:
            following.cancel()

        assert said == ["services  services.yaml is in force as generation 2"]
        assert await kept(plan) == [(1, CATALOGUE), (2, SHOP)]
        assert await house.check(house.signer.token(), "/shop") == "allow"


async def test_what_is_saved_after_the_stream_was_lost_is_above_what_edges_have(
    nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """They take nothing older than that, and it would only be said to be in force."""

    async def tell(_asked: ListEdges) -> EdgeList:
        beat = Heartbeat(
            edge_id="edge-1",
            at=1,
            epoch="e",
            seq=0,
            ready=True,
            staleness_ms=0,
            blocklist_size=0,
            catalogue_generation=12,
        )
        return EdgeList(edges=(SeenEdge(beat=beat, age_ms=1),), listening_ms=1, whole=True)

    await (await bus_of("revocation")).answer(OP_EDGES_LIST, tell)
    async with open_desk(nats_server.url, nats_server.secrets_dir) as desk:
        assert await publish_changes(desk, SHOP, first=CATALOGUE) == 14
        assert [document.generation for document in desk.shelf.genuine] == [13, 14]


async def test_a_file_that_is_broken_while_everything_starts_is_told_of(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """What was read stays; nothing is published."""
    (tmp_path / "services.yaml").write_text(CATALOGUE)
    plan = plan_of(nats_server, tmp_path)
    (tmp_path / "services.yaml").write_text("services: {shop: {}}")

    assert (await watch.put_in_force(plan)).startswith("not used  services.yaml")
    assert await kept(plan) == []
    with pytest.raises(CatalogueError, match="upstream: is missing"):
        plan_of(nats_server, tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (Words(3, (EdgeWord("edge-1", 3, 1.0),), whole=True), "is in force as generation 3"),
        (
            Words(3, (EdgeWord("edge-1", 2, None),), whole=True),
            "is published as generation 3, but edge-1 still has generation 2: see",
        ),
        (Words(3, (), whole=False, missing=("edge-1",)), "but edge-1 is not heard: see"),
        (Words(3, (), whole=False), "but nobody can say which edges are live: see"),
    ],
)
def test_a_catalogue_is_in_force_when_every_edge_says_that_it_has_it(
    words: Words, said: str
) -> None:
    """Else the line names who does not."""
    assert said in watch.in_words(words)
