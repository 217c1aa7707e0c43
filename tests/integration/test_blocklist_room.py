"""What a stolen credential leaves in BLOCKLIST is seen, and can be taken out; a full one is told of in time."""

from nats.js.errors import NotFoundError

from latchwire.blocklist import Blocklist
from latchwire.records import Record, record_key
from services.revocation.flows.room import HALF, SOME, Room
from shared.bus import Bus, Position
from shared.clock import SystemClock
from shared.contract import BLOCKLIST, Stream
from tests.conftest import BusFactory
from tests.support.fakes.snapshots import FakeSource
from tests.support.waiting import eventually


class Leader:
    """Says what a test tells it to."""

    def __init__(self) -> None:
        self.position = Position("epoch-1", 1, 1, 1, 200)

    async def stream_position(self, stream: Stream) -> Position:
        assert stream is BLOCKLIST
        return self.position


def copy_of(records: int) -> FakeSource:
    """A copy with so many of them."""
    blocklist, until = Blocklist(bytes(32)), SystemClock().now_ms() + 3_600_000
    for number in range(records):
        blocklist.apply(record_key(bytes(32), "session", f"s{number}"), Record(until))
    return FakeSource(blocklist, records)


async def test_a_list_that_is_half_full_is_announced_and_one_that_is_not_is_not() -> None:
    """Long before it takes no more."""
    leader = Leader()
    room = Room(leader, copy_of(1))
    await room.look()
    assert room.trouble() is None

    leader.position = Position("epoch-1", 1, 9, 1, HALF)
    await room.look()
    assert room.trouble() == "BLOCKLIST is more than half full"

    leader.position = Position("epoch-1", 1, 9, 1, HALF - 1)
    await room.look()
    assert room.trouble() is None


async def test_what_lapses_at_this_moment_is_not_foreign() -> None:
    """The copy forgets it before the stream does; the next look finds them equal."""
    leader, source = Leader(), copy_of(0)
    room = Room(leader, source)
    for messages in (SOME * 2, 0, SOME * 2):
        leader.position = Position("epoch-1", 1, 99, messages, 200)
        await room.look()
        assert room.trouble() is None

    source.staleness = 60.0
    await room.look()
    assert room.trouble() is None


async def test_what_is_no_record_is_seen_and_can_be_taken_out(bus_of: BusFactory) -> None:
    """As the runbook says: an empty message that lives for a second takes its place."""
    bus = await bus_of("revocation")
    for number in range(SOME):
        await bus.js.publish(f"bl.left-behind-{number}", b'{"type":"a reply"}')
    source = copy_of(0)
    source.epoch = (await bus.stream_position(BLOCKLIST)).epoch
    room = Room(bus, source)
    await room.look()
    await room.look()
    assert room.trouble() == "BLOCKLIST holds messages that are no records"

    for number in range(SOME):
        await bus.js.publish(f"bl.left-behind-{number}", b"", headers={"Nats-TTL": "1"})
    await eventually(lambda: gone(bus))

    await room.look()
    assert room.trouble() is None


async def gone(bus: Bus) -> bool:
    """Whether nothing lies there any more."""
    try:
        await bus.js.get_last_msg("BLOCKLIST", "bl.left-behind-0")
    except NotFoundError:
        return (await bus.stream_position(BLOCKLIST)).messages == 0
    return False
