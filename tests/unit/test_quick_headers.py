"""Headers are read as nats-py reads them, only sooner: whatever arrives, the answer is the same."""

from hypothesis import example, given
from hypothesis import strategies as st
from nats.aio.client import Client

from latchwire._client import QuickClient

DELTA = (
    b"Nats-Stream: BLOCKLIST\r\nNats-Subject: bl.sabc\r\nNats-Sequence: 12\r\n"
    b"Nats-Time-Stamp: 2026-11-22T07:00:00.123456789Z\r\nNats-Last-Sequence: 11\r\nNats-TTL: 60s\r\n\r\n"
)
PIECES = st.sampled_from(
    [b"Nats-Sequence", b"Status", b":", b": ", b" ", b"\t", b"\r\n", b"\n", b"\r", b"a b", b"7", b"\xc3\xa9",
     b"\xff", b"x", b"\x00", b"::", b"\x0b", b"\x1c"]
)  # fmt: skip
BLOCKS = st.lists(PIECES, max_size=24).map(b"".join) | st.binary(max_size=60)


@given(BLOCKS)
@example(DELTA)
@example(b"A: 1\r\nA: 2\r\n\r\n")
@example(b"A: \r\nB:  two  words \r\n\r\n")
@example(b"A: one  two\r\n\r\n")
@example(b"A:1\r\n\r\n")
def test_no_header_block_is_read_differently(raw: bytes) -> None:
    """The peer's reader is the oracle: duplicates, odd spacing, bytes that are no text."""
    assert QuickClient._parse_header_lines(raw) == Client._parse_header_lines(raw)


def test_nats_py_still_asks_this_reader() -> None:
    """A version that reads headers elsewhere makes the quick reader useless, which nobody would notice."""
    seen: list[bytes] = []

    class Watching(QuickClient):
        @staticmethod
        def _parse_header_lines(raw: bytes) -> dict[str, str]:
            seen.append(raw)
            return QuickClient._parse_header_lines(raw)

    coroutine = Watching()._process_headers(b"NATS/1.0\r\n" + DELTA)
    try:
        coroutine.send(None)
    except StopIteration as done:
        headers = done.value

    assert seen == [DELTA]
    assert headers["Nats-Sequence"] == "12"
