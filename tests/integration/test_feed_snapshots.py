"""A joining reader and the snapshots it finds: a good one saves it the stream, a bad one costs nothing else."""

import asyncio
import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from nats.aio.client import Client

from latchwire._join import Join, SnapshotReader
from latchwire._stream import ASK_SECONDS, FeedReadError, StreamReader, StreamState
from latchwire.blocklist import Blocklist
from latchwire.snapshots import Part, SnapshotHead, Tally, parts_of
from shared import contract
from shared.bus import Bus
from tests.conftest import BusFactory
from tests.support.feed import FAR_MS, FOREVER, HASH_KEY, Writer, holds, make_feed, session_key
from tests.support.servers import NatsServer, start_in_thread
from tests.support.waiting import eventually

Change = Callable[[SnapshotHead], SnapshotHead]


@pytest.fixture
async def edge(bus_of: BusFactory) -> Bus:
    """The bus of edge-1."""
    return await bus_of("edge-1")


def unchanged(head: SnapshotHead) -> SnapshotHead:
    """As it is."""
    return head


async def write_snapshot(
    writer: Writer, *identifiers: str, change: Change = unchanged, lose_part: bool = False
) -> SnapshotHead:
    """A snapshot of these sessions up to the stream's present end."""
    blocklist, tally = Blocklist(HASH_KEY), Tally()
    for name in identifiers:
        blocklist.apply(session_key(name), FOREVER)
    position = await writer.bus.stream_position(contract.BLOCKLIST)
    for number, part in enumerate(parts_of(blocklist)):
        tally.add(part, Part.unpack(part).records)
        if not lose_part:
            await writer.bus.js.publish(f"snapshot.id1.{number}", part)
    head = change(tally.head("id1", position.epoch, position.last_seq))
    await writer.bus.js.publish(contract.SNAPSHOT_HEAD, head.pack())
    return head


async def test_a_joining_reader_takes_the_snapshot_and_then_what_came_after_it(
    edge: Bus, writer: Writer
) -> None:
    """What only the snapshot has shows that it was used; what only the stream has shows its end."""
    await writer.revoke("before")
    await write_snapshot(writer, "before", "only in the snapshot")
    seq = await writer.revoke("after")

    async with make_feed(edge) as feed:
        await eventually(lambda: feed.staleness_seconds() < 5)

        assert holds(feed, "before", "only in the snapshot", "after")
        assert (feed.seq, len(feed.blocklist)) == (seq, 3)
        seq = await writer.revoke("later")
        await eventually(lambda: feed.seq == seq and holds(feed, "later"))


@pytest.mark.parametrize(
    "change",
    [
        lambda head: dataclasses.replace(head, epoch="another"),
        lambda head: dataclasses.replace(head, watermark=head.watermark + 1),
        lambda head: dataclasses.replace(head, sha256="0" * 64),
        lambda head: dataclasses.replace(head, records=head.records - 1),
        lambda head: dataclasses.replace(head, parts=head.parts + 1),
    ],
    ids=["another stream's", "from the future", "other bytes", "other records", "parts missing"],
)
async def test_a_snapshot_that_is_not_what_it_says_is_not_used(
    edge: Bus, writer: Writer, change: Change
) -> None:
    """The reader knows all the same what the stream holds, and nothing of what the snapshot claimed."""
    await writer.revoke("before")
    await write_snapshot(writer, "only in the snapshot", change=change)

    async with make_feed(edge) as feed:
        await eventually(lambda: feed.staleness_seconds() < 5)

        assert holds(feed, "before")
        assert not holds(feed, "only in the snapshot")


async def test_a_snapshot_whose_parts_have_expired_is_not_used(edge: Bus, writer: Writer) -> None:
    """The head is kept for ever, its parts for an hour."""
    await writer.revoke("before")
    await write_snapshot(writer, "only in the snapshot", lose_part=True)

    async with make_feed(edge) as feed:
        await eventually(lambda: feed.staleness_seconds() < 5)

        assert holds(feed, "before")


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b'{"version":9}'])
async def test_a_head_that_is_none_is_not_used(edge: Bus, writer: Writer, body: bytes) -> None:
    """Nothing of what is stored there can keep a reader from its list."""
    await writer.revoke("before")
    await writer.bus.js.publish(contract.SNAPSHOT_HEAD, body)

    async with make_feed(edge) as feed:
        await eventually(lambda: feed.staleness_seconds() < 5)

        assert holds(feed, "before")


async def test_without_the_stream_of_snapshots_the_list_is_read_all_the_same(
    edge: Bus, writer: Writer, nats_server: NatsServer, tmp_path: Path
) -> None:
    """An installation that was not provisioned anew."""
    await writer.revoke("before")
    nats_server.kill()
    (stream,) = (tmp_path / "nats" / "js").rglob("streams/SNAPSHOT")
    shutil.rmtree(stream)
    await start_in_thread(nats_server)
    await eventually(lambda: edge.connected and writer.bus.connected)

    async with make_feed(edge) as feed:
        await eventually(lambda: feed.staleness_seconds() < 5)

        assert holds(feed, "before")


async def test_a_service_of_another_team_joins_from_the_snapshot_too(
    bus_of: BusFactory, writer: Writer
) -> None:
    """Its credential may read what an edge's may."""
    await writer.revoke("before")
    await write_snapshot(writer, "before", "only in the snapshot")

    async with make_feed(await bus_of("service-shop")) as feed:
        await feed.wait_ready(5)

        assert holds(feed, "only in the snapshot")


async def test_what_is_revoked_while_a_snapshot_is_loaded_is_in_the_new_list(
    edge: Bus, writer: Writer
) -> None:
    """Deltas reach the list that is being filled and the one that still refuses."""
    await writer.revoke("before")
    blocklist, tally = Blocklist(HASH_KEY), Tally()
    keys = (hashlib.sha256(number.to_bytes(8, "big")).digest()[:16] for number in range(50_000))
    for _ in blocklist.load("s", b"".join(key + FAR_MS.to_bytes(8, "big") for key in keys)):
        pass
    for number, part in enumerate(parts_of(blocklist)):
        tally.add(part, Part.unpack(part).records)
        await writer.bus.js.publish(f"snapshot.large.{number}", part)
    position = await writer.bus.stream_position(contract.BLOCKLIST)
    head = tally.head("large", position.epoch, position.last_seq)
    await writer.bus.js.publish(contract.SNAPSHOT_HEAD, head.pack())

    feed, reader = make_feed(edge), HalfWay(edge.client, edge.api_prefix)
    feed._join._reader = reader
    async with feed:
        await reader.half_way.wait()
        incoming = feed._incoming
        assert incoming is not None
        assert 1_000 < len(incoming) < 50_000
        seq = await writer.revoke("during")
        await eventually(lambda: incoming.get(session_key("during")) is not None)
        assert holds(feed, "during"), "who is still refused by the old list"
        reader.goes_on.set()
        await eventually(lambda: feed.staleness_seconds() < 5)

        await eventually(lambda: feed.seq == seq and holds(feed, "during"))
        assert feed.blocklist is incoming
        assert len(feed.blocklist) == 50_001


class HalfWay(SnapshotReader):
    """Reads the second part of a snapshot when it is told to."""

    def __init__(self, client: Client, api_prefix: str) -> None:
        super().__init__(client, api_prefix)
        self.half_way, self.goes_on = asyncio.Event(), asyncio.Event()

    async def last_of(self, name: str, seconds: float = ASK_SECONDS) -> bytes | None:
        if name.endswith(".1"):
            self.half_way.set()
            await self.goes_on.wait()
        return await super().last_of(name, seconds)


async def test_a_snapshot_that_cannot_be_read_at_once_is_asked_for_again(
    edge: Bus, writer: Writer, nats_server: NatsServer
) -> None:
    """Otherwise a server that is slow after its start would have every edge read a million messages."""
    await writer.revoke("before")
    await write_snapshot(writer, "before", "only in the snapshot")
    join, into = Join(edge.client, edge.api_prefix), Blocklist(HASH_KEY)
    state = await StreamReader(edge.client, edge.api_prefix).state()
    nats_server.kill()
    await eventually(lambda: not edge.connected)

    with pytest.raises(FeedReadError):
        await join.read(into, state)

    await start_in_thread(nats_server)
    await eventually(lambda: edge.connected)
    await eventually(lambda: _reads(join, into, state))
    assert len(into) == 2


async def _reads(join: Join, into: Blocklist, state: StreamState) -> bool:
    try:
        return await join.read(into, state) == state.last_seq
    except FeedReadError:
        return False
