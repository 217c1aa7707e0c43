"""An echo of the doctor's own: a service behind the front door that shows what reaches services.

It shows header lines that a doctor has sent, and no other: to whoever finds its path it is an empty page.
"""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from ctl.doctor.addresses import NotThisMachineError, Resolve, own_addresses, resolve
from ctl.doctor.door import Door
from ctl.doctor.own_token import NAME
from ctl.doctor.routes import Route
from shared.catalogue import Catalogue, Service
from shared.clock import Clock

PATH: Final = "/latchwire-doctor-echo"
OPEN: Final = f"{PATH}/open"
MAX_HEAD: Final = 128 * 1024
MAX_BODY: Final = 1024
MOST_MARKS: Final = 1000  # one attempt has some hundred
HEAD_SECONDS: Final = 10.0
SERVED_WITHIN: Final = 120.0  # seconds: somebody has to write the lines
PAUSE_SECONDS: Final = 0.25
HERE: Final = "127.0.0.1"
_PLACE: Final = re.compile(r"(?:([A-Za-z0-9][A-Za-z0-9.-]{0,252}):)?([1-9][0-9]{0,4})", re.ASCII)
_OURS: Final = re.compile(rb"lwd[a-z0-9]{12,24}")  # as `Door` marks what it sends
TAKE_OUT: Final = (
    f"take the lines of {NAME} out of services.yaml again: while no doctor runs, whoever listens on their "
    "port is a page of the host where people log in"
)


class EchoError(Exception):
    """There is no echo, or not where the lines lead; the message is the cure."""


@dataclass(frozen=True)
class Echo:
    """Where it listens, as the front door reaches it: with a name of this machine's on every address."""

    host: str
    port: int

    async def listens(self, ask: Resolve = resolve) -> list[str]:
        """The addresses; those of IPv6 where the name has one, or somebody else could listen there.

        Raises:
            EchoError: the name leads to another machine too, which could hear a token.
        """
        if self.host == HERE:
            return [HERE]
        try:
            found = await own_addresses(self.host, ask)
        except NotThisMachineError as error:
            raise EchoError(
                f"no echo: {error}; give the name or the address under which the gateway reaches this "
                "machine, and no other"
            ) from error
        everywhere = ["0.0.0.0"]  # noqa: S104 - asked for by name
        return [*everywhere, "::"] if any(":" in address for address in found) else everywhere

    @property
    def upstream(self) -> str:
        """As services.yaml has it."""
        return f"http://{self.host}:{self.port}"

    def lines(self, host: str | None) -> list[str]:
        """What services.yaml needs, below ``services:``. *host*: for installations whose services have one."""
        own_host = f"host: {host}, " if host else ""
        return [
            f'  {NAME}: {{ {own_host}paths: [{PATH}], upstream: "{self.upstream}",',
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
    # By its name a proxy may take ::1, where somebody else can listen.
    host = found[1] if found[1] and found[1].lower() != "localhost" else HERE
    return Echo(host, int(found[2]))


def echo_route(host: str | None) -> Route:
    """It, as it is attacked."""
    return Route(NAME, host, PATH, OPEN, OPEN, exposed=True)


def is_echo(service: Service) -> bool:
    """Whether *service* is the doctor's echo, whoever listens there now."""
    return service.name == NAME or PATH in service.paths


@dataclass(frozen=True)
class Listening:
    """The echo while it listens, and what doctors sent to it last."""

    echo: Echo
    marks: deque[bytes] = field(default_factory=lambda: deque(maxlen=MOST_MARKS))

    def refuse_others(self, catalogue: Catalogue) -> None:
        """Raises: EchoError: the lines that are there already lead to another port, which may be anybody's."""
        for service in catalogue.services:
            if is_echo(service) and service.upstream != self.echo.upstream:
                raise EchoError(
                    f"services.yaml sends {service.name} to {service.upstream}, where somebody else may "
                    "listen: take its lines out, and begin again"
                )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, and its answer."""
        with contextlib.suppress(
            OSError,
            TimeoutError,
            ValueError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ):
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                if b"\r\ntransfer-encoding: chunked\r\n" in head.lower():
                    head = head[:-2] + await _trailers(reader)
                self.marks.extend(value for _, value in _pairs(head) if _OURS.fullmatch(value))
                writer.write(answer_to(head))
                await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(echo: Echo) -> AsyncIterator[Listening]:
    """Listen. Raises: EchoError: the port is taken, or the name is another machine's."""
    listening = Listening(echo)
    addresses = await echo.listens()
    try:
        server = await asyncio.start_server(listening.serve, addresses, echo.port, limit=MAX_HEAD)
    except OSError as error:
        raise EchoError(
            f"no echo: port {echo.port} cannot be listened on ({error.strerror}); choose another one, and "
            f"take the lines of {NAME} out of services.yaml where they lead to it"
        ) from error
    async with server:
        yield listening


async def is_served(door: Door, route: Route, listening: Listening) -> bool:
    """Whether the front door hands requests on to it, and to nobody who speaks like it."""
    sent = await door.shown(route, route.open)
    return sent is not None and sent.encode() in listening.marks


async def wait_until_served(door: Door, route: Route, listening: Listening, clock: Clock) -> bool:
    """Until somebody has written the lines and the door knows of them, or `SERVED_WITHIN`."""
    deadline = clock.monotonic() + SERVED_WITHIN
    while not await is_served(door, route, listening):
        if clock.monotonic() > deadline:
            return False
        await asyncio.sleep(PAUSE_SECONDS)
    return True


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
    pairs = _pairs(head)
    if any(name.lower() == b"upgrade" and value.lower() == b"h2c" for name, value in pairs):
        return b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    body = b"".join(b"%s: %s\n" % pair for pair in pairs if _OURS.fullmatch(pair[1]))
    fields = b"Content-Type: text/plain\r\nContent-Length: %d\r\nConnection: close" % len(body)
    shown = b"" if head.startswith(b"HEAD ") else body
    return b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (fields, shown)


def _pairs(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [(name.strip(), value.strip()) for name, _, value in lines]
