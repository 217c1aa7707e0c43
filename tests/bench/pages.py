"""What measured processes note down: pages of memory shared with the bench; noting costs no system call.

A page is a count and, behind it, rows of a tag and the time of CLOCK_MONOTONIC, which all processes of one
machine share. The process under measurement only writes, the bench reads when the round is over.
"""

import mmap
import struct
import time
from pathlib import Path

ROWS = 200_000
_COUNT = struct.Struct("<q")
_ROW = struct.Struct("<32sq")


class Page:
    """One process's notes in the file *path*, which is made when it is not there; *rows* at most."""

    def __init__(self, path: Path, rows: int = ROWS) -> None:
        size = _COUNT.size + rows * _ROW.size
        if not path.exists():
            with path.open("wb") as made:
                made.truncate(size)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self._rows, self._count = rows, 0

    def note(self, tag: bytes) -> None:
        """*tag* (at most 32 bytes) happened now. A full page takes no more."""
        if self._count == self._rows:
            return
        at = _COUNT.size + self._count * _ROW.size
        _ROW.pack_into(self._map, at, tag, time.monotonic_ns())
        self._count += 1
        _COUNT.pack_into(self._map, 0, self._count)

    def __len__(self) -> int:
        """How many rows there are, whoever wrote them."""
        count: int = _COUNT.unpack_from(self._map, 0)[0]
        return count

    def rows(self) -> list[tuple[bytes, int]]:
        """All notes in their order: tag and nanoseconds."""
        written = self._map[_COUNT.size : _COUNT.size + len(self) * _ROW.size]
        return [(tag.rstrip(b"\0"), at) for tag, at in _ROW.iter_unpack(written)]

    def read(self) -> dict[bytes, int]:
        """The first time of each tag, in nanoseconds."""
        found: dict[bytes, int] = {}
        for tag, at in self.rows():
            found.setdefault(tag, at)
        return found
