"""An echo of the doctor's own: a service behind the front door that shows what reaches services.

It shows header lines that a doctor has sent, and no other: to whoever finds its path it is an empty page.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from ctl.doctor.door import Door
from ctl.doctor.own_token import NAME
from ctl.doctor.routes import Route
from shared.clock import Clock

PATH: Final = "/latchwire-doctor-echo"
OPEN: Final = f"{PATH}/open"
MAX_HEAD: Final = 128 * 1024
MAX_BODY: Final = 1024
HEAD_SECONDS: Final = 10.0
SERVED_WITHIN: Final = 120.0  # seconds: somebody has to write the lines
PAUSE_SECONDS: Final = 0.25
_PLACE: Final = re.compile(r"(?:([A-Za-z0-9][A-Za-z0-9.-]{0,252}):)?([1-9][0-9]{0,4})", re.ASCII)
_OURS: Final = re.compile(rb"lwd[a-z0-9]{12,24}")  # as `Door` marks what it sends


@dataclass(frozen=True)
class Echo:
    """Where it listens, as the front door reaches it: with a name of this machine's on every address."""

    host: str
    port: int

    @property
    def listens(self) -> str:
        """The address."""
        return "127.0.0.1" if self.host == "127.0.0.1" else "0.0.0.0"  # noqa: S104 - asked for by name

    def lines(self, host: str | None) -> list[str]:
        """What services.yaml needs, below ``services:``. *host*: for installations whose services have one."""
        own_host = f"host: {host}, " if host else ""
        return [
            f'  {NAME}: {{ {own_host}paths: [{PATH}], upstream: "http://{self.host}:{self.port}",',
            f"    public_paths: [{OPEN}], token_types: [user, service],",
            f"    callers: [{NAME}] }}",
        ]


def read_echo(text: str) -> Echo:
    """Of ``PORT`` or ``HOST:PORT``.

    Raises:
        ValueError: neither; the message is the cure.
    """
    found = _PLACE.fullmatch(text)
    if found is None or int(found[2]) > 65_535:
        raise ValueError(
            "--echo takes a path (/whoami), or for an echo of the doctor's own a port (9109) or name:port"
        )
    return Echo(found[1] or "127.0.0.1", int(found[2]))


def echo_route(host: str | None) -> Route:
    """It, as it is attacked."""
    return Route(NAME, host, PATH, OPEN, OPEN, exposed=True)


@asynccontextmanager
async def serving(echo: Echo) -> AsyncIterator[None]:
    """Listen. Raises: OSError: the port is taken."""
    server = await asyncio.start_server(_serve, echo.listens, echo.port, limit=MAX_HEAD)
    async with server:
        yield


async def is_served(door: Door, route: Route) -> bool:
    """Whether the front door hands requests on to it."""
    return await door.shows(route, route.open)


async def wait_until_served(door: Door, route: Route, clock: Clock) -> bool:
    """Until somebody has written the lines and the door knows of them, or `SERVED_WITHIN`."""
    deadline = clock.monotonic() + SERVED_WITHIN
    while not await is_served(door, route):
        if clock.monotonic() > deadline:
            return False
        await asyncio.sleep(PAUSE_SECONDS)
    return True


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(
        OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
    ):
        async with asyncio.timeout(HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            if b"\r\ntransfer-encoding: chunked\r\n" in head.lower():
                head = head[:-2] + await _trailers(reader)
            writer.write(answer_to(head))
            await writer.drain()
    writer.close()


async def _trailers(reader: asyncio.StreamReader) -> bytes:
    """What stands behind a body in chunks. Raises: ValueError: it is none, or larger than a doctor's."""
    left = MAX_BODY
    while size := int(await reader.readline(), 16):
        left -= abs(size)
        if left < 0:
            raise ValueError("too long")
        await reader.readexactly(size + 2)
    return await reader.readline() + b"\r\n"


def answer_to(head: bytes) -> bytes:
    """The answer to a request; to whoever asks for h2c it switches, as a service would that can."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    pairs = [(name.strip(), value.strip()) for name, _, value in lines]
    if any(name.lower() == b"upgrade" and value.lower() == b"h2c" for name, value in pairs):
        return b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    body = b"".join(b"%s: %s\n" % pair for pair in pairs if _OURS.fullmatch(pair[1]))
    fields = b"Content-Type: text/plain\r\nContent-Length: %d\r\nConnection: close" % len(body)
    shown = b"" if head.startswith(b"HEAD ") else body
    return b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (fields, shown)
