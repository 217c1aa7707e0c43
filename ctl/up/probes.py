"""Readiness, asked over each part's own protocol. A probe returns None when ready, else what it waits for."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

Probe = Callable[[], Awaitable[str | None]]

TIMEOUT = 2.0  # seconds for one question
PAUSE = 0.05  # seconds between two questions


def nats(port: int) -> Probe:
    """The server greets with INFO once it accepts clients."""
    return lambda: _exchange(port, b"", b"INFO ")


def redis(port: int) -> Probe:
    """PONG, which Redis withholds while it loads its file."""
    return lambda: _exchange(port, b"PING\r\n", b"+PONG")


def smtp(port: int) -> Probe:
    """The greeting of RFC 5321 §4.2."""
    return lambda: _exchange(port, b"", b"220 ")


def http(url: str) -> Probe:
    """200 at *url*; until then the answer's first line says what is missing."""

    async def probe() -> str | None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.get(url, allow_redirects=False) as answer,
            ):
                if answer.status == 200:
                    return None
                return f"HTTP {answer.status} {(await answer.text())[:300]}".strip()
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__

    return probe


async def until_ready(probe: Probe, within: float) -> str | None:
    """Ask until ready. None, or after *within* seconds the last reason."""
    reason: str | None = "it has not answered"
    try:
        async with asyncio.timeout(within):
            while reason := await probe():  # noqa: ASYNC110 - another process has no event to wait on
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        return reason
    return None


async def _exchange(port: int, send: bytes, expected: bytes) -> str | None:
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(send)
                answer = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        return type(error).__name__
    return None if answer.startswith(expected) else answer.decode("ascii", "replace").strip()
