"""Traefik's access log in JSON: where it is, its last lines, and each new one, in a person's words.

What `up` lets Traefik write has neither path nor host, no query, header or address: those are the client's own
words, and may hold a credential or name a person. Which service it was says the router. A log of yours that has
host and path is shown with them.
"""

import json
import re
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctl.installation import NoInstallationError, find_secrets
from ctl.output import one_line

POLL_SECONDS = 0.25
MAX_READ = 1 << 20
TOO_LONG = "a line of more than 1 MiB is left out"
MISSING = (
    "there is no access log: `up` writes one; elsewhere let Traefik write its own in JSON to a file and "
    "name that with --file, or read `docker compose logs traefik`"
)
# What of each request `up` keeps; everything else Traefik drops.
FIELDS = ("StartUTC", "RequestMethod", "DownstreamStatus", "Duration", "RouterName")
_ROUTER = re.compile(r"(?:service-)?(.+?)(?:-\d+)?@\w+", re.ASCII)


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


def access_log(state: Path | None, named: Path | None = None) -> Path:
    """The file that is *named*, or beside the secrets of the installation that `find_installation` would find.

    Raises:
        NoAccessLogError: there is no such file.
    """
    try:
        path = named or find_secrets(state).parent / "logs" / "access.log"
    except NoInstallationError as error:
        raise NoAccessLogError(str(error)) from None
    if not path.is_file():
        raise NoAccessLogError(MISSING)
    return path


def last_lines(path: Path, count: int, *, raw: bool) -> list[str]:
    """The last *count* requests; *raw*: as Traefik wrote them."""
    with path.open("r", encoding="utf-8", errors="replace") as file:
        return [_told(line, raw=raw) for line in deque(file, maxlen=count)]


class Tail:
    """What is written to *path* from now on, but for lines of more than `MAX_READ` bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read, self._inode = path.stat().st_size, path.stat().st_ino
        self._in_long_line = False

    def more(self, *, raw: bool) -> list[str]:
        """The requests since the last time; another file in its place is read from its start."""
        now = self._path.stat() if self._path.is_file() else None
        if now is not None and (now.st_ino != self._inode or now.st_size < self._read):
            self._read, self._inode, self._in_long_line = 0, now.st_ino, False
        *lines, half = _from(self._path, self._read).split(b"\n")
        if not lines and len(half) == MAX_READ:
            told = [] if raw or self._in_long_line else [TOO_LONG]
            self._read, self._in_long_line = self._read + MAX_READ, True
            return told
        self._read += sum(len(line) + 1 for line in lines)  # what is not whole is read again
        if lines and self._in_long_line:
            del lines[0]
            self._in_long_line = False
        return [_told(line.decode("utf-8", "replace"), raw=raw) for line in lines]


def follow(path: Path, *, raw: bool) -> Iterator[str]:
    """Each request from now on, without end."""
    tail = Tail(path)
    while True:
        yield from tail.more(raw=raw)
        time.sleep(POLL_SECONDS)


def _from(path: Path, start: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(MAX_READ)
    except FileNotFoundError:
        return b""  # between two files


def _told(line: str, *, raw: bool) -> str:
    """``2025-11-23T12:00:00Z dashboard GET 200 45ms``; what is no JSON as it is."""
    text = one_line(line.rstrip("\n"))
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):  # nested deeper than is read
        return text
    if raw or not isinstance(entry, dict):
        return text
    started = str(entry.get("StartUTC", "-")).partition(".")[0].removesuffix("Z") + "Z"
    asked = [entry.get("RequestMethod"), entry.get("RequestPath"), entry.get("DownstreamStatus")]
    said = [str(word) for word in asked if word is not None]
    return one_line(" ".join([started, _place(entry), *said, _milliseconds(entry)]))


def _place(entry: dict[str, Any]) -> str:
    """The host, where the log has it, else the service; ``-`` for what no route was found for."""
    router = _ROUTER.fullmatch(str(entry.get("RouterName", "")))
    return str(entry.get("RequestHost") or (router[1] if router else "-"))


def _milliseconds(entry: dict[str, Any]) -> str:
    """Traefik counts nanoseconds."""
    duration = entry.get("Duration")
    return f"{duration / 1_000_000:.0f}ms" if isinstance(duration, int) else "-"
