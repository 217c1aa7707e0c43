"""A process that changes an account, does what follows from it, and kills itself (SIGKILL) at a given step.

The steps are the instants before and after everything it says to the database (each commit too), Redis or
the bus.
"""

import asyncio
import os
import signal
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import event, update

from services.auth.adapters.bus_events import BusEvents
from services.auth.adapters.redis_attempts import RedisAttempts
from services.auth.adapters.redis_scripts import Scripts
from services.auth.adapters.redis_sessions import RedisSessions
from services.auth.adapters.sql import Database
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.adapters.sql_schema import accounts
from services.auth.domain.outbox import Announce, EndSessions, Entry, RefuseTokens
from services.auth.flows.ending import Ending
from services.auth.flows.relay import Relay
from services.auth.ports import Keys
from services.auth.ports.accounts import Outbox
from services.auth.settings import AuthSettings
from services.auth.wiring import load_keys
from shared.bus import connect_bus
from shared.clock import SystemClock
from shared.contract import Role
from shared.ids import SystemIds
from shared.redis import connect_redis
from shared.secrets import load_seed

Way = Literal["deliver", "relay"]  # by whoever wrote it, or by the part that looks for what is left


@dataclass
class Fuse:
    """Counts steps; kills the process at step *at* (-1: never)."""

    at: int
    burnt: int = 0

    def step(self) -> None:
        """One more."""
        if self.burnt == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.burnt += 1


class Fused:
    """A port each of whose calls has a step before and after it."""

    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port = port
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        async def fused(*arguments: Any, **named: Any) -> Any:
            self._fuse.step()
            answer = await call(*arguments, **named)
            self._fuse.step()
            return answer

        return fused


@dataclass(frozen=True)
class Site:
    """Where everything is."""

    accounts_url: str
    nats_url: str
    redis_url: str
    secrets_dir: Path


@dataclass(frozen=True)
class Change:
    """A new password for *sub*, with an entry of each kind; and how it is to be done, and up to where."""

    sub: str
    announce: Announce
    end: EndSessions
    refuse: RefuseTokens
    way: Way
    at: int

    @property
    def entries(self) -> tuple[Entry, ...]:
        """In the order of writing."""
        return self.announce, self.end, self.refuse


class OwnEntries(SQLOutbox):
    """Without what other dead processes have left: those would be steps nobody counted."""

    def __init__(self, database: Database, change: Change) -> None:
        super().__init__(database)
        self._own = {entry.id for entry in change.entries}

    async def pending(self, limit: int, without: Collection[str] = ()) -> list[Entry]:
        return [entry for entry in await super().pending(limit, without) if entry.id in self._own]


async def make_change(site: Site, change: Change) -> int:
    """Do *change*; how many steps it took."""
    fuse = Fuse(change.at)
    async with (
        Database(site.accounts_url) as database,
        connect_redis(site.redis_url) as redis,
        connect_bus(
            url=site.nats_url,
            role=Role.AUTH,
            name="auth",
            seed=load_seed(site.secrets_dir, "auth"),
            clock=SystemClock(),
            ids=SystemIds(),
        ) as bus,
    ):
        event.listen(database.engine.sync_engine, "commit", lambda _connection: fuse.step())
        outbox = OwnEntries(database, change)
        relay = make_relay(site, outbox, BusEvents(bus), redis, fuse)
        await _write(database, change, fuse)
        if change.way == "deliver":
            await relay.deliver(*change.entries)
        else:
            await relay.look()
            await relay.look()
    return fuse.burnt


def make_relay(site: Site, outbox: Outbox, events: Any, redis: Any, fuse: Fuse) -> Relay:
    """The relay on real stores, each of whose calls is a step of *fuse*."""
    clock, keys = SystemClock(), _keys(site)
    scripts = Scripts(redis, keys.index, clock)
    fused: Any = Fused(RedisSessions(scripts), fuse)
    said: Any = Fused(events, fuse)
    rows: Any = Fused(outbox, fuse)
    ending = Ending(RedisAttempts(scripts), fused, said, keys, clock, SystemIds())
    return Relay(rows, ending, said, fused, clock)


def live(site: Site, change: Change) -> None:
    """The process' whole life."""
    asyncio.run(make_change(site, change))


async def _write(database: Database, change: Change, fuse: Fuse) -> None:
    fuse.step()
    async with database.writing(*change.entries) as connection:
        row = update(accounts).where(accounts.c.sub == change.sub)
        await connection.execute(row.values(password_hash="new"))
        fuse.step()
    fuse.step()


def _keys(site: Site) -> Keys:
    return load_keys(AuthSettings(url="http://localhost", allow="*", secrets_dir=site.secrets_dir))
