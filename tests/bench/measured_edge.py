"""An edge as `python -m services.edge` makes it, which notes when each record is in force.

It also hears a bare core subject over a second connection of its own, in the same loop, and notes that: what
both are compared in is then one process under one load. Arguments: the page's path, the server for the bare
subject, and "lag" to note the loop's longest stalls instead of both.
"""

import asyncio
import sys
import time
from pathlib import Path

import nats
from nats.aio.msg import Msg

from latchwire.feed import RevocationFeed
from latchwire.records import Record
from services.edge.settings import EdgeSettings
from services.edge.wiring import start
from shared.lifecycle import Runtime, run_worker
from tests.bench.pages import Page

BARE = "bare.revocation"
STALL = b"stall"
TICK = 0.001  # seconds
NOTED = 0.001  # seconds late at least


async def start_measured(settings: EdgeSettings, runtime: Runtime) -> None:
    """The edge's own start, with a page beside it."""
    page = Page(Path(sys.argv[1]))

    def watch(feed: RevocationFeed) -> None:
        def applied(key: str, _record: Record) -> None:
            page.note(key.encode())

        feed.on_applied.append(applied)

    async def heard(message: Msg) -> None:
        page.note(message.data)

    if "lag" in sys.argv[3:]:
        await start(settings, runtime)
        runtime.spawn("lag", _note_stalls(page, runtime.stopping), drains=False)
        return
    await start(settings, runtime, watch=watch)
    bare = await nats.connect(sys.argv[2], user="bare", password="bare")
    await bare.subscribe(BARE, cb=heard)


async def _note_stalls(page: Page, stopping: asyncio.Event) -> None:
    """Note ``stall <late> <spent>`` (microseconds) whenever the loop came later than it should.

    *late* is by the clock, and may be another process's doing; *spent* is this one's processor time.
    """
    while not stopping.is_set():
        due, spent = time.monotonic() + TICK, time.process_time()
        await asyncio.sleep(TICK)
        late, spent = time.monotonic() - due, time.process_time() - spent
        if late > NOTED:
            page.note(b"%s %d %d" % (STALL, late * 1e6, spent * 1e6))


if __name__ == "__main__":
    run_worker("edge", EdgeSettings, start_measured)
