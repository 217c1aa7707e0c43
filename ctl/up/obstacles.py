"""What keeps ``up`` from starting: another one that has the state directory, and ports that are taken."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from ctl.up import ports
from ctl.up.layout import Layout
from ctl.up.options import Options


class CannotStartError(Exception):
    """Something stands in the way; the message is what to print, with the cure."""


@contextmanager
def alone(layout: Layout) -> Iterator[Layout]:
    """Hold the state directory; two at once would write into the same stores.

    Raises:
        CannotStartError: another `up` holds it.
    """
    layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (layout.root / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotStartError(_already_running(layout, lock)) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield layout


def _already_running(layout: Layout, lock: TextIO) -> str:
    lock.seek(0)
    pid = lock.read().strip() or "?"
    return f"Latchwire is already running from {layout.root} (process {pid}).\nEnd it, or use another --state."


def refuse_taken(options: Options, inside: Mapping[str, int], layout: Layout) -> None:
    """Every port that was asked for is free, those for parts (*inside*) too.

    Raises:
        CannotStartError: one is not; with each, how to take another one.
    """
    cures = {"demo": f"change the port of services.demo in {layout.services}"}
    asked = [
        ("front door", options.port, "make up PORT={free}"),
        ("mailbox", options.mail_port, "make up MAIL_PORT={free}"),
        *((n, port, cures.get(n, f"--inside {n}={{free}}")) for n, port in inside.items()),
    ]
    taken = [row for row in asked if not ports.is_free(row[1])]
    if taken:
        raise CannotStartError("\n".join(_cure(*row) for row in taken))


def _cure(name: str, port: int, cure: str) -> str:
    free = next((p for p in range(port + 1, min(port + 100, 65536)) if ports.is_free(p)), 0)
    how = cure.format(free=free)
    return f"Port {port} ({name}) is taken. End what uses it, or: {how}"
