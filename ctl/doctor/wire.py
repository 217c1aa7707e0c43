"""A small HTTP/1.1 client that sends exactly the bytes it is given: libraries repair what attacks need."""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

MAX_BODY = 256 * 1024
BODY_SECONDS = 2.0
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r?$)")

Headers = Sequence[tuple[str, str]]


class NoAnswerFromDoorError(Exception):
    """The front door did not answer, or not with HTTP."""


def why(error: Exception) -> str:
    """What went wrong on the way, in words."""
    for kind, words in _WHY:
        if isinstance(error, kind):
            return words
    return getattr(error, "strerror", None) or "no answer"


_WHY: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "no address is known for this name"),
    (ConnectionRefusedError, "nothing listens there"),
    (TimeoutError, "no answer in time"),
    (ConnectionError, "the connection was cut"),
    (EOFError, "the connection was closed without an answer"),
    (ValueError, "the answer is no HTTP"),
    (asyncio.LimitOverrunError, "the answer is no HTTP"),
)


@dataclass(frozen=True)
class Front:
    """Where to connect, and whose name to say. *tls* None: plain http. *timeout* in seconds."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    timeout: float = 10.0

    @property
    def address(self) -> str:
        """What to connect to: names below localhost are this machine (RFC 6761 §6.3)."""
        return "localhost" if self.host.lower().endswith(".localhost") else self.host

    @property
    def scheme(self) -> str:
        """As in a URL."""
        return "http" if self.tls is None else "https"

    def named(self, host: str | None) -> str:
        """What to write into ``Host`` for *host* (None: the one connected to)."""
        usual = self.port == (80 if self.tls is None else 443)
        name = host or (f"[{self.host}]" if ":" in self.host else self.host)
        return name if usual else f"{name}:{self.port}"

    def trusting(self) -> "Front":
        """The same, whatever certificate it shows: what is wrong with that was said."""
        if self.tls is None:
            return self
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return replace(self, tls=context)


@dataclass(frozen=True)
class Answer:
    """What came back; header names are lower-case, *body* is cut after 256 KiB."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def one(self, name: str) -> str:
        """The first value of header *name*, or ""."""
        return next((value for given, value in self.headers if given == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of header *name*."""
        return [value for given, value in self.headers if given == name]

    @property
    def passed(self) -> bool:
        """Whether somebody was let in."""
        return 200 <= self.status < 300


def front_of(url: str, timeout: float) -> Front:
    """Where *url* leads.

    Raises:
        ValueError: it is no http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError("write it as https://auth.example.com")
    secure = parts.scheme == "https"
    context = ssl.create_default_context() if secure else None
    return Front(parts.hostname, parts.port or (443 if secure else 80), context, timeout)


async def send(
    front: Front,
    target: str,
    *,
    method: str = "GET",
    host: str | None = None,
    headers: Headers = (),
    body: bytes = b"",
) -> Answer:
    """One request on a connection of its own. *target*, *headers* (latin-1) and *body* go out as they are.

    Raises:
        NoAnswerFromDoorError.
        ssl.SSLError: the handshake failed.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {front.named(host)}"]
    if not any(name.lower() == "connection" for name, _ in headers):
        lines.append("Connection: close")
    lines += [f"{name}: {value}" for name, value in headers]
    request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    try:
        async with asyncio.timeout(front.timeout):
            return await _exchange(front, request, host, body_follows=method != "HEAD")
    except ssl.SSLError:
        raise
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise NoAnswerFromDoorError(why(error)) from error


async def _exchange(
    front: Front, request: bytes, host: str | None, *, body_follows: bool
) -> Answer:
    name = (host or front.host) if front.tls else None
    reader, writer = await asyncio.open_connection(
        front.address, front.port, ssl=front.tls, server_hostname=name
    )
    try:
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        answer = _read_head(head)
        if body_follows and answer.status not in (101, 204, 304):
            return replace(answer, body=await _read_body(reader, answer))
        return answer
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(0.5):
                await writer.wait_closed()


def _read_head(head: bytes) -> Answer:
    status, *lines = head.rstrip(b"\r\n").split(b"\r\n")
    found = _STATUS.match(status)
    if found is None:
        raise ValueError("not HTTP")
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    return Answer(int(found[1]), tuple((n.strip().lower(), v.strip()) for n, _, v in pairs))


async def _read_body(reader: asyncio.StreamReader, answer: Answer) -> bytes:
    """By its length, else to the end of the connection; what does not come soon is left: the status counts."""
    length = answer.one("content-length")
    most = min(int(length), MAX_BODY) if length.isdigit() else MAX_BODY
    chunked = answer.one("transfer-encoding").lower() == "chunked"
    body = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(BODY_SECONDS):
            while len(body) < most and (chunk := await reader.read(most - len(body))):
                body += chunk
                if chunked and body.endswith(b"\r\n0\r\n\r\n"):
                    break
    return body
