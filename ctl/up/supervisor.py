"""Up in waves, down in the reverse order; when one part dies, all end."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from ctl.up import probes, process
from ctl.up.plan import Part
from shared.clock import Clock

READY_WITHIN = 60.0  # seconds for one part
LAST_LINES = 15


class PartError(Exception):
    """A part did not come up, or ended by itself: its name, what happened, its last log lines."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        self.name = name
        self.log = log
        lines = [f"  | {line}" for line in process.last_lines(log, LAST_LINES)]
        super().__init__("\n".join([f"{name} {what}; the end of {log}:", *lines]))


class Supervisor:
    """Starts parts and watches them in *group*, which fails with a `PartError` when one ends by itself.

    *say* gets one line for each part that is ready.
    """

    def __init__(self, group: asyncio.TaskGroup, clock: Clock, say: Callable[[str], None]) -> None:
        self._group = group
        self._clock = clock
        self._say = say
        self._running: dict[str, asyncio.subprocess.Process] = {}

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each part that was started."""
        return {name: running.pid for name, running in self._running.items()}

    async def start(self, parts: tuple[Part, ...]) -> None:
        """Start *parts* together and return when all are ready.

        Raises:
            ExceptionGroup: of `PartError`, for those not ready in time.
        """
        async with asyncio.TaskGroup() as starting:
            for part in parts:
                starting.create_task(self._start(part))

    async def stop(self, parts: tuple[Part, ...]) -> None:
        """End *parts* together, those that were started."""
        async with asyncio.TaskGroup() as stopping:
            for part in parts:
                if part.name in self._running:
                    stopping.create_task(self._stop(part))

    async def _start(self, part: Part) -> None:
        began = self._clock.monotonic()
        running = await process.start(part.program)
        self._running[part.name] = running
        self._group.create_task(self._watch(part, running))
        if reason := await probes.until_ready(part.probe, READY_WITHIN):
            what = f"is not ready after {READY_WITHIN:g} s ({reason})"
            raise PartError(part.name, what, part.program.log)
        took = self._clock.monotonic() - began
        self._say(f"  {part.name:<11} ready {took:6.2f} s   {part.address}")

    async def _watch(self, part: Part, running: asyncio.subprocess.Process) -> None:
        code = await running.wait()
        raise PartError(part.name, _how_it_ended(code), part.program.log)

    async def _stop(self, part: Part) -> None:
        if not await process.stop(self._running[part.name], part.stop_within):
            self._say(f"  {part.name} did not end within {part.stop_within:g} s and was killed")


def _how_it_ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
