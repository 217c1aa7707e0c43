"""A copy of the blocklist in a few dozen messages, so that a reader need not read the whole stream.

A snapshot is a head (JSON, subject ``snapshot.head``) and its parts (binary, ``snapshot.<id>.<n>`` from 0 on).
It holds everything BLOCKLIST held up to the head's watermark; who has loaded it reads on from there. The
format is written in docs/contract.md.

The sum shows that the parts are the ones the head means, whole and in order. A snapshot that is not what it
says is not used at all: the stream itself is always there to be read.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from struct import Struct
from typing import Any, Final, TypeAlias

from latchwire.blocklist import Blocklist, entry_bytes
from latchwire.records import SCOPE_NAMES

PART_BYTES: Final = 512 * 1024  # a part is never longer
VERSION: Final = 1
_MAGIC: Final = b"LWBL"
# Magic, version, the scope's letter, about how many entries of it all parts hold, how many this one holds.
_FRONT: Final = Struct(">4sBcQI")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SUM: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LARGEST: Final = 2**63
Body: TypeAlias = bytes | bytearray
Packed: TypeAlias = bytes  # in a class that has a field of that name


class SnapshotError(Exception):
    """Not a snapshot this version can use."""


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    """What ``snapshot.head`` says: a copy of which *epoch*, up to which sequence, its *watermark*.

    It consists of *records* entries in *parts* parts of *bytes* together, whose *sha256* (lower-case hex) is
    that of all of them one after the other.
    """

    id: str
    epoch: str
    watermark: int
    parts: int
    records: int
    bytes: int
    sha256: str

    def pack(self) -> Packed:
        """As JSON."""
        return json.dumps({"version": VERSION, **asdict(self)}).encode("ascii")

    @classmethod
    def unpack(cls, body: Body) -> "SnapshotHead":
        """The head in *body*.

        Raises:
            SnapshotError: it is none, or one of another version.
        """
        try:
            return cls._checked(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SnapshotError("not a snapshot's head") from error

    @classmethod
    def _checked(cls, found: dict[str, Any]) -> "SnapshotHead":
        if found["version"] != VERSION:
            raise SnapshotError(f"a snapshot of version {found['version']!r}")
        head = cls(**{name: found[name] for name in cls.__slots__})
        texts = (head.id, head.epoch, head.sha256)
        numbers = (head.watermark, head.parts, head.records, head.bytes)
        sound = all(type(text) is str for text in texts) and all(
            type(number) is int and 0 <= number < _LARGEST for number in numbers
        )
        if not sound or not _ID.fullmatch(head.id) or not _SUM.fullmatch(head.sha256):
            raise SnapshotError("a snapshot's head with impossible values")
        if head.bytes > head.parts * PART_BYTES or head.records * entry_bytes("j") > head.bytes:
            raise SnapshotError("a snapshot's head whose sizes do not fit")
        return head


class Tally:
    """Counts and sums parts in their order: for the head when writing, against it when reading."""

    def __init__(self) -> None:
        self.parts = self.records = self.bytes = 0
        self._sum = hashlib.sha256()

    def add(self, part: Body, records: int) -> None:
        """The next *part*, with so many *records*."""
        self.parts += 1
        self.records += records
        self.bytes += len(part)
        self._sum.update(part)

    def head(self, id_: str, epoch: str, watermark: int) -> SnapshotHead:
        """The head of the parts so far."""
        digest = self._sum.hexdigest()
        return SnapshotHead(
            id_, epoch, watermark, self.parts, self.records, self.bytes, sha256=digest
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has been looked at: packed *entries* of one scope; *total* of that scope in all parts."""

    letter: str
    total: int
    records: int
    entries: bytes

    @classmethod
    def unpack(cls, body: Body) -> "Part":
        """The part in *body*.

        Raises:
            SnapshotError: another format, version or scope, or not as long as it says.
        """
        if not _FRONT.size <= len(body) <= PART_BYTES:
            raise SnapshotError(f"{len(body)} bytes are no part of a snapshot")
        magic, version, scope, total, records = _FRONT.unpack_from(body)
        letter = scope.decode("latin-1")
        if magic != _MAGIC or version != VERSION or letter not in SCOPE_NAMES:
            raise SnapshotError("a part of another format, version or scope")
        if len(body) != _FRONT.size + records * entry_bytes(letter):
            raise SnapshotError("a part that is not as long as it says")
        return cls(letter, total, records, bytes(body[_FRONT.size :]))


class Loading:
    """Loads the parts of *head* one after the other *into* a list that nobody checks against yet."""

    def __init__(self, head: SnapshotHead, into: Blocklist) -> None:
        self._head = head
        self._into = into
        self._tally = Tally()

    def take(self, body: bytes) -> Iterator[int]:
        """Merge the next part, some entries for each step; between steps the loop may do other things.

        Raises:
            SnapshotError: it is none.
        """
        part = Part.unpack(body)
        self._tally.add(body, part.records)
        return self._merge(part)

    def _merge(self, part: Part) -> Iterator[int]:
        if part.total <= self._head.records:
            for _ in self._into.reserve(part.letter, part.total):
                yield 0
        yield from self._into.load(part.letter, part.entries)

    def finish(self) -> None:
        """All parts are in.

        Raises:
            SnapshotError: they are not those the head means; what was loaded must not be used.
        """
        head = self._head
        if self._tally.head(head.id, head.epoch, head.watermark) != head:
            raise SnapshotError("the parts are not the ones the head means")


def parts_of(blocklist: Blocklist) -> Iterator[bytes]:
    """*blocklist* in parts, of one scope each. It may change between two steps.

    What is in it all along is in a part, some of it perhaps in two: records merge. So a snapshot is complete
    up to where the list was complete when the first part was asked for.
    """
    waiting, letter = bytearray(), ""
    for scope, entries in blocklist.pieces():
        if waiting and (scope != letter or _FRONT.size + len(waiting) + len(entries) > PART_BYTES):
            yield _pack(blocklist, letter, waiting)
            waiting = bytearray()
        letter = scope
        waiting += entries
    if waiting:
        yield _pack(blocklist, letter, waiting)


def load_part(body: Body, blocklist: Blocklist) -> int:
    """Merge one part into *blocklist*; how many entries it has. About 20 ms for a full one.

    Raises:
        SnapshotError: it is none; nothing was merged then.
    """
    part = Part.unpack(body)
    for _ in blocklist.load(part.letter, part.entries):
        pass
    return part.records


def _pack(blocklist: Blocklist, letter: str, entries: bytearray) -> bytes:
    count = len(entries) // entry_bytes(letter)
    total = max(count, blocklist.count(letter))
    return _FRONT.pack(_MAGIC, VERSION, letter.encode("ascii"), total, count) + entries
