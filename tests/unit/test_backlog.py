"""How old the oldest waiting revocation is, when those who are asked do not agree."""

from typing import Any

import pytest
from nats.aio.client import Client

from shared import contract
from shared.bus import BusUnavailableError
from shared.bus.state import BlocklistState


class Told(BlocklistState):
    """JetStream as told: the worker has acknowledged up to 4, the stream ends at 9, nobody finds a message."""

    def __init__(self, **positions: int) -> None:
        client = Client()
        super().__init__(client, client.jetstream())
        told = {"first_seq": 1, "last_seq": 9, "messages": 9, "bytes": 900, "last_ts": "then"}
        self.positions = told | positions

    async def _api(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        if call.startswith("CONSUMER.INFO"):
            return {"ts": "2026-11-22T09:00:00Z", "ack_floor": {"stream_seq": 4}}
        if call.startswith("STREAM.INFO"):
            return {"config": {"num_replicas": 1}, "state": self.positions}
        return {"error": {"err_code": 10037}}


@pytest.mark.parametrize(
    "positions", [{}, {"first_seq": 7, "messages": 3}], ids=["all", "what comes after a gap"]
)
async def test_no_message_is_not_believed_of_one_that_the_leader_has(
    positions: dict[str, int],
) -> None:
    """A leader that was replaced and does not know it yet must not make a backlog look like none."""
    with pytest.raises(BusUnavailableError, match="TOKEN"):
        await Told(**positions).backlog_ms(contract.REVOCATION)


@pytest.mark.parametrize(
    "positions",
    [{"first_seq": 10, "messages": 0}, {"messages": 4}],
    ids=["all expired", "deleted by hand"],
)
async def test_what_expired_or_was_deleted_is_waited_for_by_nobody(
    positions: dict[str, int],
) -> None:
    """The stream's own count says that it may be gone."""
    assert await Told(**positions).backlog_ms(contract.REVOCATION) == 0
