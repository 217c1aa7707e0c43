"""Auth as `python -m services.auth` makes it, or ("bare") an idle loop; it notes how late it comes.

Arguments: the file to write when it ends (JSON: ``[[monotonic seconds, late], …]``), and perhaps "bare".
"""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import uvloop

from services.auth.settings import AuthSettings
from services.auth.wiring import start
from shared.lifecycle import Runtime, run_worker

TICK = 0.005  # seconds


async def note_lag(path: Path, stopping: asyncio.Event) -> None:
    """Sleep, and note by how much it was longer, until *stopping*."""
    notes: list[tuple[float, float]] = []
    while not stopping.is_set():
        due = time.monotonic() + TICK
        await asyncio.sleep(TICK)
        now = time.monotonic()
        notes.append((now, now - due))
    path.write_text(json.dumps(notes))


async def start_measured(settings: AuthSettings, runtime: Runtime) -> None:
    """Auth's own start, with the notes beside it."""
    await start(settings, runtime)
    runtime.spawn("lag", note_lag(Path(sys.argv[1]), runtime.stopping))


async def run_bare() -> None:
    """Nothing but the notes."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await note_lag(Path(sys.argv[1]), stopping)


if __name__ == "__main__":
    if "bare" in sys.argv[2:]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_bare())
    else:
        run_worker("auth", AuthSettings, start_measured)
