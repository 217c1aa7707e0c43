"""One process: started so that it cannot outlive us, ended by signal and, where that is not heard, by force."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may be imported.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Program:
    """What to run: *argv*, a whole environment, a working directory, and the file its output goes to."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path


async def start(program: Program) -> asyncio.subprocess.Process:
    """Start *program* in a session of its own, so that Ctrl-C reaches us alone and we decide the order.

    On Linux the kernel kills it when we die, even by kill -9.

    Raises:
        OSError: it cannot be started.
    """
    with program.log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *program.argv,
            env=dict(program.env),
            cwd=program.cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with_parent(os.getpid()) if _LIBC else None,
        )


async def stop(process: asyncio.subprocess.Process, within: float) -> bool:
    """End *process*: SIGTERM, then after *within* seconds SIGKILL. Whether the first was enough."""
    if process.returncode is not None:
        return True
    _send(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(within):
            await process.wait()
    except TimeoutError:
        _send(process, signal.SIGKILL)
        await process.wait()
        return False
    return True


def last_lines(path: Path, count: int) -> list[str]:
    """The last *count* lines of a log file; none when there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 200 * count))
            return file.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _die_with_parent(parent: int) -> Callable[[], None]:
    def arrange() -> None:
        assert _LIBC is not None
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died between the fork and the line above
            os._exit(1)

    return arrange
