"""What a proxy or an enemy may write to an edge, whole, odd or damaged; and a wire that belongs to nobody."""

import asyncio
import re
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from tests.support.door_heads import head_of, line_of
from tests.support.edge import COOKIE, token
from tests.support.edge_http import HEAD

GOOD = token()
BEARER = b"Authorization: Bearer " + GOOD + b"\r\n"
HOST = b"Host: edge\r\n"
LINE = b"GET /check/traefik HTTP/1.1\r\n"
PLAIN = LINE + HOST + HEAD + BEARER + b"\r\n"
NOBODY = LINE + HOST + HEAD + b"\r\n"
PAGE = (
    HEAD.replace(b"/demo", b"/staff") + b"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
)
COOKIES = b"Cookie: a=b; " + COOKIE.encode() + b"=" + GOOD + b"\r\n"
PAGED = LINE + HOST + PAGE + b"X:\ta\r\n" + COOKIES + b"\r\n"  # as above, and a page is the answer
# Its answer is the end of what is compared, unless the edge hangs up before.
LAST = b"X-Request-Id: the-last-request"
ENDING = LINE + HOST + LAST + b"\r\n\r\n"
TURNS = 12  # of the loop, in which the edge has read one piece and answered it
VARIES = re.compile(rb"(Date: |X-Request-Id: (?=[0-9A-Z]{26}-))[^\r]*")

PROXIES = ["traefik", "caddy", "haproxy", "nginx", "envoy"]
WHOLE = [
    PLAIN,
    NOBODY,
    PLAIN.replace(b"GET", b"HEAD", 1),
    PLAIN.replace(b"GET", b"POST", 1),
    LINE + HOST + PAGE + COOKIES + b"\r\n",
    b"HEAD /check/traefik HTTP/1.1\r\n" + HOST + PAGE + COOKIES + b"\r\n",
    LINE + HOST + PAGE + b"\r\n",
    LINE + HOST + HEAD + BEARER + COOKIES + b"\r\n",
    LINE + HOST + HEAD + BEARER + b"authorization: x\r\n\r\n",
    LINE + HOST + HEAD + b"X-Request-Id: of-the-client\r\nAuthorization:   Bearer " + GOOD + b"  \r\n\r\n",
    b"GET /check/nothing HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /refused HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n",
    *(
        b"%b\r\nHost: localhost:8080\r\n%b%b\r\n"
        % (line_of(proxy, "/demo/x?y"), head_of(proxy, "/demo/x?y"), who)
        for proxy in PROXIES
        for who in (BEARER, b"")
    ),
]  # fmt: skip
TABBED = LINE + HOST + HEAD + b"X-Note: a\tb\r\n" + BEARER + b"\r\n"  # as good, and not plain
BODY = b"POST /check/traefik HTTP/1.1\r\n" + HOST + HEAD + BEARER
ODD = [
    PLAIN + NOBODY,
    PLAIN[:-2],
    PLAIN[:50],
    b"\r\n" + PLAIN,
    PLAIN + b"\r\n",
    PLAIN + b"rest",
    BODY + b"Content-Length: 0\r\n\r\n",
    BODY + b"Content-Length: 5\r\n\r\nhello",
    BODY + b"Content-Length: 5\r\n\r\nhel",
    BODY + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    BODY + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    BODY + b"Content-Length : 5\r\n\r\nhello",
    BODY + b"Content-Length: +5\r\n\r\nhello",
    BODY + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    BODY + b"Transfer-Encoding: chunked\r\n\r\n5;x=\n\r\nhello\r\n0\r\n\r\n",
    BODY + b"Transfer-Encoding: xchunked\r\n\r\n",
    BODY + b"Expect: 100-continue\r\n\r\n",
    BODY + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    BODY + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    BODY + b"Connection: close\r\n\r\n",
    BODY + b"Connection: keep-alive\r\n\r\n",
    BODY + b"Connection: keep-alive, close\r\n\r\n",
    PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    PLAIN.replace(b"HTTP/1.1", b"HTTP/1.2"),
    PLAIN.replace(b"GET /check/traefik HTTP/1.1", b"GET /check/traefik"),
    PLAIN.replace(b"/check", b"http://edge/check"),
    PLAIN.replace(b"/check/traefik", b"/check/traefik#x"),
    PLAIN.replace(b"\r\n", b"\n"),
    PLAIN.replace(b"Host: edge\r\n", b""),
    PLAIN.replace(b"Host: edge\r\n", b"Host: a\r\nhost: b\r\n"),
    PLAIN.replace(b"Authorization:", b"Authorization :"),
    PLAIN.replace(b"Bearer ", b"Bearer\r\n "),
    TABBED,
    PLAIN.replace(b"Bearer ", b"Bearer\t"),
    PLAIN.replace(b"/demo", b"/demo\x00"),
    PLAIN.replace(b"/demo", b"/demo\r"),
    PLAIN.replace(b"/demo", b"/d\xc3\xa9mo"),
    LINE + HOST + HEAD + COOKIES + COOKIES + b"\r\n",
    LINE + HOST + b"X: " + b"a" * 20_000 + b"\r\n" + HEAD + BEARER + b"\r\n",
    LINE + HOST + b"X: " + b"a" * 40_000 + b"\r\n" + HEAD + BEARER + b"\r\n",
    LINE + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(110)) + HEAD + BEARER + b"\r\n",
    LINE + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(140)) + HEAD + BEARER + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00\r\n\r\n",
]


class Recorder(asyncio.Transport):
    """A transport that belongs to nobody."""

    def __init__(self, unread: int = 0) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.unread = unread
        self.protocol: Any = None
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unread

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Some requests, whole, odd or damaged, cut into random pieces."""
    data = b"".join(draw(st.lists(st.sampled_from(WHOLE + ODD), min_size=1, max_size=4)))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(st.binary(max_size=3)) + data[place + draw(st.integers(0, 3)) :]
    cuts = sorted({0, len(data), *draw(st.lists(st.integers(0, len(data)), max_size=6))})
    return [data[a:b] for a, b in pairwise(cuts)]
