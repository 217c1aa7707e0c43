"""``users import|export``: accounts as JSON lines (docs/import.md).

An import reads the file twice: every line is checked against the running system first, and nothing is written
while one has a problem; a note stops nothing. What is there already, just so, is passed over: an import that
was interrupted is begun again with the same file.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO

from ctl import exits
from ctl.accounts_words import refused
from ctl.arguments import Commands, add_command
from ctl.import_lines import Bad, Line, Reading
from ctl.output import complain, counted, one_line, say, say_json
from ctl.session import Session, operate
from shared.bus import NoAnswerError
from shared.contract import OP_USERS_EXPORT, OP_USERS_IMPORT
from shared.messages import ExportUsers, ImportProblem, ImportReport, ImportUsers
from shared.messages.people import IMPORT_BATCH

TRIES = 3  # of a batch whose answer was lost: what was written is known by then
PROGRESS_SECONDS = 2.0


def register(actions: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``users import`` and ``users export``."""
    bring = add_command(
        actions, "import", "accounts from a file of JSON lines: checks all, then writes"
    )
    bring.add_argument("file", type=Path)
    bring.add_argument("--check", action="store_true", help="write nothing")
    bring.set_defaults(run=run_import)
    take = add_command(actions, "export", "every account as JSON lines")
    take.add_argument("--out", type=Path, metavar="FILE", help="a new file that only you can read")
    take.add_argument("--password-hashes", action="store_true", help="with the hashes of passwords")
    take.set_defaults(run=run_export)


def run_import(arguments: argparse.Namespace) -> int:
    """0 written (or --check found nothing), 1 nothing written, 2 no such file, 3 written in part."""
    try:
        with arguments.file.open("rb") as file:
            work = partial(_import, file=file, check_only=arguments.check)
            return operate(arguments, work)
    except OSError as error:
        complain(f"{arguments.file}: {error.strerror}")
        return exits.USAGE


def run_export(arguments: argparse.Namespace) -> int:
    """0 when the last account is out; 1 when auth could not be heard to the end."""
    if arguments.password_hashes and not arguments.out and sys.stdout.isatty():
        complain("password hashes belong into a file: --out FILE")
        return exits.USAGE
    try:
        with _target(arguments.out) as out:
            return operate(arguments, partial(_export, out=out, hashes=arguments.password_hashes))
    except OSError as error:
        complain(f"{arguments.out}: {error.strerror}")
        return exits.USAGE


@dataclass
class Progress:
    """A line now and then on standard error; none when it is done soon."""

    session: Session
    word: str
    noun: str
    _next: float = 0.0

    def __post_init__(self) -> None:
        self._next = self.session.clock.monotonic() + PROGRESS_SECONDS

    def tell(self, count: int) -> None:
        """So many by now."""
        now = self.session.clock.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_SECONDS
            complain(f"{self.word} {counted(count, self.noun)}")


class _StoppedError(Exception):
    """Auth refuses altogether; *error* is its word."""

    def __init__(self, error: str) -> None:
        self.error = error
        super().__init__(error)


async def _import(session: Session, *, file: IO[bytes], check_only: bool) -> int:
    try:
        reading = Reading()
        lines, known, notes = await _check(session, file, reading)
    except _StoppedError as stopped:
        return refused(stopped.error)
    reading.bad.sort(key=lambda bad: bad.number)
    if reading.bad or check_only:
        return _checked(session, reading.bad, notes, lines, known)
    file.seek(0)
    return await _write(session, file)


async def _check(session: Session, file: IO[bytes], reading: Reading) -> tuple[int, int, list[Bad]]:
    """Ask about every line; how many there are, how many are there already, and notes.

    Raises: _StoppedError.
    """
    known = 0
    notes = list[Bad]()
    progress = Progress(session, "checked", "line")
    for batch in _batches(reading.lines(file)):
        report = await _send(session, batch, check=True)
        reading.bad += _told(batch, report.problems)
        notes += _told(batch, report.notes)
        known += report.known
        progress.tell(reading.seen)
    return reading.seen, known, notes


def _checked(session: Session, bad: list[Bad], notes: list[Bad], lines: int, known: int) -> int:
    if session.json:
        _say_counts(lines, known, 0, bad, notes)
    else:
        _say(sorted([*bad, *notes], key=lambda one: one.number))
    if bad:
        complain(f"nothing was written: {counted(len(bad), 'problem')} in {counted(lines, 'line')}")
        return exits.FAILED
    if not session.json:
        say(f"{counted(lines - known, 'account')} can be written, {known:,} are there already")
    return exits.DONE


async def _write(session: Session, file: IO[bytes]) -> int:
    written = known = 0
    notes = list[Bad]()
    progress, reading = Progress(session, "written", "line"), Reading()
    for batch in _batches(reading.lines(file)):
        try:
            report = await _send(session, batch, check=False)
            bad = [
                *reading.bad,
                *_told(batch, report.problems),
            ]  # the first: the file was changed meanwhile
        except (NoAnswerError, _StoppedError) as error:
            report, bad = ImportReport(), [Bad(batch[0].number, "not_written", str(error))]
        _say(bad)
        if bad:
            complain(
                f"stopped before line {batch[0].number}: {counted(written, 'account')} written; run it again"
            )
            return exits.PARTLY if written else exits.FAILED
        written, known = written + report.written, known + report.known
        notes += _told(batch, report.notes)
        progress.tell(written + known)
    if session.json:
        _say_counts(written + known, known, written, [], notes)
    else:
        _say(notes)
        say(f"{counted(written, 'account')} written, {known:,} were there already")
    return exits.DONE


async def _send(session: Session, batch: list[Line], *, check: bool) -> ImportReport:
    """Raises: NoAnswerError, _StoppedError."""
    request = ImportUsers(users=tuple(line.user for line in batch), check=check)
    for tried in range(1, TRIES + 1):
        try:
            report = await session.bus.ask(OP_USERS_IMPORT, request, timeout=session.timeout)
        except NoAnswerError:
            if tried == TRIES:
                raise
            continue
        if report.error == "changed_meanwhile" and tried < TRIES:
            continue
        if report.error:
            raise _StoppedError(report.error)
        return report
    raise AssertionError("the last try returns or raises")


def _told(batch: list[Line], problems: Iterable[ImportProblem]) -> list[Bad]:
    return [Bad(batch[p.index].number, p.code, p.detail) for p in problems]


def _say(lines: Iterable[Bad]) -> None:
    for one in lines:
        say(one_line(f"line {one.number}: {one.code}: {one.detail}"))


def _say_counts(lines: int, known: int, written: int, bad: list[Bad], notes: list[Bad]) -> None:
    counts = {"lines": lines, "known": known, "written": written}
    say_json({**counts, "problems": list(map(vars, bad)), "notes": list(map(vars, notes))})


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while batch := list(islice(lines, IMPORT_BATCH)):
        yield batch


async def _export(session: Session, *, out: IO[str], hashes: bool) -> int:
    after, count = "", 0
    progress = Progress(session, "exported", "account")
    while True:
        request = ExportUsers(after=after, hashes=hashes)
        page = await session.bus.ask(OP_USERS_EXPORT, request, timeout=session.timeout)
        if page.error:
            return refused(page.error)
        for user in page.users:
            out.write(user.model_dump_json(exclude_defaults=True) + "\n")
        count, after = count + len(page.users), page.next
        progress.tell(count)
        if not after:
            out.flush()
            complain(f"exported {counted(count, 'account')}")
            return exits.DONE


@contextmanager
def _target(path: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a new file that nobody else can read. Raises: OSError."""
    if path is None:
        yield sys.stdout
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yield file
