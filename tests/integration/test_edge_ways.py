"""A connection that has left the short way ends after some answers; nothing that was asked on it is lost."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import pytest
from aiohttp import web
from hypothesis import event, given, settings

from services.edge.http.behind import ANSWERS, SWEEPS
from services.edge.http.fast import FastServer
from services.edge.http.server import open_connections
from shared.unreadable import refuse_by, refuse_plainly
from tests.support.edge_http import Door, open_door
from tests.support.edge_wire import (
    BODY,
    NOBODY,
    PAGED,
    PLAIN,
    TABBED,
    TURNS,
    VARIES,
    Recorder,
    streams,
)
from tests.support.properties import examples
from tests.support.waiting import eventually

ENOUGH = 3
CLOSE = b"\r\nConnection: close\r\n"
UPGRADE = BODY + b"Connection: Upgrade\r\nUpgrade: "


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """An edge whose connections end after three answers by aiohttp."""
    async with open_door(answers_behind=ENOUGH) as door:
        refuse_by(door.server, refuse_plainly, door.desk.clock)  # as the worker does
        yield door


@pytest.fixture
async def off() -> AsyncIterator[Door]:
    """An edge without the short way."""
    async with open_door(fast=False) as door:
        refuse_by(door.server, refuse_plainly, door.desk.clock)
        yield door


class Wire:
    """A connection of *server*'s that is fed by hand."""

    def __init__(self, server: web.Server) -> None:
        self.transport = Recorder()
        self.transport.protocol = server()
        self.transport.protocol.connection_made(self.transport)

    @property
    def ended(self) -> bool:
        """Whether nothing more is heard."""
        return self.transport.closed

    @property
    def said(self) -> bytes:
        """All answers, without what varies by itself."""
        return VARIES.sub(rb"\1", self.transport.written)

    async def feed(self, *pieces: bytes) -> None:
        """One after the other, each when the ones before are answered."""
        for piece in pieces:
            if not self.ended:
                self.transport.protocol.data_received(piece)
            before = -1
            while before != len(self.transport.written):
                before = len(self.transport.written)
                for _ in range(TURNS):
                    await asyncio.sleep(0)

    def hang_up(self) -> None:
        """As a peer that goes away."""
        self.transport.protocol.connection_lost(None)


def without_close(said: bytes) -> bytes:
    """*said* as it would be if its last answer were not the last."""
    before, found, rest = said.rpartition(CLOSE)
    return before + b"\r\n" + rest if found else said


async def test_after_so_many_answers_an_odd_connection_says_that_it_ends(door: Door) -> None:
    """Only then, whether what came since was odd or plain; before, the short way is left for good."""
    for pieces in ([TABBED] * ENOUGH, [TABBED, PLAIN, NOBODY], [TABBED, TABBED, b"\r\n" + PLAIN]):
        wire = Wire(door.server)
        for number, piece in enumerate(pieces, 1):
            await wire.feed(piece)
            assert wire.transport.written.count(b"HTTP/1.1 ") == number
            assert (wire.transport.written.count(CLOSE), wire.ended) == (number == ENOUGH,) * 2
        wire.hang_up()


@pytest.mark.parametrize(
    ("pieces", "answers"),
    [
        ([TABBED * 10], 10),
        ([TABBED * 2 + TABBED[:40], TABBED[40:]], 3),
        ([TABBED * 3 + TABBED[:-1], TABBED[-1:]], 4),
        ([TABBED * 3 + b"G", TABBED[1:]], 4),
        ([TABBED + PLAIN + PLAIN + NOBODY[:9], NOBODY[9:] + PLAIN], 5),
        ([TABBED * 40 + PLAIN * 40], 80),
        ([TABBED * 3 + BODY + b"Content-Length: 5\r\n\r\nhello", PLAIN], 5),
        ([BODY + b"Content-Length: 5\r\n\r\nhello"] * 4 + [PLAIN], 5),
        ([BODY + b"Content-Length: 9\r\n\r\nhello\r\n\r\n"] * 3, 3),
        ([TABBED * 2 + UPGRADE + b"websocket\r\n\r\n" + TABBED], 4),
        ([TABBED * 2 + UPGRADE + b"websocket\r\n\r\n" + TABBED[:-1], TABBED[-1:]], 4),
    ],
)
async def test_what_stands_behind_a_request_is_answered_before_the_end(
    door: Door, pieces: list[bytes], answers: int
) -> None:
    """A second request is not lost, nor a part of one: the last answer is one that nothing stands behind."""
    wire = Wire(door.server)
    for piece in pieces[:-1]:
        await wire.feed(piece)
        assert not wire.ended
    await wire.feed(pieces[-1])
    await eventually(lambda: wire.ended)
    wire.hang_up()

    assert wire.transport.written.count(b"HTTP/1.1 ") == answers
    assert wire.transport.written.count(CLOSE) == 1
    assert wire.transport.written.rpartition(b"HTTP/1.1 ")[2].count(CLOSE) == 1


@given(pieces=streams())
@settings(max_examples=examples(60))
def test_hostile_streams_lose_no_answer_to_the_end(pieces: list[bytes]) -> None:
    """Up to the piece with whose answer it ends, every byte is what an edge without the short way says."""
    asyncio.run(_compare(pieces))


async def _compare(pieces: list[bytes]) -> None:
    async with open_door(answers_behind=2) as door, open_door(fast=False) as off:
        ending, plain = Wire(door.server), Wire(off.server)
        for piece in (TABBED, *pieces, PLAIN):
            await ending.feed(piece)
            await plain.feed(piece)
            if ending.ended and not plain.ended:
                event("ends")
                assert without_close(ending.said) == plain.said
                break
            assert ending.said == plain.said
        ending.hang_up()
        plain.hang_up()


async def test_without_the_short_way_no_connection_ends(off: Door) -> None:
    """A fresh one would be no faster."""
    wire = Wire(off.server)
    await wire.feed(*[TABBED] * (ANSWERS + 2))

    assert (wire.transport.written.count(b"HTTP/1.1 200"), wire.ended) == (ANSWERS + 2, False)
    wire.hang_up()


@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhel", b"Transfer-Encoding: chunked\r\n\r\n5"]
)
async def test_an_answer_before_the_end_of_a_body_says_that_it_is_the_last(
    door: Door, off: Door, body: bytes
) -> None:
    """Nobody waits for the body, and a proxy that believed in the connection would meet its end."""
    for server in (door.server, off.server):
        wire = Wire(server)
        await wire.feed(BODY + body)
        wire.hang_up()

        assert (wire.transport.written.count(CLOSE), wire.ended) == (1, True)


@pytest.mark.parametrize(
    "protocol", [b"h2c", b"", b"websocket, h2c", b"web\xc3\xa9", "websoc\u212aet".encode()]
)
async def test_no_answer_is_taken_for_another_ones_behind_an_unknown_protocol(
    door: Door, off: Door, protocol: bytes
) -> None:
    """aiohttp drops what came with such a request: the answer to it is the last, so nobody waits for more."""
    for server in (door.server, off.server):
        wire = Wire(server)
        await wire.feed(UPGRADE + protocol + b"\r\n\r\n" + NOBODY, PLAIN)

        assert (wire.transport.written.count(b"HTTP/1.1 "), wire.ended) == (1, True)
        assert wire.transport.written.count(CLOSE) == 1
        wire.hang_up()


async def test_the_end_is_only_behind_the_short_way(door: Door) -> None:
    """A plain connection has as many answers as there are requests."""
    wire = Wire(door.server)
    await wire.feed(*[PLAIN] * (ANSWERS + 2))

    assert (wire.transport.written.count(b"HTTP/1.1 200"), wire.ended) == (ANSWERS + 2, False)
    wire.hang_up()


async def test_open_connections_are_told_by_their_way(door: Door, off: Door) -> None:
    """Plain until something odd comes; gone when it is closed, from either side."""
    tell, tell_off = partial(open_connections, door.server), partial(open_connections, off.server)
    first, second, third = Wire(door.server), Wire(door.server), Wire(off.server)
    assert (tell(), tell_off()) == ({"plain": 2, "aiohttp": 0}, {"plain": 0, "aiohttp": 1})

    await first.feed(PLAIN, TABBED)
    await second.feed(PLAIN)
    assert tell() == {"plain": 1, "aiohttp": 1}
    await first.feed(*[PLAIN] * ENOUGH)
    for wire in (first, second, third):
        wire.hang_up()
        await wire.feed()
    await eventually(lambda: {*tell().values(), *tell_off().values()} == {0})


@pytest.mark.parametrize("request_", [PAGED, PAGED.replace(b"X:\t", b"X: ")], ids=["odd", "plain"])
async def test_who_never_reads_is_no_connection_for_ever(request_: bytes) -> None:
    """On either way: closing waits for what is written, and that would wait for who does not read."""
    async with open_door(idle_seconds=0.5) as door:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", door.port))
            await eventually(lambda: any(open_connections(door.server).values()))
            async with asyncio.TaskGroup() as group:
                flood = group.create_task(_flood(sock, request_))
                await eventually(lambda: not any(open_connections(door.server).values()), within=60)
                flood.cancel()


async def test_who_goes_on_asking_is_not_cut_off(door: Door) -> None:
    """However long it is open; only what was not answered for so many sweeps is."""
    assert isinstance(door.server, FastServer)
    wire = Wire(door.server)
    for _ in range(ENOUGH - 1):
        await wire.feed(TABBED)
        for _ in range(SWEEPS):
            door.server.behind.close_idle()
        assert not wire.ended
    door.server.behind.close_idle()

    assert wire.ended
    wire.hang_up()


async def _flood(sock: socket.socket, request: bytes) -> None:
    """For as long as anybody takes it."""
    with suppress(ConnectionError):
        while True:
            await asyncio.get_running_loop().sock_sendall(sock, request * 50)
