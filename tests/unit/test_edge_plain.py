"""The edge's own reader takes a strict part of what aiohttp's parser takes, and reads it to the same result."""

import asyncio
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from aiohttp.streams import EMPTY_PAYLOAD
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.edge.http.doors import Check
from services.edge.http.fields import MAX_FIELD_BYTES
from services.edge.http.plain import MAX_HEAD, MAX_LINES, MAX_REMEMBERED, PlainReader
from services.edge.http.server import MAX_LINE_BYTES
from tests.support.properties import examples

GO = (
    b"GET /check/traefik/demo.0123456789abcdef HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nUser-Agent: curl/8\r\n"
    b"Accept-Encoding: gzip\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: localhost:8080\r\n"
    b"X-Forwarded-Method: GET\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Uri: /demo?a=b\r\n\r\n"
)
ENVOY = (
    b"POST /check/envoy/demo/@/demo/x?y=z HTTP/1.1\r\nhost: localhost:8080\r\nx-forwarded-proto: http\r\n"
    b"user-agent: curl/8\r\ncookie: a=b; latchwire-dev=eyJ\r\ncontent-length: 0\r\n\r\n"
)
LINE = b"GET /check/traefik HTTP/1.1\r\n"
HOST = b"Host: edge\r\n"


@pytest.fixture(scope="module")
def loop() -> Any:
    """aiohttp's parser wants one, and never runs it."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def by_aiohttp(data: bytes, loop: asyncio.AbstractEventLoop) -> Check | None:
    """The check in *data*, if aiohttp reads exactly one request without a body that keeps the connection."""
    parser = HttpRequestParser(
        BaseProtocol(loop),
        loop,
        2**16,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_FIELD_BYTES,
    )
    try:
        messages, upgraded, tail = parser.feed_data(data)
    except HttpProcessingError:
        return None
    if len(messages) != 1 or upgraded or tail:
        return None
    message, payload = messages[0]
    if message.should_close or message.upgrade or message.chunked or payload is not EMPTY_PAYLOAD:
        return None
    return Check("peer", message.method, message.path, tuple(message.raw_headers))


def by_edge(data: bytes, reader: PlainReader | None = None) -> Check | None:
    """The same by our own reader."""
    check = (reader or PlainReader()).read(data, "peer")
    if check is None:
        return None
    return check._replace(headers=tuple((n, v.strip(b" ")) for n, v in check.headers))


@pytest.mark.parametrize("data", [GO, ENVOY, GO.replace(b"GET", b"HEAD", 1)])
def test_what_a_proxy_usually_sends_is_plain(data: bytes, loop: asyncio.AbstractEventLoop) -> None:
    """Or the short way would be for nobody; read as aiohttp reads it."""
    assert by_edge(data) == by_aiohttp(data, loop) is not None


@pytest.mark.parametrize(
    "head",
    [
        LINE + HOST + b"Connection: keep-alive\r\n",
        LINE + HOST + b"Cookie: name=\xc3\xa9\xff\r\n",
        LINE + HOST + b"X:  two spaces  \r\n",
        LINE + HOST + b"X: \r\n",
        LINE + HOST + b"X-A_b: c: d\r\n",
        LINE + HOST + b"Sec-WebSocket-Key: abc\r\n",
        LINE + HOST + b"Authorization: Bearer a\r\nauthorization: Bearer b\r\n",
    ],
)
def test_rarer_plain_heads_are_read_as_aiohttp_reads_them(
    head: bytes, loop: asyncio.AbstractEventLoop
) -> None:
    """Values keep every byte but the spaces around them."""
    assert by_edge(head + b"\r\n") == by_aiohttp(head + b"\r\n", loop) is not None


ODD = [
    b"",
    b"\r\n",
    b"\r\n\r\n",
    LINE + b"\r\n",  # no Host
    LINE + b"host: a\r\nHost: a\r\n\r\n",
    LINE + b"HOST: a\r\n\r\n",
    LINE + HOST + HOST + b"\r\n",
    LINE + HOST + b"User-Agent: a\r\nuser-agent: b\r\n\r\n",
    LINE + HOST + b"USER-AGENT: a\r\nUser-Agent: b\r\n\r\n",
    LINE + HOST + b"Cookie: a\r\nCookie: b\r\n\r\n",
    b"\r\n" + LINE + HOST + b"\r\n",
    LINE + HOST + b"\r\n\r\n",
    LINE + HOST + b"\r\n" + LINE + HOST + b"\r\n",  # two
    LINE + HOST + b"\r\nbody",
    LINE + HOST + b"\r\nbody\r\n\r\n",
    LINE + HOST + b"Content-Length: 00\r\n\r\n",
    LINE + HOST + b"Content-Length: 0, 0\r\n\r\n",
    LINE + HOST + b"Content-Length:  0\r\n\r\n",
    LINE + HOST + b"Content-Length: \r\n\r\n",
    LINE + HOST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    LINE + HOST + b"Content-Length: 0\r\ncontent-length: 0\r\n\r\n",
    LINE + HOST + b"CONTENT-LENGTH: 0\r\n\r\n",
    LINE + HOST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
    LINE + HOST + b"content-length: 5\r\n\r\n",
    LINE + HOST + b"Content-Length: +5\r\n\r\nhello",
    LINE + HOST + b"CONTENT-LENGTH: 5\r\n\r\n",
    LINE + HOST + b"Content_Length : 5\r\n\r\n",
    LINE + HOST + b"Transfer-Encoding: chunked\r\n\r\n",
    LINE + HOST + b"transfer-encoding: identity\r\n\r\n",
    LINE + HOST + b"Transfer-Encoding : chunked\r\n\r\n",
    LINE + HOST + b"Transfer-Encoding\r\n\r\n",
    LINE + HOST + b"TE: trailers\r\n\r\n",
    LINE + HOST + b"Trailer: X\r\n\r\n",
    LINE + HOST + b"Expect: 100-continue\r\n\r\n",
    LINE + HOST + b"Upgrade: websocket\r\n\r\n",
    LINE
    + HOST
    + b"Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
    LINE + HOST + b"Connection: close\r\n\r\n",
    LINE + HOST + b"Connection: keep-alive, close\r\n\r\n",
    LINE + HOST + b"Connection: Upgrade\r\n\r\n",
    LINE + HOST + b"Connection: keep-alive\r\nConnection: close\r\n\r\n",
    LINE + HOST + b"Proxy-Connection: close\r\n\r\n",
    LINE + HOST + b"Sec-WebSocket-Key1: x\r\n\r\n",
    LINE + HOST + b"X: a\r\n b\r\n\r\n",  # obs-fold
    LINE + HOST + b"X: a\r\n\tb: c\r\n\r\n",
    LINE + b" Host: edge\r\n\r\n",
    LINE + HOST + b"X : a\r\n\r\n",
    LINE + HOST + b"X:a\r\n\r\n",
    LINE + HOST + b"X\r\n\r\n",
    LINE + HOST + b": a\r\n\r\n",
    LINE + HOST + b"X: a\tb\r\n\r\n",
    LINE + HOST + b"X: a\x00b\r\n\r\n",
    LINE + HOST + b"X: a\x7fb\r\n\r\n",
    LINE + HOST + b"X: a\rb\r\n\r\n",
    LINE + HOST + b"X: a\nY: b\r\n\r\n",
    LINE + HOST + b"X: a\rY: b\nZ: c\r\n\r\n",
    LINE + HOST + b"X: a\r\r\nY: b\n\r\n\r\n",
    LINE + HOST + b"X: a\x0b\x0c\x1c\x1d\x85\r\n\r\n",
    LINE + HOST + b"X\xe9: a\r\n\r\n",
    LINE + HOST + b"X\x85Y: a\r\n\r\n",
    LINE + HOST + b"X(: a\r\n\r\n",
    LINE + HOST + b'X": a\r\n\r\n',
    (LINE + HOST).replace(b"\r\n", b"\n") + b"\n",
    (LINE + HOST).replace(b"\r\n", b"\r") + b"\r\r",
    LINE + HOST + b"\n\n",
    LINE + HOST + b"\n\r\n",
    *(
        line + b"\r\n" + HOST + b"\r\n"
        for line in (
            b"GET /check/traefik HTTP/1.0",
            b"GET /check/traefik HTTP/1.2",
            b"GET /check/traefik HTTP/2.0",
            b"GET /check/traefik http/1.1",
            b"GET /check/traefik HTTP/1.1 ",
            b"GET  /check/traefik HTTP/1.1",
            b"GET /check/traefik  HTTP/1.1",
            b" GET /check/traefik HTTP/1.1",
            b"GET\t/check/traefik HTTP/1.1",
            b"GET /check/traefik",
            b"get /check/traefik HTTP/1.1",
            b"CONNECT /check/traefik HTTP/1.1",
            b"TRACE /check/traefik HTTP/1.1",
            b"PRI * HTTP/2.0",
            b"GET http://edge/check/traefik HTTP/1.1",
            b"GET edge/check/traefik HTTP/1.1",
            b"OPTIONS * HTTP/1.1",
            b"GET /check/traefik# HTTP/1.1",
            b"GET /check/envoy/@/demo#x?y HTTP/1.1",
            b"GET /check/envoy/@/d\xc3\xa9mo HTTP/1.1",
            b"GET /check/envoy/@/demo x HTTP/1.1",
            b"GET /refused HTTP/1.1",
            b"GET /checktraefik HTTP/1.1",
            b"GET //check/traefik HTTP/1.1",
        )
    ),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    LINE + HOST + b"X: " + b"a" * MAX_HEAD + b"\r\n\r\n",
    LINE + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(MAX_LINES)) + b"\r\n",
    *(GO[:cut] for cut in range(1, len(GO), 7)),
    *(GO[:cut] + b"\r\n\r\n" for cut in range(30, len(GO) - 2) if GO[cut - 1 : cut + 1] == b"\r\n"),
]


@pytest.mark.parametrize("data", ODD)
def test_what_is_not_plain_is_left_to_aiohttp(data: bytes) -> None:
    """Also where aiohttp would accept it, and whatever was read before."""
    reader = PlainReader()
    assert by_edge(data, reader) is None

    assert by_edge(GO, reader) is not None
    assert by_edge(ENVOY, reader) is not None
    assert by_edge(data, reader) is None


# What requests are made of, whole and broken: most of what comes out is plain, or plain but for one thing.
_STARTS = st.sampled_from(
    [LINE.strip(), b"POST /check/envoy/@/a HTTP/1.1", b"GET /check/caddy?x=1 HTTP/1.1"]
)
_ODD_STARTS = st.sampled_from(
    [b"GET /check/traefik HTTP/1.0", b"GET /check/a%00 HTTP/1.1", b"GET /check/\xff HTTP/1.1"]
)
_NAMES = st.sampled_from(
    b"Cookie cookie Authorization X-Request-Id X-Y_Z user-agent User-Agent Content-Type Accept ETag".split()
)
_ODD_NAMES = st.sampled_from(
    b"Host host HOST Content-Length Connection Upgrade Transfer-Encoding Expect Content-Encoding"
    b" Server X_Y TE Trailer COOKIE".split()
) | st.binary(max_size=4)
_VALUES = st.sampled_from([b"a", b"", b" a ", b"a: b", b"gzip", b"\xc3\xa9", b"a=b; c=d", b"0"])
_ODD_VALUES = st.sampled_from(
    [b"keep-alive", b"close", b"chunked", b"0", b"5", b"websocket", b"a\tb", b"identity"]
) | st.binary(max_size=6)
_ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\n ", b"\r\r\n", b"", b"\r\n\r\n"])
_COLONS = st.sampled_from([b": "] * 12 + [b":", b" : ", b":\t", b""])
_HEADERS = st.tuples(_NAMES, st.just(b": "), _VALUES).map(b"".join)
_DIFFERENT = st.lists(_HEADERS, max_size=4, unique_by=lambda line: line.partition(b":")[0].lower())
_FRAMING = st.sampled_from(
    [
        *(b"Transfer-Encoding: chunked", b"transfer-encoding: identity", b"Transfer-Encoding: x"),
        *(b"Content-Length: 5", b"content-length: 0", b"Content-Length: 00", b"Content-Length: 0"),
        *(b"Connection: close", b"connection: upgrade", b"Connection: keep-alive", b"TE: trailers"),
        *(b"Upgrade: websocket", b"Expect: 100-continue", b"Trailer: a", b"Host: b", b"host: b"),
    ]
)
_ODD_LINES = _FRAMING | st.tuples(
    _ODD_NAMES | _NAMES, _COLONS, _VALUES | _ODD_VALUES, _ENDS, st.just(b"")
).map(b"".join)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A request that is right, or has up to two things that are odd, or bytes of chance somewhere."""
    lines = [draw(_STARTS), HOST.strip(), *draw(_DIFFERENT)]
    ends = [b"\r\n"] * len(lines)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(("line", "more", "end", "twice"))):
            case "line":
                lines[at] = draw(_ODD_LINES if at else _ODD_STARTS)
            case "more":
                lines[at] += b"\r\n" + draw(_ODD_LINES)
            case "end":
                ends[at] = draw(_ENDS)
            case _:
                lines[at] += b"\r\n" + lines[draw(st.integers(0, len(lines) - 1))]
    head = b"".join(line + end for line, end in zip(lines, ends, strict=True))
    head += draw(st.sampled_from([b"\r\n"] * 8 + [b"\n", b"", b"\r\nx"]))
    if draw(st.sampled_from([False, False, True])):
        place = draw(st.integers(0, len(head)))
        head = head[:place] + draw(st.binary(max_size=2)) + head[place + draw(st.integers(0, 2)) :]
    return head


@given(heads())
@settings(max_examples=examples(800))
@example(GO)
@example(LINE + HOST + b"X: a\x00\r\n\r\n")
def test_whatever_is_taken_for_plain_aiohttp_reads_in_the_same_way(data: bytes) -> None:
    """A strict part of it, and never another reading: method, path, names, values and their order."""
    mine = by_edge(data)
    if mine is not None:
        assert mine == by_aiohttp(data, _LOOP)


_LOOP = asyncio.new_event_loop()
_LOOP.close()  # a parser only keeps it


def test_what_is_remembered_is_bounded() -> None:
    """Names and first lines are the client's to choose."""
    reader = PlainReader()
    for number in range(3 * MAX_REMEMBERED):
        head = b"GET /check/envoy/@/%d HTTP/1.1\r\nHost: a\r\nX-%d: a\r\n\r\n" % (number, number)
        assert by_edge(head, reader) is not None

    assert len(reader._names) <= MAX_REMEMBERED
    assert len(reader._starts) <= MAX_REMEMBERED
