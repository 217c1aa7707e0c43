"""``edge.heartbeat.*`` and ``op.edges.list``: hear each edge, and tell operators which are live."""

from services.revocation.flows.roll import EdgeRoll
from shared.bus import Bus
from shared.contract import EDGE_HEARTBEAT, OP_EDGES_LIST


async def keep_roll(bus: Bus, roll: EdgeRoll) -> None:
    """Begin to listen, then to answer."""
    await bus.listen(EDGE_HEARTBEAT, roll.hear)
    await bus.answer(OP_EDGES_LIST, roll.answer)
