"""SECURITY.md says how long what is kept about a person: these are the times it is really kept."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.mailer.domain.attempt import Timing
from shared.bus import SnapshotStore
from shared.contract import (
    DEADLETTER,
    LOGIN,
    LOGIN_FAILED,
    SNAPSHOT,
    TOKEN,
    TOKEN_BY,
    stream_of,
)
from shared.redis import connect_redis
from tests.conftest import BusFactory
from tests.support.auth_workers import AuthWorkers, bearer, running_workers
from tests.support.servers import ROOT, NatsServer, RedisServer

UNITS = {"hour": 3600, "minute": 60, "day": 86_400}
SLACK = 60.0  # seconds between writing and looking


def told(what: str) -> float:
    """The seconds in the row of the table that begins with *what*."""
    section = Path(ROOT / "SECURITY.md").read_text().split("## What is kept about a person")[1]
    (row,) = [line for line in section.splitlines() if line.startswith(f"| {what}")]
    found = re.search(r"(\d+) (minute|hour|day)s?", row.split("|")[3])
    assert found, row
    return float(found[1]) * UNITS[found[2]]


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """A look into the store."""
    async with connect_redis(redis_server.url) as redis:
        yield redis


@pytest.fixture
async def auth(nats_server: NatsServer, redis_server: RedisServer) -> AsyncIterator[AuthWorkers]:
    """One auth worker."""
    secrets_dir = nats_server.secrets_dir
    async with running_workers(nats_server, redis_server, secrets_dir, doors=1) as workers:
        yield workers


async def use_everything(auth: AuthWorkers) -> None:
    """Sign in, from a second browser too (a notice), renew, sign out, sign out everywhere, ask once more."""
    one, two = await auth.sign_in(), await auth.sign_in(headers={"User-Agent": "curl/8.0"})
    await auth.call("POST", "/auth/refresh", {"refresh_token": one["refresh_token"]})
    await auth.call("POST", "/auth/logout", headers=bearer(one["access_token"]))
    await auth.sign_in("bob@acme.com")
    await auth.call("DELETE", "/auth/sessions", headers=bearer(two["access_token"]))
    await auth.ask("bob@acme.com")


ROWS = {
    "lw:attempt:sign_in": "address, browser, network",
    "lw:attempt:notice": "the same of a notice",
    "lw:limit": "that somebody asked",
    "lw:session": "session: subject",
    "lw:subject": "when a person was signed out",
    "lw:subject:sessions": "session: subject",
    "lw:subject:browsers": "which browsers",
    "lw:subject:sign_in": "address, browser, network",
}


async def kind_of(redis: Redis, key: str) -> str:
    """The key without its id; an attempt's with its purpose."""
    parts = key.split(":")
    if parts[1] == "attempt":
        return f"lw:attempt:{(await redis.hget(key, 'purpose')).decode()}"
    return ":".join([*parts[:2], *parts[3:]])


async def test_nothing_in_redis_outlives_what_is_said_of_it(
    auth: AuthWorkers, redis: Redis
) -> None:
    """Every key of auth has a row, and the longest-lived of each kind lives about as long as its row says."""
    await use_everything(auth)
    lives: dict[str, float] = {}
    async for raw in redis.scan_iter("lw:*"):
        key = raw.decode()
        if not key.startswith(("lw:bl:", "lw:life:", "lw:clock")):
            kind, left = await kind_of(redis, key), await redis.pttl(key) / 1000
            assert left > 0, f"{key} is kept for ever"
            lives[kind] = max(left, lives.get(kind, 0))

    assert ROWS.keys() == lives.keys()
    wrong = {k: v for k, v in lives.items() if not told(ROWS[k]) - SLACK <= v <= told(ROWS[k])}
    assert not wrong


async def test_a_session_that_ended_keeps_times_and_a_reason(
    auth: AuthWorkers, redis: Redis
) -> None:
    """The field names of every tombstone are known here."""
    await use_everything(auth)
    keys = {key async for key in redis.scan_iter("lw:session:*")}  # SCAN may tell of one twice
    fields = [{name.decode() for name in await redis.hkeys(key)} for key in keys]

    ended = [names for names in fields if "ended" in names]
    assert [{"ended", "expires_at", "counter", "sst"}] * 2 == ended
    assert 3 == len(fields)


def test_streams_and_mails_are_kept_as_long_as_is_said() -> None:
    """The contract's ages, and the mailer's."""
    refused = stream_of(LOGIN_FAILED)
    ages = {"the same in `login.requested`": LOGIN, "subject (without accounts": LOGIN}
    ages |= {"subject or session id": TOKEN, "messages nobody": DEADLETTER}
    ages |= {"the same of what a service revoked": TOKEN_BY}
    for what, stream in ages.items():
        assert stream.max_age is not None
        assert told(what) == stream.max_age.total_seconds()
    assert refused is not None
    assert refused.max_age is not None
    assert told("that a login was refused") == refused.max_age.total_seconds()
    assert told("state of a mail") == Timing().keep_record


async def test_a_copy_of_the_blocklist_is_gone_when_it_is_said(bus_of: BusFactory) -> None:
    """The server itself forgets a part; the head that names it holds counts and a sum."""
    worker = await bus_of("revocation")
    await SnapshotStore(worker.client, worker.js).put_part("copy", 0, b"part")

    stored = await worker.js.get_last_msg(SNAPSHOT.name, "snapshot.copy.0")

    assert stored.headers is not None
    life = float(stored.headers["Nats-TTL"].removesuffix("s"))
    assert life == told("the same, copied for those that start")
