"""Traefik's access log in JSON: where it is, its last lines, and each new one, in a person's words.

What `up` lets Traefik write has no query, no header, no address: nothing in it is a credential or a person.
"""

import json
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctl.installation import STATE, NoInstallationError, find_installation
from ctl.output import one_line
from shared.settings import SettingsError, read_environment

NAME = "ACCESS_LOG"
POLL_SECONDS = 0.25
MAX_READ = 1 << 20
MISSING = (
    "there is no access log: `up` writes one; elsewhere let Traefik write its own in JSON to a file and "
    "name that in LATCHWIRE_ACCESS_LOG, or read `docker compose logs traefik`"
)
# What of each request is kept; everything else, queries and headers above all, Traefik drops.
FIELDS = (
    "StartUTC",
    "RequestHost",
    "RequestMethod",
    "RequestPath",
    "DownstreamStatus",
    "Duration",
    "RouterName",
)


class NoAccessLogError(Exception):
    """There is none to read; the message is the cure."""


def traefik_access_log(path: Path) -> dict[str, Any]:
    """The part of Traefik's static configuration that writes it to *path*."""
    return {
        "filePath": str(path),
        "format": "json",
        "fields": {
            "defaultMode": "drop",
            "names": dict.fromkeys(FIELDS, "keep"),
            "headers": {"defaultMode": "drop"},
            "queryParameters": {"defaultMode": "drop"},
        },
    }


def access_log(state: Path | None) -> Path:
    """Of the installation in *state*, the one the settings name, or what `up` runs here.

    Raises:
        NoAccessLogError: there is no such file.
    """
    try:
        named = None if state is not None else read_environment().get(NAME)
        if state is None and named is None:
            find_installation()
    except (SettingsError, NoInstallationError) as error:
        raise NoAccessLogError(str(error)) from None
    path = Path(named) if named else (state or STATE) / "logs" / "access.log"
    if not path.is_file():
        raise NoAccessLogError(MISSING)
    return path


def last_lines(path: Path, count: int, *, raw: bool) -> list[str]:
    """The last *count* requests; *raw*: as Traefik wrote them."""
    with path.open("r", encoding="utf-8", errors="replace") as file:
        return [_told(line, raw=raw) for line in deque(file, maxlen=count)]


def follow(path: Path, *, raw: bool) -> Iterator[str]:
    """Each request from now on, without end; where another file takes the place, it is read from its start."""
    read, inode = path.stat().st_size, path.stat().st_ino
    while True:
        now = path.stat() if path.is_file() else None
        if now is not None and (now.st_ino != inode or now.st_size < read):
            read, inode = 0, now.st_ino
        *lines, _half = _from(path, read).split(b"\n")  # what is not whole is read again
        read += sum(len(line) + 1 for line in lines)
        yield from (_told(line.decode("utf-8", "replace"), raw=raw) for line in lines)
        time.sleep(POLL_SECONDS)


def _from(path: Path, start: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(MAX_READ)
    except FileNotFoundError:
        return b""  # between two files


def _told(line: str, *, raw: bool) -> str:
    """``2025-11-23T12:00:00Z dashboard.example GET /api 200 45ms``; what is no JSON as it is."""
    text = one_line(line.rstrip("\n"))
    try:
        entry = json.loads(line)
    except ValueError:
        return text
    if raw or not isinstance(entry, dict):
        return text
    started = str(entry.get("StartUTC", "-")).partition(".")[0].removesuffix("Z") + "Z"
    words = [started, *(str(entry.get(name, "-")) for name in FIELDS[1:5]), _milliseconds(entry)]
    return one_line(" ".join(words))


def _milliseconds(entry: dict[str, Any]) -> str:
    """Traefik counts nanoseconds."""
    duration = entry.get("Duration")
    return f"{duration / 1_000_000:.0f}ms" if isinstance(duration, int) else "-"
