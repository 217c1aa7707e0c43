"""Real servers for tests: nats-server with the contract's permissions, and redis-server."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, islice
from pathlib import Path

from shared.bus import Bus, connect_bus
from shared.bus.permissions import render_accounts, role_of
from shared.bus.streams import apply_streams
from shared.clock import SystemClock
from shared.contract import Role
from shared.ids import SystemIds
from shared.secrets import create_secrets, load_seed, public_key
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
CREDENTIALS = (
    "auth",
    "mailer",
    "revocation",
    "edge-1",
    "edge-2",
    "operator",
    "provisioner",
    "service-shop",
)
START_DEADLINE = 60.0  # seconds; a busy machine starts ten processes at once
END_DEADLINE = 30.0  # seconds; who is killed for being slow has no exit code to look at
LOOK_SECONDS = 0.005  # between two looks: the processor is for what is starting
BLOCK = (
    512  # ports of one process that runs tests: one that was used rests for a minute (TIME_WAIT)
)
GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")  # to who asks for any; usually from 32768 on


def free_port() -> int:
    """A port nobody uses now, and nobody else is told of before our server has it."""
    ports = _own_ports()
    for port in islice(ports, BLOCK):
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"all of the {BLOCK} ports of this process are in use")


@cache
def _own_ports() -> Iterator[int]:
    """A block of ports, round and round: the system gives them to nobody, other test processes have others.

    A port that the system calls free may be somebody else's once our server has started up. Then that one
    answers in our server's place: the test goes on with a server that has ended.
    """
    for first in _blocks():
        guard = socket.socket()
        try:
            guard.bind(("127.0.0.1", first))
        except OSError:
            guard.close()
            continue
        guard.detach()  # stays bound for as long as this process lives: the block is ours
        return cycle(range(first + 1, first + BLOCK))
    raise RuntimeError("every block of ports is taken")


def _blocks() -> list[int]:
    """Where each block begins; those that the system gives away come last."""
    try:
        low = min(32_768, int(GIVEN.read_text().split()[0]))
    except (OSError, ValueError):
        low = 32_768
    quiet = range(16_384, low - BLOCK + 1, BLOCK)
    lower = range(8_192, min(low, 16_384) - BLOCK + 1, BLOCK)
    return [*quiet, *lower, *(first for first in range(16_384, 32_768, BLOCK) if first >= low)]


def binary(*names: str) -> str:
    """The first of *names* beside this interpreter (the wheels put them there) or on the PATH."""
    beside = Path(sys.executable).parent
    for name in names:
        if (beside / name).exists():
            return str(beside / name)
        if found := shutil.which(name):
            return found
    raise FileNotFoundError(names)


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when something accepts on *port*."""
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"ended with {process.returncode}")
        if accepts(port):
            return
        time.sleep(LOOK_SECONDS)
    raise TimeoutError(port)


def accepts(port: int) -> bool:
    """Whether somebody listens on *port*."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


@dataclass
class Server:
    """A server process that can be killed and started again on the same port and data."""

    command: list[str]
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start and wait until it accepts."""
        if accepts(self.port):
            raise RuntimeError(f"somebody else listens on {self.port}")
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )
        try:
            wait_for_port(self.port, self.process)
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {self.log.read_text()[-2000:]}") from error

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """An orderly end."""
        self._end(signal.SIGTERM)

    def resident_bytes(self) -> int:
        """How much memory the process has."""
        assert self.process is not None
        words = ["ps", "-o", "rss=", "-p", str(self.process.pid)]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout) * 1024

    async def restart(self) -> None:
        """kill -9, and started again as a supervisor would, without holding up the event loop."""
        self.kill()
        await start_in_thread(self)

    def signal(self, number: int) -> None:
        """Send any signal (SIGSTOP, SIGCONT)."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def _end(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(END_DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(END_DEADLINE)


@dataclass
class NatsServer(Server):
    """nats-server with accounts rendered from the contract."""

    secrets_dir: Path = field(default_factory=Path)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def seed(self, name: str) -> str:
        """The nkey seed of a credential."""
        return load_seed(self.secrets_dir, name)

    @asynccontextmanager
    async def connect(self, name: str) -> AsyncIterator[Bus]:
        """A bus as credential *name*."""
        async with connect_bus(
            url=self.url,
            role=role_of(name),
            name=name,
            seed=self.seed(name),
            clock=SystemClock(),
            ids=SystemIds(),
        ) as bus:
            yield bus

    async def provision(self) -> None:
        """Apply the streams; once more where a busy disk let a request run out."""
        async with self.connect(Role.PROVISIONER.value) as bus:

            async def applied() -> bool:
                try:
                    await apply_streams(bus, SystemIds())
                except TimeoutError:
                    return False
                return True

            await eventually(applied, within=START_DEADLINE)


@dataclass
class RedisServer(Server):
    """redis-server with the durability the product runs with."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


def make_nats(
    directory: Path, secrets_dir: Path, credentials: tuple[str, ...] = CREDENTIALS
) -> NatsServer:
    """A nats-server (not started) whose data and configuration live in *directory*."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = directory / "nats-server.conf"
    config.write_text((ROOT / "nats" / "nats-server.conf").read_text())
    keys = {name: public_key(load_seed(secrets_dir, name)) for name in credentials}
    (directory / "accounts.conf").write_text(render_accounts(keys))
    command = [
        binary("nats-server"),
        "-c",
        str(config),
        "-p",
        str(port),
        "-sd",
        str(directory / "js"),
    ]
    return NatsServer(command, port, directory / "nats.log", secrets_dir=secrets_dir)


def make_redis(directory: Path) -> RedisServer:
    """A redis-server (not started) whose data lives in *directory*."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
    durable = ["--appendonly", "yes", "--appendfsync", "always"]
    bounded = ["--maxmemory", "256mb", "--maxmemory-policy", "noeviction"]
    command = [binary("redis-server", "valkey-server"), *options, *durable, *bounded]
    return RedisServer(command, port, directory / "redis.log")


def make_secrets(directory: Path, credentials: tuple[str, ...] = CREDENTIALS) -> Path:
    """A secrets directory with every key and credential."""
    create_secrets(directory, date="20261122", credentials=credentials)
    return directory


async def start_in_thread(server: Server) -> None:
    """Start a server without holding up the event loop."""
    await asyncio.to_thread(server.start)
