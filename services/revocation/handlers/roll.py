"""``edge.heartbeat.*``, ``op.edges.list``, ``revocation.receipts``: hear each edge, tell how far it is."""

from services.revocation.flows.receipts import ReceiptsDesk
from services.revocation.flows.roll import EdgeRoll
from shared.bus import Bus
from shared.contract import EDGE_HEARTBEAT, OP_EDGES_LIST, REVOCATION_RECEIPTS

ASKERS_AT_ONCE = 2_000  # each only waits


async def keep_roll(bus: Bus, roll: EdgeRoll, receipts: ReceiptsDesk) -> None:
    """Begin to listen, then to answer."""
    await bus.listen(EDGE_HEARTBEAT, roll.hear)
    await bus.answer(OP_EDGES_LIST, roll.answer)
    await bus.answer(REVOCATION_RECEIPTS, receipts.answer, at_once=ASKERS_AT_ONCE)
