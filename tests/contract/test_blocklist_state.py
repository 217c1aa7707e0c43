"""BLOCKLIST with compare-and-set: the fake and the real stream pass the same suite."""

import pytest

from latchwire.records import Record, record_key
from shared.bus import Bus
from shared.clock import SystemClock
from shared.contract import BLOCKLIST, REVOCATION
from tests.conftest import BusFactory
from tests.support.fakes.blocklist import FakeBlocklist

ADA = record_key(bytes(32), "subject", "ada@example.com")
BOB = record_key(bytes(32), "subject", "bob@example.com")
BODY = Record(SystemClock().now_ms() + 60_000).pack()
Blocklist = FakeBlocklist | Bus


@pytest.fixture(params=["fake", "nats"])
async def blocklist(request: pytest.FixtureRequest, bus_of: BusFactory) -> Blocklist:
    """Each implementation in turn."""
    return FakeBlocklist() if request.param == "fake" else await bus_of("revocation")


async def put(blocklist: Blocklist, key: str, expected_seq: int) -> int | None:
    """The sequence it was stored at, or None."""
    ack = await blocklist.put_state(key, BODY, expected_seq=expected_seq, ttl_seconds=60)
    return None if ack is None else ack.seq


async def test_only_one_of_two_writers_that_read_the_same_wins(blocklist: Blocklist) -> None:
    """The other is told, and nothing of the winner is lost."""
    assert await blocklist.get_state(ADA) is None
    first = await put(blocklist, ADA, 0)

    assert first == 1
    assert await put(blocklist, ADA, 0) is None
    assert await put(blocklist, BOB, 0) == 2
    assert await put(blocklist, ADA, 1) == 3
    assert await blocklist.get_state(ADA) == (BODY, 3)


async def test_reading_in_order_shows_the_last_of_each_key(blocklist: Blocklist) -> None:
    """Then there is nothing left."""
    for key, expected in ((ADA, 0), (BOB, 0), (ADA, 1)):
        await put(blocklist, key, expected)

    first = await blocklist.next_state(1)
    assert first is not None
    second = await blocklist.next_state(first.seq + 1)
    assert second is not None

    assert [(m.seq, m.key, m.body) for m in (first, second)] == [(2, BOB, BODY), (3, ADA, BODY)]
    assert await blocklist.next_state(4) is None


async def test_the_position_has_an_epoch_and_no_backlog_at_rest(blocklist: Blocklist) -> None:
    """What a freshness proof is made of."""
    await put(blocklist, ADA, 0)

    position = await blocklist.stream_position(BLOCKLIST)

    assert position.epoch
    assert position.last_seq == 1
    assert await blocklist.consumer_backlog_ms(REVOCATION) == 0
