"""Every place where something of a request can come to rest, read as bytes for a search.

A `Sink` is one such place: a log, one message's subject, its headers, its body, a Redis key, a value, a
process's arguments, a file. *may_hold* says what SECURITY.md lets it hold.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp
import nats
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from shared.contract import OP_EXPLAIN, STREAMS
from shared.redis import connect_redis
from tests.support.canaries import Canaries

Kind = Literal["secret", "address"]
# What SECURITY.md lists: addresses in LOGIN and TOKEN, in the values of attempts and sessions, and among
# the ends that wait for the bus.
WITH_ADDRESSES = ("stream LOGIN", "stream TOKEN")
KEYS_WITH_ADDRESSES = (b"lw:attempt:", b"lw:session:", b"lw:unannounced")
# The one question that carries a token, asked of any edge or of one; never stored.
TOKENS_IN_TRANSIT = OP_EXPLAIN.name


@dataclass(frozen=True)
class Sink:
    """One place and what lies there."""

    name: str
    content: bytes
    may_hold: frozenset[Kind] = frozenset()


@dataclass(frozen=True, order=True)
class Leak:
    """*what* was found at *where*."""

    where: str
    what: str


ADDRESSES = frozenset[Kind]({"address"})
ANYTHING = frozenset[Kind]({"address", "secret"})


def search(canaries: Canaries, sinks: Iterable[Sink]) -> set[Leak]:
    """Every canary that lies where it must not."""
    leaks: set[Leak] = set()
    for sink in sinks:
        if "secret" not in sink.may_hold:
            leaks |= {Leak(sink.name, what) for what in canaries.secrets_in(sink.content)}
        if "address" not in sink.may_hold:
            leaks |= {Leak(sink.name, what) for what in canaries.addresses_in(sink.content)}
    return leaks


def logs(directory: Path) -> Iterator[Sink]:
    """Every part's log, those of servers that are not ours included."""
    for path in sorted(directory.glob("*.log*")):
        yield Sink(f"log {path.name}", path.read_bytes())


def files(state: Path) -> Iterator[Sink]:
    """Everything on disk but the secrets directory: stores as raw bytes, configurations, run.json."""
    for path in sorted(state.rglob("*")):
        name = path.relative_to(state)
        if path.is_file() and name.parts[0] not in {"secrets", "logs"}:
            # Whole stores: addresses are looked for message by message and key by key. A server may replace
            # its file between two looks.
            with suppress(FileNotFoundError):
                yield Sink(f"file {name}", path.read_bytes(), ADDRESSES)


def processes(pids: Mapping[str, int]) -> Iterator[Sink]:
    """What `ps` and /proc show of each part."""
    for name, pid in pids.items():
        yield Sink(f"arguments {name}", Path(f"/proc/{pid}/cmdline").read_bytes())
        yield Sink(f"environment {name}", Path(f"/proc/{pid}/environ").read_bytes())


async def doors(urls: Mapping[str, str]) -> list[Sink]:
    """What the admin doors of *urls* (name -> base address) say."""
    found = []
    async with aiohttp.ClientSession() as session:
        for name, url in urls.items():
            for path in ("/health", "/ready", "/metrics"):
                async with session.get(url + path) as answer:
                    found.append(Sink(f"door {name}{path}", await answer.read()))
    return found


async def redis_keys(url: str) -> list[Sink]:
    """Each key's name, and its value."""
    found = []
    async with connect_redis(url) as redis:
        async for key in redis.scan_iter(count=1000):
            found.append(Sink(f"redis key {key!r}", key))
            allowed = ADDRESSES if key.startswith(KEYS_WITH_ADDRESSES) else frozenset[Kind]()
            found.append(Sink(f"redis value {key!r}", await _value(redis, key), allowed))
    return found


async def session_secrets(url: str) -> list[str]:
    """The random half of every session's refresh key: it rests in Redis, and nowhere else."""
    async with connect_redis(url) as redis:
        keys = [key async for key in redis.scan_iter(match="lw:session:*")]
        values = [await redis.hget(key, "secret") for key in keys]  # type: ignore[misc]
    return [value.decode() for value in values if value]


async def _value(redis: Any, key: bytes) -> bytes:
    kind = (await redis.type(key)).decode()
    if kind == "hash":
        fields = await redis.hgetall(key)
        # A session's own random secret is what Redis is there to keep.
        return b"\n".join(n + b"=" + v for n, v in fields.items() if n != b"secret")
    if kind == "zset":
        return b"\n".join(await redis.zrange(key, 0, -1))
    assert kind in {"string", "none"}, kind  # none: it has run out since it was listed
    value = await redis.get(key)
    return bytes(value or b"")


@dataclass
class Tap:
    """Everything that passes the bus while it is open, in one account."""

    account: str
    heard: dict[tuple[str, str, str, bytes], None] = field(default_factory=dict)

    async def hear(self, message: Msg) -> None:
        """Remember it once."""
        headers = json.dumps(message.headers or {})
        self.heard[(message.subject, message.reply, headers, message.data)] = None

    def sinks(self) -> Iterator[Sink]:
        """Subjects and headers; bodies for secrets (what a stream holds is read from the stream)."""
        for subject, reply, headers, body in self.heard:
            yield Sink(f"subject {self.account}", f"{subject} {reply}".encode())
            yield Sink(f"headers {self.account} {subject}", headers.encode())
            if not subject.startswith(TOKENS_IN_TRANSIT):
                yield Sink(f"message {self.account} {subject}", body, ADDRESSES)


@asynccontextmanager
async def reading(url: str, seed: str) -> AsyncIterator[NatsClient]:
    """A connection of a credential that may do everything."""
    client = await nats.connect(
        url, nkeys_seed_str=seed, max_reconnect_attempts=-1, error_cb=_expected
    )
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def tapping(url: str, seed: str, account: str) -> AsyncIterator[Tap]:
    """Listen to everything in *account* while the block runs."""
    async with reading(url, seed) as client:
        tap = Tap(account)
        await client.subscribe(">", cb=tap.hear, pending_msgs_limit=0, pending_bytes_limit=0)
        await client.flush()
        yield tap
        await client.flush()


async def _expected(_error: Exception) -> None:
    """The server is killed under the tap, too."""


async def streams(reader: NatsClient) -> list[Sink]:
    """Each stored message of each stream: subject, headers, body."""
    found = []
    js = reader.jetstream()
    for stream in STREAMS:
        state = (await js.stream_info(stream.name)).state
        for seq in range(max(1, state.first_seq), state.last_seq + 1):
            try:
                message = await js.get_msg(stream.name, seq)
            except NotFoundError:
                continue  # replaced by a newer record, or a deleted one
            where = f"stream {stream.name}"
            allowed = ADDRESSES if where in WITH_ADDRESSES else frozenset[Kind]()
            found.append(Sink(f"{where} subject", (message.subject or "").encode()))
            found.append(Sink(f"{where} headers", json.dumps(message.headers or {}).encode()))
            found.append(Sink(f"{where} body", message.data or b"", allowed))
    return found


async def run_recorded(*command: str | Path, stdin: str = "", **environment: str) -> bytes:
    """What a command prints on both its outputs."""
    running = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await running.communicate(stdin.encode())
    return output
