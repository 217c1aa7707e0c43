"""The secrets directory as this machine's other users see it."""

import stat
from collections.abc import Iterator
from pathlib import Path

from ctl.doctor.findings import Finding

OTHERS = stat.S_IRWXG | stat.S_IRWXO
SECRET = ("*.pem", "*.key", "*.seed", "*.password")


def secret_files(directory: Path) -> list[Path]:
    """All that must be read by its owner alone."""
    return sorted(path for pattern in SECRET for path in directory.rglob(pattern))


def judge_files(directory: Path) -> Iterator[Finding]:
    """Those that others can read."""
    for path in secret_files(directory):
        if path.stat().st_mode & OTHERS:
            where = str(path.relative_to(directory))
            yield Finding("files.readable", where, f"mode {path.stat().st_mode & 0o777:04o}")
