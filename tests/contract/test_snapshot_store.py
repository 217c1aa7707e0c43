"""Where snapshots are stored: the fake and the real stream pass the same suite."""

import pytest

from latchwire.blocklist import Blocklist
from latchwire.records import Record, record_key
from latchwire.snapshots import PART_BYTES, Loading, SnapshotHead
from services.revocation.flows.snapshot import SnapshotWriter
from shared.bus import Bus, SnapshotStore
from shared.clock import SystemClock
from shared.ids import SystemIds
from tests.conftest import BusFactory
from tests.support.fakes.snapshots import FakeSnapshots, FakeSource

Store = FakeSnapshots | SnapshotStore
HASH_KEY = bytes(32)


@pytest.fixture(params=["fake", "nats"])
async def store(request: pytest.FixtureRequest, bus_of: BusFactory) -> Store:
    """Each implementation in turn."""
    if request.param == "fake":
        return FakeSnapshots()
    bus = await bus_of("revocation")
    return SnapshotStore(bus.client, bus.js)


async def test_of_two_heads_written_at_once_one_stays(store: Store) -> None:
    """The other writer is told, and finds the one that is there."""
    assert await store.head() is None
    assert await store.put_head(b"one", expected_seq=0)
    assert not await store.put_head(b"two", expected_seq=0)

    found = await store.head()
    assert found is not None
    assert found.body == b"one"
    assert await store.put_head(b"two", expected_seq=found.seq)


async def test_the_last_beat_is_remembered(store: Store) -> None:
    """Of whichever worker; a head is another thing."""
    assert await store.beat() == 0
    await store.put_beat(1_800_000_000_001)
    await store.put_beat(1_800_000_000_002)

    assert await store.beat() == 1_800_000_000_002
    assert await store.head() is None


async def test_what_somebody_else_put_there_is_no_beat(bus_of: BusFactory) -> None:
    """JetStream's answer to whoever named that subject, for one."""
    bus = await bus_of("revocation")
    await bus.js.publish("snapshot.redis.beat", b'{"type":"io.nats.jetstream.api.v1"}')

    assert await SnapshotStore(bus.client, bus.js).beat() == 0


async def test_a_part_as_large_as_they_get_is_taken(store: Store) -> None:
    """And counts for nothing until a head names it."""
    await store.put_part("01JD", 0, bytes(PART_BYTES))

    assert await store.head() is None


async def part(bus: Bus, id_: str, number: int) -> bytes:
    """A stored part, which has an hour to live."""
    message = await bus.js.get_last_msg("SNAPSHOT", f"snapshot.{id_}.{number}")
    assert message.headers is not None
    assert message.headers["Nats-TTL"] == "3600"
    return message.data or b""


async def test_what_a_worker_writes_is_what_a_reader_loads(bus_of: BusFactory) -> None:
    """Through real streams and permissions, in more parts than one."""
    worker, reader = await bus_of("revocation"), await bus_of("operator")
    full = Blocklist(HASH_KEY)
    for number in range(30_000):
        full.apply(record_key(HASH_KEY, "session", str(number)), Record(2**40))
    writer = SnapshotWriter(
        source=FakeSource(full, seq=30_000),
        snapshots=SnapshotStore(worker.client, worker.js),
        clock=SystemClock(),
        ids=SystemIds(),
    )

    head = await writer.look()

    assert head is not None
    found = await reader.js.get_last_msg("SNAPSHOT", "snapshot.head")
    assert SnapshotHead.unpack(found.data or b"") == head
    assert head.parts > 1
    loaded = Blocklist(HASH_KEY)
    loading = Loading(head, loaded)
    for number in range(head.parts):
        for _ in loading.take(await part(reader, head.id, number)):
            pass
    loading.finish()
    assert len(loaded) == len(full)
    assert await writer.look() is None
