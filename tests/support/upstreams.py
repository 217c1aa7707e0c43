"""A service behind a proxy that tells exactly what reached it, byte for byte, and switches to any protocol."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


@dataclass(frozen=True)
class Seen:
    """One request as it came: its line and its header lines in order."""

    line: str
    headers: list[tuple[str, str]]

    @property
    def target(self) -> str:
        """Path and query."""
        return self.line.split(" ")[1]

    def values(self, name: str) -> list[str]:
        """Every value of header *name*, in any case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Upstream:
    """Listens on *port*; *seen* is what has reached it, oldest first, *trailers* the lines behind bodies."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    trailers: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: every request on it gets what was seen of it, as JSON."""
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the proxy closed it
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        seen = _parse(await reader.readuntil(b"\r\n\r\n"))
        self.seen.append(seen)
        behind: list[bytes] = []
        if seen.values("Transfer-Encoding") == ["chunked"]:
            behind = await _read_chunks(reader)
            self.trailers += behind
        await reader.readexactly(int((seen.values("Content-Length") or ["0"])[0]))
        if seen.values("Upgrade"):
            await _shake_hands(seen, reader, writer)
            return False
        told = {"line": seen.line, "headers": seen.headers, "trailers": str(behind)}
        body = json.dumps(told).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + (b"" if seen.line.startswith("HEAD ") else body))
        await writer.drain()
        return True


async def _read_chunks(reader: asyncio.StreamReader) -> list[bytes]:
    """The body (RFC 9112 §7.1) to its end; what stands behind it."""
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    trailers = []
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        trailers.append(line)
    return trailers


def _parse(head: bytes) -> Seen:
    line, *rest = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = (entry.partition(":") for entry in rest)
    return Seen(line, [(name, value.strip()) for name, _, value in pairs])


async def _shake_hands(
    seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """101 to whatever was asked for, and then every byte comes back."""
    key = "".join(seen.values("Sec-WebSocket-Key")).encode()
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    protocol = seen.values("Upgrade")[0].partition(",")[0].encode()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + protocol + b"\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def running_upstream() -> AsyncIterator[Upstream]:
    """An upstream on a free port."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=1 << 20)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
