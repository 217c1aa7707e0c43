"""``./latchwire …`` as a process, with nothing but chosen variables in its environment."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

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
        """Run to the end."""
        async with self.process(*arguments) as process:
            out, err = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return Answer(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def process(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run beside the test."""
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
