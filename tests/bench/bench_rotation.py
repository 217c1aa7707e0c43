"""Checks under way during ``latchwire keys rotate``: how many a second, and how many were refused.

Everything is a process of its own: nats-server, the revocation worker, two edges and the command as an operator
types it. Tokens of before and of this moment take turns, so each key is asked for before, during and after.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.bench_edge import HEAD
from tests.support.command_line import Answer, CommandLine
from tests.support.key_house import House, open_house
from tests.support.revocation import environment
from tests.support.servers import CREDENTIALS, make_nats, make_secrets

EDGES = 2
CONNECTIONS = 8  # per edge
OLD_TOKENS = 20
FRESH_SECONDS = 0.1  # auth signs a token so often
AROUND_SECONDS = 2.0  # checks go on so long before and after the command
RATE_GOAL = 1_000


def request_with(token: bytes) -> bytes:
    """One check as Traefik asks it."""
    return HEAD.encode() + b"Authorization: Bearer " + token + b"\r\n\r\n"


class Asker(asyncio.Protocol):
    """One connection: the next check when the last one is answered."""

    def __init__(self, drive: "Drive") -> None:
        self.drive = drive
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.drive.next())

    def data_received(self, data: bytes) -> None:
        self.drive.answers[data.partition(b"\r\n")[0].decode("latin-1")] += 1
        if self.drive.stopping.is_set():
            self.transport.close()
        else:
            self.transport.write(self.drive.next())

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.drive.stopping.is_set():
            self.drive.answers["connection lost"] += 1


class Drive:
    """The checks: *answers* by their status line."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.answers: Counter[str] = Counter()
        self.kids: set[str] = set()
        self.stopping = asyncio.Event()
        self._old = [request_with(house.signer.token()) for _ in range(OLD_TOKENS)]
        self._asked = 0
        self._sign()

    def next(self) -> bytes:
        """An old token and one of this moment in turn."""
        self._asked += 1
        return self._fresh if self._asked % 2 else self._old[self._asked // 2 % OLD_TOKENS]

    async def run(self) -> None:
        """Until stopped."""
        loop = asyncio.get_running_loop()
        for edge in self.house.edges * CONNECTIONS:
            await loop.create_connection(lambda: Asker(self), "127.0.0.1", edge.port)
        while not self.stopping.is_set():
            self._sign()
            await asyncio.sleep(FRESH_SECONDS)

    def _sign(self) -> None:
        self._fresh = request_with(self.house.signer.token())
        self.kids.add(self.house.signer.tokens.kid)


async def rotate(house: House, folder: Path, drive: Drive) -> Answer:
    """The command with checks before, during and after it."""
    await asyncio.sleep(AROUND_SECONDS)
    answer = await CommandLine(environment(house.nats), folder).run("keys", "rotate")
    await asyncio.sleep(AROUND_SECONDS)
    drive.stopping.set()
    return answer


def report(drive: Drive, answer: Answer, seconds: float) -> bool:
    """Print it; whether there was anything to measure."""
    total, allowed = drive.answers.total(), drive.answers["HTTP/1.1 200 OK"]
    rate, refused = total / seconds, total - allowed
    print(f"`keys rotate`: exit {answer.code}, signed with {len(drive.kids)} keys, {EDGES} edges")
    verdict = "met" if rate >= RATE_GOAL else "MISSED"
    print(
        f"  checks        {total} in {seconds:.1f} s, {rate:.0f}/s  goal: at least {RATE_GOAL}/s ({verdict})"
    )
    verdict = "met" if not refused else "MISSED"
    others = {line: count for line, count in drive.answers.items() if line != "HTTP/1.1 200 OK"}
    print(f"  refused       {refused} {others or ''}  goal: 0 ({verdict})", flush=True)
    if answer.code or len(drive.kids) != 2:
        print(answer.out + answer.err, file=sys.stderr)
    return not answer.code and len(drive.kids) == 2 and allowed > 0


async def main() -> int:
    """Measure once; the exit code says whether it could be measured."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        server = make_nats(directory / "nats", make_secrets(directory / "secrets", CREDENTIALS))
        (folder := directory / "folder").mkdir()
        try:
            server.start()
            await server.provision()
            async with open_house(server, directory, edges=EDGES) as house:
                drive, began = Drive(house), time.monotonic()
                async with asyncio.TaskGroup() as group:
                    group.create_task(drive.run())
                    answering = group.create_task(rotate(house, folder, drive))
                return 0 if report(drive, answering.result(), time.monotonic() - began) else 1
        finally:
            server.kill()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main()))
