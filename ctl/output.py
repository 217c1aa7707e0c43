"""What a command prints: its answer on standard output, everything else on standard error; times in UTC."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from shared.messages.base import MAX_TIME_MS

READER_GONE = 141  # what a shell calls a program that SIGPIPE ended: 128 + 13


def say(text: str) -> None:
    """A line of the answer. Nobody may be there to read more of it, as behind ``| head``: then it is the end.

    Raises:
        SystemExit: that end.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        leave_quietly()


def leave_quietly() -> NoReturn:
    """End without a word about a closed pipe: what is still to be written goes nowhere.

    Raises:
        SystemExit: always.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    raise SystemExit(READER_GONE)


def say_json(value: Any) -> None:
    """The answer as one line of JSON."""
    say(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def complain(text: str) -> None:
    """A line beside the answer."""
    print(text, file=sys.stderr, flush=True)


def table(rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as they need to be; the first row is the heading."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def _utc(ms: int) -> datetime:
    """Of any number: one that others said is no reason to stop. Beyond 2100 it is 2100."""
    return datetime.fromtimestamp(min(max(ms, 0), MAX_TIME_MS) / 1000, UTC)


def clock_time(ms: int) -> str:
    """``14:02:03Z``."""
    return _utc(ms).strftime("%H:%M:%SZ")


def clock_time_in_words(ms: int) -> str:
    """``14:02:03 UTC``."""
    return _utc(ms).strftime("%H:%M:%S UTC")


def counted(number: int, noun: str) -> str:
    """``1 line``, ``2,000 lines``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def date_time(ms: int) -> str:
    """``2026-11-22T14:02:03Z``."""
    return _utc(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def masked(text: str) -> str:
    """An address with all but the first letter of its local part hidden; other text as it is."""
    local, at, domain = text.rpartition("@")
    return f"{local[:1]}…@{domain}" if at and local else text


def one_line(text: str) -> str:
    """*text* without anything a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
