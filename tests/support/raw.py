"""Requests in exact bytes through a front door, as no HTTP library would write them."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

DEADLINE = 60.0  # seconds


@dataclass(frozen=True)
class RawAnswer:
    """*reason* is the edge's code, "" when it did not refuse."""

    status: int
    reason: str
    body: str


async def exchange(
    url: str, path: str, *lines: str, host: str = "", method: str = "GET"
) -> RawAnswer:
    """Send exactly these header lines to the server at *url*; *host* instead of its own name."""
    address = urlsplit(url)
    assert address.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
    head = [f"{method} {path} HTTP/1.1", f"Host: {host or address.netloc}", *lines]
    if not any(line.startswith("Connection:") for line in lines):
        head.append("Connection: close")
    try:
        writer.write("\r\n".join([*head, "", ""]).encode("latin-1"))
        async with asyncio.timeout(DEADLINE):
            return await _read(reader)
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> RawAnswer:
    """To the end of the body, or to the end of the connection when its length is not told."""
    top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = top.split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    length = headers.get("content-length")
    body = await (reader.read() if length is None else reader.readexactly(int(length)))
    return RawAnswer(int(status.split()[1]), headers.get("x-latchwire-reason", ""), body.decode())


async def answer_of(port: int, data: bytes) -> bytes:
    """Bytes in, and all that comes back until the server at *port* closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(DEADLINE):
            return await reader.read()
    finally:
        writer.close()
