"""A disk of a few megabytes for one server, which a test can fill: a tmpfs in a mount namespace of its own.

Linux only, and only where a user may make namespaces; elsewhere the test is skipped, and that is said.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest


@dataclass
class SmallDisk:
    """*inside* is its path for a command run by `command`, *outside* the same directory for the test."""

    inside: Path
    outside: Path
    _holder: int

    def command(self, *words: str) -> list[str]:
        """*words* as a command that sees the disk."""
        enter = ["nsenter", "-t", str(self._holder), "-U", "-m", "--preserve-credentials", "--"]
        return [*enter, *words]

    def fill(self) -> None:
        """Leave nothing free; what has begun a page of its file can still fill that."""
        with (self.outside / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(64 * 1024))

    def clear(self) -> None:
        """Make room again."""
        (self.outside / "ballast").unlink()


def _skip(reason: str) -> NoReturn:
    # Also in CI: who runs it may not be allowed to make a namespace, and no package cures that.
    missing = f"MISSING: {reason}. What a full disk does is not tested."
    print(f"\n{missing}", file=sys.__stderr__)
    pytest.skip(missing)


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A disk at *directory*, which must exist."""
    script = (
        f"mount -t tmpfs -o size={megabytes}m tmpfs {directory} && echo ready && exec sleep 600"
    )
    if shutil.which("unshare") is None:
        _skip("unshare is not here")
    holder = subprocess.Popen(
        ["unshare", "-rm", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert holder.stdout is not None
    try:
        if holder.stdout.readline() != b"ready\n":
            _skip("no mount namespaces here")
        outside = Path(f"/proc/{holder.pid}/root{directory}")
        yield SmallDisk(directory, outside, holder.pid)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
