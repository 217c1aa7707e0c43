"""Documents on a real NATS: who may write them, and what a reader believes of what is there."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import nats.errors
import pytest
from nats.aio.msg import Msg

from latchwire.documents import CATALOGUE, KEYS, Documents
from latchwire.feed import FeedReadError, RevocationFeed
from shared import contract
from shared.bus import Bus
from shared.messages import Freshness, Probe
from tests.conftest import BusFactory
from tests.support.documents import SUBJECTS, operators, signed, write
from tests.support.feed import HASH_KEY, Writer
from tests.support.tokens import jwks, signing_key
from tests.support.waiting import PATIENCE, eventually

STRANGER = signing_key("EdDSA", "stranger")


@dataclass
class Reader:
    """What a reader took in, in order."""

    keys: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def documents(self, bus: Bus) -> Documents:
        return Documents(
            operators(),
            on_keys=self._on_keys,
            on_catalogue=lambda text, _generation: self.texts.append(text),
            api_prefix=bus.api_prefix,
        )

    def _on_keys(self, _body: Mapping[str, Any], generation: int) -> None:
        self.keys.append(generation)


async def last_seq(bus: Bus) -> int:
    return (await bus.stream_position(contract.DOCUMENT)).last_seq


async def prove(bus: Bus) -> None:
    """Answer probes as a revocation worker does, with the end of DOCUMENT in the answer."""

    async def answer(_probe: Probe) -> Freshness:
        position = await bus.stream_position(contract.BLOCKLIST)
        documents = await bus.stream_position(contract.DOCUMENT)
        return Freshness(
            epoch=position.epoch,
            last_seq=position.last_seq,
            backlog_ms=0,
            documents_seq=documents.last_seq,
        )

    await bus.answer(contract.BLOCKLIST_PROBE, answer)


async def listening(bus: Bus, reader: Reader) -> Documents:
    """Documents that hear what is written from now on."""
    documents = reader.documents(bus)
    await documents.start(bus.client)
    # The server knows the subscription: nats-py writes the PING of a flush ahead of what is buffered.
    await bus.client.flush()
    await bus.client.flush()
    return documents


@asynccontextmanager
async def following(bus: Bus, reader: Reader) -> AsyncIterator[tuple[RevocationFeed, Documents]]:
    """A feed with its companion over *bus*."""
    documents = reader.documents(bus)
    feed = RevocationFeed(
        bus.client,
        hash_key=HASH_KEY,
        api_prefix=bus.api_prefix,
        edge_id=bus.name,
        documents=documents,
    )
    async with feed:
        yield feed, documents


async def test_freshness_covers_documents(bus_of: BusFactory) -> None:
    """A reader that joins has them before its first proof; a later one arrives by itself."""
    operator, reader = await bus_of("operator"), Reader()
    await prove(await bus_of("revocation"))
    await write(operator, KEYS, signed(jwks(), 1))
    await write(operator, KEYS, signed(jwks(), 2))
    await write(operator, CATALOGUE, signed("one", 1, name=CATALOGUE))

    async with following(await bus_of("edge-1"), reader) as (feed, documents):
        await eventually(lambda: feed.staleness_seconds() < 5)
        assert (reader.keys, reader.texts) == ([2], ["one"])  # the older one was never in force

        seq = await write(operator, CATALOGUE, signed("two", 2, name=CATALOGUE))
        await eventually(lambda: documents.seq == seq)
        assert reader.texts == ["one", "two"]
    assert documents.refused == 0


async def test_an_older_document_published_again_is_refused(bus_of: BusFactory) -> None:
    """By whoever runs, and by whoever starts after it: the greatest generation kept is the one."""
    operator, running, later = await bus_of("operator"), Reader(), Reader()
    await prove(await bus_of("revocation"))
    older = signed(jwks(), 1)
    async with following(await bus_of("edge-1"), running) as (joined, documents):
        await eventually(lambda: joined.staleness_seconds() < 5)
        await write(operator, KEYS, older)
        await write(operator, KEYS, signed(jwks(), 2))
        await eventually(lambda: running.keys == [1, 2])
        seq = await write(operator, KEYS, older)
        await eventually(lambda: documents.seq == seq)
        assert (running.keys, documents.refused) == ([1, 2], 1)

        async with following(await bus_of("edge-2"), later) as (feed, fresh):
            await eventually(lambda: feed.staleness_seconds() < 5)
            assert (later.keys, fresh.generation(KEYS), fresh.refused) == ([2], 2, 1)


async def test_a_copy_of_the_stream_that_ends_before_brings_a_reader_no_further(
    bus_of: BusFactory,
) -> None:
    """ "Nothing more" counts of a leader that has got what the answer to the probe names."""
    operator, edge, reader = await bus_of("operator"), await bus_of("edge-1"), Reader()
    documents = await listening(edge, reader)
    await documents.stop()  # deaf
    await write(operator, KEYS, signed(jwks(), 1))

    with pytest.raises(FeedReadError):
        await documents.catch_up(2)

    assert documents.seq < 2
    await write(operator, KEYS, signed(jwks(), 2))
    await documents.catch_up(2)
    assert (documents.seq, reader.keys[-1]) == (2, 2)


async def test_what_is_aimed_at_the_deltas_and_is_no_document_brings_a_reader_no_further(
    bus_of: BusFactory,
) -> None:
    """Another guest has the server answer to ``documents.…``: with a record of the sequence that comes next."""
    revoker, edge, reader = await bus_of("revocation"), await bus_of("edge-1"), Reader()
    await Writer(revoker).revoke("somebody")
    operator = await bus_of("operator")
    documents = await listening(edge, reader)
    arrived = asyncio.Event()

    async def note(_message: Msg) -> None:
        arrived.set()

    await edge.client.subscribe("documents.last", cb=note)
    await edge.client.flush()
    thief = (await bus_of("edge-2")).client
    for reply in ("documents.keys", "documents.x", "documents.last"):
        await thief.publish("CORE.API.DIRECT.GET.BLOCKLIST", b'{"seq":1}', reply=reply)
    await asyncio.wait_for(arrived.wait(), PATIENCE)
    await edge.client.flush()

    assert (documents.seq, documents.refused) == (0, 0)
    await write(operator, KEYS, signed(jwks(), 1))
    await eventually(lambda: (documents.seq, reader.keys) == (1, [1]))


@pytest.mark.parametrize(
    "jws", [b"garbage", signed(jwks(), 9, key=STRANGER)], ids=["garbage", "forged"]
)
async def test_a_bad_newest_document_neither_counts_nor_stops_anybody(
    bus_of: BusFactory, jws: bytes
) -> None:
    """It is read, refused and passed over: the one before stays in force, and the proof goes on."""
    operator, reader = await bus_of("operator"), Reader()
    await prove(await bus_of("revocation"))
    await write(operator, KEYS, signed(jwks(), 3))
    await write(operator, KEYS, jws)

    async with following(await bus_of("edge-1"), reader) as (feed, documents):
        await eventually(lambda: feed.staleness_seconds() < 5)

        assert (reader.keys, documents.refused) == ([3], 1)
        assert KEYS in documents.problems
        seq = await write(operator, KEYS, signed(jwks(), 4))
        await eventually(lambda: documents.seq == seq)
        assert (reader.keys, documents.problems) == ([3, 4], {})


async def test_what_cannot_be_used_falls_back_to_what_can(bus_of: BusFactory) -> None:
    """For a reader that has just started: the newest document that it can use, not its file."""
    operator, reader = await bus_of("operator"), Reader()
    await write(operator, KEYS, signed(jwks(), 1))
    await write(operator, KEYS, signed({"keys": []}, 2))
    edge = await bus_of("edge-1")
    documents = await listening(edge, reader)

    await documents.catch_up(await last_seq(operator))

    assert (reader.keys, documents.refused) == ([1], 1)


async def test_a_missed_document_is_caught_up(bus_of: BusFactory) -> None:
    """Without a delta the probe's answer tells that there is something to read."""
    operator, reader, edge = await bus_of("operator"), Reader(), await bus_of("edge-1")
    documents = await listening(edge, reader)
    await documents.stop()  # deaf
    for generation in (1, 2):
        await write(operator, KEYS, signed(jwks(), generation))

    await documents.catch_up(await last_seq(operator))

    assert (documents.seq, reader.keys) == (2, [2])


async def test_what_is_read_after_a_newer_one_was_heard_is_no_alarm(bus_of: BusFactory) -> None:
    """A gap that is filled late holds documents that were replaced, and nobody replayed them."""
    operator, reader, edge = await bus_of("operator"), Reader(), await bus_of("edge-1")
    documents = await listening(edge, reader)
    await documents.stop()  # deaf for the first two
    for generation in (1, 2):
        await write(operator, KEYS, signed(jwks(), generation))
    await documents.start(edge.client)
    for _ in range(2):
        await edge.client.flush()
    await write(operator, KEYS, signed(jwks(), 3))
    await eventually(lambda: reader.keys == [3])

    await documents.catch_up(3)

    assert (documents.seq, documents.refused, documents.problems) == (3, 0, {})


async def test_a_stream_that_was_lost_does_not_bring_older_documents_back(
    bus_of: BusFactory,
) -> None:
    """Read again from its start; a generation that was in force is not undone."""
    operator, reader, edge = await bus_of("operator"), Reader(), await bus_of("edge-1")
    documents = await listening(edge, reader)
    await write(operator, KEYS, signed(jwks(), 1))
    await write(operator, KEYS, signed(jwks(), 5))
    await eventually(lambda: reader.keys == [1, 5])
    await documents.catch_up(2)
    documents.seq = 40  # it had come further in the stream that is gone

    await documents.catch_up(2)
    assert (documents.seq, documents.generation(KEYS)) == (2, 5)
    await write(operator, KEYS, signed(jwks(), 4))
    await documents.catch_up(3)
    assert documents.generation(KEYS) == 5
    await write(operator, KEYS, signed(jwks(), 6))
    await documents.catch_up(4)
    assert (documents.generation(KEYS), reader.keys) == (6, [1, 5, 6])


async def test_without_an_answer_there_is_no_proof(bus_of: BusFactory) -> None:
    """The leader is asked; silence is an error, not an empty stream."""
    mailer = await bus_of("mailer")  # may not read documents
    documents = await listening(mailer, Reader())

    with pytest.raises(FeedReadError):
        await documents.catch_up(1)


@pytest.mark.parametrize("name", ["edge-1", "mailer", "auth", "revocation", "service-shop"])
async def test_only_the_operator_may_write_documents(bus_of: BusFactory, name: str) -> None:
    """A stolen credential of any other kind stores none, and cannot make others hear one."""
    thief, operator, heard = await bus_of(name), await bus_of("operator"), asyncio.Event()

    async def on_delta(_message: object) -> None:
        heard.set()

    await operator.client.subscribe("documents.*", cb=on_delta)
    for subject in SUBJECTS.values():
        with pytest.raises((nats.errors.Error, nats.errors.TimeoutError)):
            await thief.client.request(subject, signed(jwks(), 1), timeout=0.3)
        await thief.client.publish("documents.keys", signed(jwks(), 1))
    for client in (thief.client, thief.client, operator.client):
        await client.flush()

    assert await last_seq(operator) == 0
    assert not heard.is_set()
    await write(operator, KEYS, signed(jwks(), 1))
    await eventually(heard.is_set)
