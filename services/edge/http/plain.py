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
MAX_REMEMBERED: Final = 1_024
MAX_REMEMBERED_BYTES: Final = 128

_LINE: Final = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/check/[!\"$-~]*) HTTP/1\.1")
_NAME: Final = re.compile(rb"[a-z0-9_-]+")
# Space, what is visible, and what is not ASCII, which stands in some people's cookies; no tab.
_IN_LINES: Final = bytes((*range(0x20, 0x7F), *range(0x80, 0x100)))
_ENDS: Final = tuple(b"\r\n" * number for number in range(MAX_LINES + 1))

# They say that something follows, or that the connection is to become something else. Those of which aiohttp
# takes only one, or none (sec-websocket-key1), and which no proxy needs to send are here too.
_ODD: Final = frozenset(
    b"transfer-encoding te trailer expect upgrade http2-settings keep-alive proxy-connection"
    b" content-encoding content-location content-range etag max-forwards server sec-websocket-key1".split()
)
# aiohttp takes only one of each, so they have to be spelt in one way: as Go and nginx do, or as Envoy does.
_ONCE: Final = frozenset((b"Host", b"User-Agent", b"Content-Type", b"Content-Length"))
_ONCE_LOWER: Final = frozenset(name.lower() for name in _ONCE)
_STAYS: Final = frozenset((b"keep-alive", b"Keep-Alive"))


class PlainReader:
    """Reads plain requests; spellings of names, and first lines, are judged once and remembered."""

    def __init__(self) -> None:
        self._names: set[bytes] = set()
        self._starts: dict[bytes, tuple[str, str]] = {}

    def read(self, data: bytes, peer: str | None) -> Check | None:
        """The check in *data*, if that is exactly one whole request without a body, in the plainest form."""
        if len(data) > MAX_HEAD or not data.endswith(END):
            return None
        lines = data.splitlines()
        # As many line ends as lines, and all of them CRLF.
        if len(lines) > MAX_LINES or data.translate(None, _IN_LINES) != _ENDS[len(lines)]:
            return None
        start = self._starts.get(lines[0]) or self._read_start(lines[0])
        try:
            headers = dict([line.split(b": ", 1) for line in lines[1:-1]])
        except ValueError:
            return None
        # A name that comes twice is not plain.
        if start is None or len(headers) != len(lines) - 2 or not self._is_plain(headers):
            return None
        return Check(peer, start[0], start[1], headers.items())

    def _is_plain(self, headers: dict[bytes, bytes]) -> bool:
        names = headers.keys()
        titled = names.isdisjoint(_ONCE_LOWER) and b"Host" in headers
        if not (titled or (names.isdisjoint(_ONCE) and b"host" in headers)):
            return False
        return names <= self._names or all(
            self._is_plain_line(name, headers[name]) for name in names - self._names
        )

    def _is_plain_line(self, name: bytes, value: bytes) -> bool:
        lower = name.lower()
        if lower == b"connection":
            return value in _STAYS
        if lower == b"content-length" and value != b"0":  # which Envoy says
            return False
        if lower in _ODD or _NAME.fullmatch(lower) is None:
            return False
        if lower in _ONCE_LOWER and name != lower and name not in _ONCE:
            return False  # HOST
        if len(name) <= MAX_REMEMBERED_BYTES and lower != b"content-length":
            if len(self._names) >= MAX_REMEMBERED:
                self._names.clear()
            self._names.add(name)
        return True

    def _read_start(self, line: bytes) -> tuple[str, str] | None:
        """Method and path."""
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        start = found[1].decode("ascii"), found[2].decode("ascii")
        if len(line) <= MAX_REMEMBERED_BYTES:
            if len(self._starts) >= MAX_REMEMBERED:
                self._starts.clear()
            self._starts[line] = start
        return start
