"""Reads the one shape of request that nobody can read in two ways; all others are for aiohttp's parser.

What is accepted here is a strict part of what aiohttp accepts, and is read to the same result (a test compares
the two on random and on hostile bytes). So this is no second parser with rules of its own: it knows fewer.
"""

import re
from typing import Final

from services.edge.http.doors import Check

END: Final = b"\r\n\r\n"
MAX_HEAD: Final = 16 * 1024  # within every limit of the server behind
MAX_LINES: Final = 100  # with the first and the last, empty one; aiohttp takes 128 of headers

_LINE: Final = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/check/[!\"$-~]*) HTTP/1\.1")
_NAME: Final = re.compile(rb"[a-z0-9_-]+")
# Space, what is visible, and what is not ASCII, which stands in some people's cookies; no tab.
_IN_LINES: Final = bytes((*range(0x20, 0x7F), *range(0x80, 0x100)))
_ENDS: Final = tuple(b"\r\n" * number for number in range(MAX_LINES + 1))

# They say that something follows, or that the connection is to become something else. Those of which aiohttp
# takes only one, or none (sec-websocket-key1), and which no proxy needs to send are here too.
_ODD: Final = frozenset(
    b"content-length transfer-encoding te trailer expect upgrade http2-settings keep-alive proxy-connection"
    b" content-encoding content-location content-range etag max-forwards server sec-websocket-key1".split()
)
_ONCE: Final = frozenset((b"host", b"user-agent", b"content-type"))  # aiohttp takes only one
_STAYS: Final = frozenset((b"keep-alive", b"Keep-Alive"))


def read_plain(data: bytes, peer: str | None) -> Check | None:
    """The check in *data*, if that is exactly one whole request without a body, in the plainest form."""
    if len(data) > MAX_HEAD or not data.endswith(END):
        return None
    lines = data.splitlines()
    # As many line ends as lines, and all of them CRLF.
    if len(lines) > MAX_LINES or data.translate(None, _IN_LINES) != _ENDS[len(lines)]:
        return None
    start = _LINE.fullmatch(lines[0])
    headers = _read_headers(lines[1:-1])
    if start is None or headers is None:
        return None
    return Check(peer, start[1].decode("ascii"), start[2].decode("ascii"), headers)


def _read_headers(lines: list[bytes]) -> list[tuple[bytes, bytes]] | None:
    headers: list[tuple[bytes, bytes]] = []
    once: set[bytes] = set()
    for line in lines:
        name, colon, value = line.partition(b": ")
        lower = name.lower()
        if not colon or lower in _ODD or _NAME.fullmatch(lower) is None:
            return None
        if lower in _ONCE:
            if lower in once:
                return None
            once.add(lower)
        elif lower == b"connection" and value not in _STAYS:
            return None
        headers.append((name, value.strip(b" ")))
    return headers if b"host" in once else None
