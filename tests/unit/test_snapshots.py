"""Snapshots: what a list holds comes back whole, and nothing that is not one is taken for one."""

import dataclasses
import hashlib
import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latchwire.blocklist import Blocklist
from latchwire.records import SCOPE_LETTERS, Record, record_key
from latchwire.snapshots import (
    PART_BYTES,
    Loading,
    Part,
    SnapshotError,
    SnapshotHead,
    Tally,
    load_part,
    parts_of,
)
from tests.support.properties import damaged_bytes, examples

KEY = b"0123456789abcdef0123456789abcdef"
HEAD = SnapshotHead("01JD", "epoch-1", 41, 2, 3, 108, "0" * 64)
TIMES = st.integers(0, 2**64 - 1)
ENTRIES = st.lists(
    st.tuples(st.sampled_from(tuple(SCOPE_LETTERS)), st.integers(0, 99), TIMES, TIMES, TIMES),
    max_size=80,
)


def list_of(entries: list[tuple[str, int, int, int, int]]) -> Blocklist:
    """A blocklist with these records."""
    blocklist = Blocklist(KEY)
    for scope, number, *times in entries:
        blocklist.apply(record_key(KEY, scope, str(number)), Record(*times))
    return blocklist


def fill(blocklist: Blocklist, start: int, stop: int) -> set[bytes]:
    """Sessions until the end of time; their raw keys."""
    keys = [
        hashlib.sha256(number.to_bytes(8, "big")).digest()[:16] for number in range(start, stop)
    ]
    until = (2**63).to_bytes(8, "big")
    for _ in blocklist.load("s", b"".join(key + until for key in keys)):
        pass
    return set(keys)


def keys_of(blocklist: Blocklist) -> set[bytes]:
    """The raw keys of its sessions."""
    return {b[at : at + 16] for _, b in blocklist.pieces() for at in range(0, len(b), 24)}


def snapshot(blocklist: Blocklist) -> tuple[SnapshotHead, list[bytes]]:
    """Its head and parts."""
    tally, parts = Tally(), list(parts_of(blocklist))
    for part in parts:
        tally.add(part, Part.unpack(part).records)
    return tally.head("id", "epoch", 7), parts


def load(head: SnapshotHead, parts: list[bytes]) -> Blocklist:
    """Taken part by part and finished."""
    blocklist = Blocklist(KEY)
    loading = Loading(head, blocklist)
    for part in parts:
        for _ in loading.take(part):
            pass
    loading.finish()
    return blocklist


@given(ENTRIES)
def test_a_list_survives_its_snapshot(entries: list[tuple[str, int, int, int, int]]) -> None:
    """Every scope, every time, with and without a head; and the head survives its packing."""
    blocklist = list_of(entries)
    head, parts = snapshot(blocklist)

    assert SnapshotHead.unpack(head.pack()) == head
    assert dict(load(head, parts).records()) == dict(blocklist.records())
    merged = Blocklist(KEY)
    assert sum(load_part(part, merged) for part in parts) == head.records == len(blocklist)
    assert dict(merged.records()) == dict(blocklist.records())


def test_many_records_come_in_parts_that_fit_a_message() -> None:
    """None longer than half a megabyte, none nearly empty but the last."""
    blocklist = Blocklist(KEY)
    fill(blocklist, 0, 50_000)

    head, parts = snapshot(blocklist)

    assert [len(part) <= PART_BYTES for part in parts] == [True] * 3
    assert all(len(part) > PART_BYTES - 4096 for part in parts[:-1])
    assert len(load(head, parts)) == 50_000


def test_records_that_arrive_between_two_parts_take_nothing_away() -> None:
    """The list grows and splits while it is copied; what was there at the start is in the copy."""
    blocklist = Blocklist(KEY)
    known = fill(blocklist, 0, 45_000)
    copy = Blocklist(KEY)
    for number, part in enumerate(parts_of(blocklist), 1):
        load_part(part, copy)
        if number < 4:
            fill(blocklist, number * 45_000, number * 45_000 + 30_000)

    assert known <= keys_of(copy)


def test_a_snapshot_merged_into_a_newer_list_shortens_nothing() -> None:
    """Deltas go on while it is loaded; the greater of each time stays."""
    head, parts = snapshot(list_of([("subject", 1, 10, 5, 9)]))
    newer = list_of([("subject", 1, 12, 7, 2)])

    load_part(parts[0], newer)

    assert list(newer.records()) == [(record_key(KEY, "subject", "1"), Record(12, 7, 9))]
    assert head.records == 1


@pytest.mark.parametrize("spoil", ["lost", "twice", "swapped", "flipped"])
def test_parts_that_are_not_the_ones_the_head_means_are_refused(spoil: str) -> None:
    """Not one record fewer, not one bit another."""
    head, parts = snapshot(list_of([("session", 1, 5, 0, 0), ("token", 2, 5, 0, 0)]))
    flipped = parts[1][:-1] + bytes([parts[1][-1] ^ 1])
    spoilt = {
        "lost": parts[:1],
        "twice": [*parts, parts[0]],
        "swapped": parts[::-1],
        "flipped": [parts[0], flipped],
    }

    with pytest.raises(SnapshotError):
        load(head, spoilt[spoil])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"LWBL",
        b"XXXX" + struct.pack(">BcQI", 1, b"s", 0, 0),
        b"LWBL" + struct.pack(">BcQI", 2, b"s", 0, 0),
        b"LWBL" + struct.pack(">BcQI", 1, b"x", 0, 0),
        b"LWBL" + struct.pack(">BcQI", 1, b"\xff", 0, 0),
        b"LWBL" + struct.pack(">BcQI", 1, b"s", 1, 1) + bytes(23),
        b"LWBL" + struct.pack(">BcQI", 1, b"u", 1, 1) + bytes(24),
        b"LWBL" + struct.pack(">BcQI", 1, b"s", 0, 0) + b"\0",
        b"LWBL" + struct.pack(">BcQI", 1, b"s", 1, 2**32 - 1),
        bytes(PART_BYTES + 1),
    ],
)
def test_what_is_no_part_changes_nothing(body: bytes) -> None:
    """Another format, version, scope or length."""
    blocklist = Blocklist(KEY)

    with pytest.raises(SnapshotError):
        load_part(body, blocklist)
    assert len(blocklist) == 0


SHORT, (PART,) = snapshot(list_of([("session", 1, 5, 0, 0), ("session", 2, 6, 0, 0)]))


@given(st.binary(max_size=200) | damaged_bytes(PART) | damaged_bytes(SHORT.pack()))
@settings(max_examples=examples(300))
def test_no_other_bytes_are_the_list_that_was_meant(body: bytes) -> None:
    """Whatever they are, nothing else is raised; and a head that can be read packs to what can be read."""
    with suppress(SnapshotError):
        assert load(SHORT, [body]) is not None
        assert body == PART
    with suppress(SnapshotError):
        head = SnapshotHead.unpack(body)
        assert SnapshotHead.unpack(head.pack()) == head
    with suppress(SnapshotError):
        load_part(body, Blocklist(KEY))


def changed(**fields: object) -> bytes:
    """HEAD's JSON with other values."""
    return json.dumps({**json.loads(HEAD.pack()), **fields}).encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 2},
        {"id": "a.b"},
        {"id": ""},
        {"id": 7},
        {"epoch": None},
        {"watermark": -1},
        {"watermark": 1.0},
        {"watermark": True},
        {"watermark": 2**63},
        {"records": 2**40},
        {"bytes": 2 * PART_BYTES + 1},
        {"parts": 0},
        {"sha256": "0" * 63},
        {"sha256": "Z" * 64},
    ],
)
def test_a_head_with_impossible_values_is_refused(fields: dict[str, object]) -> None:
    """Wildcards in the id, sizes that do not fit, other types."""
    with pytest.raises(SnapshotError):
        SnapshotHead.unpack(changed(**fields))


def test_a_head_may_say_more_than_is_understood() -> None:
    """Fields of a later version are ignored; missing ones are not."""
    assert SnapshotHead.unpack(changed(at=1)) == HEAD
    for name in dataclasses.asdict(HEAD):
        body = {k: v for k, v in json.loads(HEAD.pack()).items() if k != name}
        with pytest.raises(SnapshotError):
            SnapshotHead.unpack(json.dumps(body).encode())


def test_the_documented_bytes_of_a_part() -> None:
    """docs/contract.md: other languages write and read these."""
    blocklist = list_of([("session", 1, 5, 0, 0)])

    (part,) = parts_of(blocklist)

    key = next(blob[:16] for _, blob in blocklist.pieces())
    assert part == b"LWBL\x01s" + struct.pack(">QI", 1, 1) + key + struct.pack(">Q", 5)
