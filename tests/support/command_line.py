"""``./latchwire …`` as a process, with nothing but chosen variables in its environment."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.command_forks import Command, run_forked
from tests.support.servers import ROOT


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        """Its one line of JSON."""
        parsed: dict[str, object] = json.loads(self.out)
        return parsed


@dataclass(frozen=True)
class CommandLine:
    """``./latchwire …`` in an empty folder, with nothing but *variables* in its environment."""

    variables: dict[str, str]
    folder: Path

    async def run(self, *arguments: str, stdin: str = "") -> Answer:
        """Run to the end, in a process that is forked."""
        with tempfile.TemporaryDirectory(prefix="latchwire-command-") as directory:
            files = [Path(directory, name) for name in ("in", "out", "err")]
            files[0].write_text(stdin)
            streams, folder = [str(file) for file in files], str(self.folder)
            code = await run_forked(Command([*arguments], self.variables, folder, streams))
            return Answer(code, files[1].read_text(), files[2].read_text())

    @asynccontextmanager
    async def process(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run beside the test, started as people do."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            str(ROOT / "latchwire"),
            *arguments,
            cwd=self.folder,
            env=self.variables,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
