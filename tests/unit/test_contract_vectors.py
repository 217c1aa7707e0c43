"""docs/contract-vectors.json is what the SDK does, and a reader in another language agrees with it."""

import json
import subprocess
from dataclasses import astuple
from pathlib import Path

import pytest

from latchwire import Blocklist, Record, RecordError
from latchwire.snapshots import Loading, SnapshotError, SnapshotHead
from tests.support.node import node_or_skip
from tests.support.vectors import FILE, KEY, UNREADABLE, make_vectors

NODE = node_or_skip()
CASES = Path(__file__).with_name("contract_vectors.test.mjs")
READER = FILE.parents[1] / "examples" / "node_reader" / "reader.mjs"


def test_the_vectors_are_what_the_sdk_does() -> None:
    """Whoever changes the contract changes this file, and sees that others must follow."""
    assert json.loads(FILE.read_text("ascii")) == make_vectors()


def test_the_snapshot_that_was_packed_by_hand_is_read() -> None:
    """Head, parts and sum; and a changed byte is noticed."""
    vector = make_vectors()["snapshot"]
    head = SnapshotHead.unpack(json.dumps(vector["head"]).encode())
    parts = [bytes.fromhex(part) for part in vector["parts"]]

    loaded = load(head, parts)

    assert vector["records"].keys() == loaded.keys()
    for key, times in vector["records"].items():
        assert list(times.values()) == [*astuple(loaded[key])]
    with pytest.raises(SnapshotError):
        load(head, [parts[0][:-1] + b"\x00", *parts[1:]])


def load(head: SnapshotHead, parts: list[bytes]) -> dict[str, Record]:
    """What a reader has after these parts."""
    blocklist = Blocklist(KEY)
    loading = Loading(head, blocklist)
    for part in parts:
        list(loading.take(part))
    loading.finish()
    return dict(blocklist.records())


@pytest.mark.parametrize("packed", UNREADABLE)
def test_what_another_version_writes_is_not_read_as_something_else(packed: str) -> None:
    """Refused, not guessed."""
    with pytest.raises(RecordError):
        Record.unpack(bytes.fromhex(packed))


def test_a_reader_in_another_language_agrees_with_every_vector() -> None:
    """examples/node_reader in Node, the one that Playwright brings along; it stays an example."""

    done = subprocess.run(
        [NODE, "--test", CASES], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for reader in (READER, READER.with_name("assertion.mjs")):
        assert len(reader.read_text().splitlines()) <= 80


def test_the_vectors_of_assertions_tell_both_sides() -> None:
    """Each row has a name of its own; what is refused says nothing else, what is believed says who calls."""
    rows = make_vectors()["assertions"]["cases"]
    good = [row for row in rows if row["refused"] is None]

    assert len({row["case"] for row in rows}) == len(rows) > 50
    assert [row["sub"] for row in good].count("ada@example.com") == 6
    assert {row["refused"] for row in rows} == {None, "token_invalid", "token_expired"}
