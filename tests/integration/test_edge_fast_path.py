"""With the short way and without it an edge answers the same bytes, and keeps every promise of a connection."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress

import pytest
import uvloop
from aiohttp import web
from hypothesis import given, settings

from services.edge.http.answers import MAX_UNREAD_BYTES
from services.edge.http.fast import FastConnection, FastServer
from shared.unreadable import refuse_by, refuse_plainly
from tests.support.edge_http import Door, open_door
from tests.support.edge_wire import (
    ENDING,
    LAST,
    NOBODY,
    ODD,
    PLAIN,
    TURNS,
    VARIES,
    WHOLE,
    Recorder,
    streams,
)
from tests.support.properties import examples
from tests.support.waiting import PATIENCE, eventually


class Pair:
    """An edge with the short way and one without, in a loop as the worker has it."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._stack = AsyncExitStack()
        self.fast, self.plain = self.runner.run(self._open())

    async def _open(self) -> tuple[Door, Door]:
        fast = await self._stack.enter_async_context(open_door())
        plain = await self._stack.enter_async_context(open_door(fast=False))
        for door in (fast, plain):
            refuse_by(door.server, refuse_plainly, door.desk.clock)  # as the worker does
        return fast, plain

    def close(self) -> None:
        self.runner.run(self._stack.aclose())
        self.runner.close()

    def answers(self, pieces: list[bytes]) -> tuple[bytes, bytes]:
        """What each of the two says to the same *pieces*."""
        return self.runner.run(self._both(pieces))

    async def _both(self, pieces: list[bytes]) -> tuple[bytes, bytes]:
        return await hear(self.fast, pieces), await hear(self.plain, pieces)


class Ear(asyncio.Protocol):
    """Hears everything up to the end: a reset takes nothing back."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.done = asyncio.Event()
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.heard += data
        _, last, rest = self.heard.partition(LAST)
        if last and b"\r\n\r\n" in rest:
            self.done.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.done.set()


async def hear(door: Door, pieces: list[bytes]) -> bytes:
    """Everything that *door* says to *pieces* and to the ending, but what varies by itself."""
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_connection(Ear, "127.0.0.1", door.port)
    try:
        for piece in (*pieces, ENDING):
            if not ear.lost:
                transport.write(piece)
            for _ in range(TURNS):
                await asyncio.sleep(0)
        with suppress(TimeoutError):  # a stream may have left it waiting for more
            async with asyncio.timeout(10):
                await ear.done.wait()
    finally:
        transport.abort()
    return VARIES.sub(rb"\1", bytes(ear.heard))


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Both, for the module."""
    pair = Pair()
    yield pair
    pair.close()


@pytest.mark.parametrize("data", WHOLE + ODD)
def test_every_shape_gets_the_same_bytes_on_both_ways(pair: Pair, data: bytes) -> None:
    """In one piece, after a plain request on the same connection, and cut in two at three places."""
    cuts = sorted({cut for cut in (20, len(data) // 2, len(data) - 3) if 0 < cut < len(data)})
    for pieces in ([data], [PLAIN, data], *([data[:cut], data[cut:]] for cut in cuts)):
        fast, plain = pair.answers(pieces)
        assert fast == plain
        assert fast  # nobody compares silence


@given(pieces=streams())
@settings(max_examples=examples(100))
def test_hostile_streams_get_the_same_bytes_on_both_ways(pair: Pair, pieces: list[bytes]) -> None:
    """Whatever is sent, in whatever pieces."""
    fast, plain = pair.answers(pieces)
    assert fast == plain


@pytest.mark.parametrize("data", WHOLE)
def test_plain_requests_never_reach_aiohttp(pair: Pair, data: bytes) -> None:
    """Or the short way would be as long as the other."""
    assert isinstance(pair.fast.server, FastServer)
    behind = pair.fast.server.behind
    before = behind.requests_count
    pair.answers([data, data])

    odd = data.startswith(b"GET /refused")
    assert (behind.requests_count > before) == odd


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A fresh edge that closes what is idle for a third of a second."""
    async with open_door(idle_seconds=0.3) as door:
        yield door


async def connect(door: Door) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """One connection."""
    return await asyncio.open_connection("127.0.0.1", door.port)


async def test_whoever_sends_nothing_or_nothing_more_is_closed(door: Door) -> None:
    """From the first moment on, and from the last answer on."""
    for data in (b"", PLAIN, PLAIN + PLAIN):
        reader, writer = await connect(door)
        writer.write(data)
        async with asyncio.timeout(PATIENCE):
            heard = await reader.read()
        writer.close()

        assert heard.count(b"HTTP/1.1 200") == data.count(b"GET /")


async def test_a_head_in_drops_is_answered_when_it_is_whole() -> None:
    """Every byte in a packet of its own."""
    async with open_door() as door:  # however long this machine takes for them
        reader, writer = await connect(door)
        for place in range(len(NOBODY)):
            writer.write(NOBODY[place : place + 1])
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert b" 401 " in head


async def test_half_a_head_is_aiohttps_after_a_moment_and_closed_in_the_end(door: Door) -> None:
    """So what is wrong with it is said at once, and nobody keeps a connection with halves."""
    assert isinstance(door.server, FastServer)
    for half, expected in ((b"G\x00", b"HTTP/1.0 400"), (PLAIN[:-2], b"")):
        reader, writer = await connect(door)
        writer.write(half)
        async with asyncio.timeout(PATIENCE):
            heard = await reader.read()
        writer.close()

        assert heard.startswith(expected)
        assert bool(heard) == bool(expected)


async def test_who_ends_its_side_after_a_request_gets_the_answer(door: Door) -> None:
    """And who ends it before, nothing."""
    for data, answers in ((PLAIN, 1), (PLAIN[:-2], 0)):
        reader, writer = await connect(door)
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            heard = await reader.read()
        writer.close()

        assert heard.count(b"HTTP/1.1") == answers


async def test_who_hangs_up_within_a_head_leaves_nothing_behind(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """No timer, no connection, no line in a log."""
    assert isinstance(door.server, FastServer)
    for data in (b"", PLAIN, PLAIN[:-2], PLAIN + PLAIN):
        _, writer = await connect(door)
        writer.write(data)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        writer.transport.abort()
    server = door.server
    await eventually(lambda: _none_open(server))
    _, writer = await connect(door)  # and the edge lives
    writer.close()

    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def _none_open(server: FastServer) -> bool:
    return not server._open and not server.behind.connections


@pytest.mark.parametrize("unread", [MAX_UNREAD_BYTES - 1, MAX_UNREAD_BYTES])
async def test_answers_are_not_piled_up_for_who_reads_none(door: Door, unread: int) -> None:
    """The last one says that it is the last."""
    assert isinstance(door.server, FastServer)
    transport = Recorder(unread)
    connection = FastConnection(door.server)
    connection.connection_made(transport)
    connection.data_received(PLAIN)
    connection.connection_lost(None)

    assert transport.written.startswith(b"HTTP/1.1 200 OK")
    ends = unread == MAX_UNREAD_BYTES
    assert (transport.closed, b"Connection: close" in transport.written) == (ends, ends)


async def test_a_connection_lost_within_a_head_is_not_handed_over_later(door: Door) -> None:
    """Nobody would ever tell aiohttp that it is gone."""
    assert isinstance(door.server, FastServer)
    connection = FastConnection(door.server)
    connection.connection_made(Recorder())
    connection.data_received(PLAIN[:-2])
    waiting = connection._timer
    connection.connection_lost(None)

    assert waiting is not None
    assert waiting.cancelled()


async def test_a_peer_that_does_not_read_is_handed_over_as_one(door: Door) -> None:
    """aiohttp learns that writing is paused, and that it goes on."""
    assert isinstance(door.server, FastServer)
    transport = Recorder()
    connection = FastConnection(door.server)
    connection.connection_made(transport)
    connection.pause_writing()
    connection.data_received(PLAIN + PLAIN)
    handler = transport.protocol

    assert isinstance(handler, web.RequestHandler)
    assert handler.writing_paused
    handler.resume_writing()
    handler.connection_lost(None)


async def test_an_edge_that_ends_closes_both_ways_and_answers_what_has_come() -> None:
    """A proxy sees the end of a connection, not of an answer."""
    loop = asyncio.get_running_loop()
    ears: list[tuple[Ear, int]] = []
    async with open_door() as door:
        for data in (b"", PLAIN, PLAIN + PLAIN, PLAIN[:-2]):
            transport, ear = await loop.create_connection(Ear, "127.0.0.1", door.port)
            transport.write(data)
            ears.append((ear, data.count(b"\r\n\r\n")))
        await eventually(lambda: _all_answered(ears))
    for ear, answers in ears:
        async with asyncio.timeout(PATIENCE):
            await ear.done.wait()
        assert (ear.lost, ear.heard.count(b" 200 OK")) == (True, answers)


async def _all_answered(ears: list[tuple[Ear, int]]) -> bool:
    return all(ear.heard.count(b" 200 OK") == answers for ear, answers in ears)


async def test_a_stranger_is_refused_on_the_short_way_too() -> None:
    """Whose word counts is asked of the connection's own address."""
    async with open_door(trusted=()) as door:
        answer = await door.send(PLAIN)

    assert b"X-Latchwire-Reason: untrusted_peer" in answer


async def test_switched_off_there_is_only_aiohttp() -> None:
    """``LATCHWIRE_EDGE_FAST_PATH=off``."""
    async with open_door(fast=False) as door:
        assert b" 200 " in await door.send(PLAIN)
        assert type(door.server) is web.Server
        assert door.server.requests_count == 1
