"""Checks at many edges at once, from a process of its own: as many as they take, or so many a second.

``python -m tests.bench.load RATE PORT...`` reads one request from standard input (until its end), asks until
SIGTERM and then prints how many were answered per second. RATE 0: as many as they take. Each answer has to
be a 200.
"""

import asyncio
import signal
import sys
import time
from collections import deque
from typing import Any

import uvloop

CONNECTIONS = 4  # per edge
TICK = 0.004  # seconds


class Asker(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.load.idle(self)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 200 OK\r\n"):
            raise SystemExit(f"unexpected answer {data[:200]!r}")
        self.load.answered += 1
        self.load.idle(self)


class Load:
    """The askers; *rate* per second, 0 for no bound."""

    def __init__(self, request: bytes, rate: float) -> None:
        self.request, self.rate = request, rate
        self.answered = 0
        self._idle: deque[Asker] = deque()

    def idle(self, asker: Asker) -> None:
        """It has nothing to do."""
        if self.rate:
            self._idle.append(asker)
        else:
            asker.transport.write(self.request)

    async def run(self, stopping: asyncio.Event) -> float:
        """Until *stopping*; answers per second."""
        began, asked = time.monotonic(), 0
        while not stopping.is_set():
            due = int((time.monotonic() - began) * self.rate)
            while asked < due and self._idle:
                self._idle.popleft().transport.write(self.request)
                asked += 1
            asked = max(
                asked, due - len(self._idle)
            )  # what could not be asked in time is not made up for
            await asyncio.sleep(TICK)
        return self.answered / (time.monotonic() - began)


async def main(rate: float, ports: list[int], request: bytes) -> None:
    """Ask."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    load = Load(request, rate)
    for _ in range(CONNECTIONS):
        for port in ports:
            await loop.create_connection(lambda: Asker(load), "127.0.0.1", port)
    print(f"{await load.run(stopping):.0f}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ports = [int(port) for port in sys.argv[2:]]
        runner.run(main(float(sys.argv[1]), ports, sys.stdin.buffer.read()))
