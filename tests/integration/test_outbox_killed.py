"""kill -9 at every step between a row and what follows from it: nothing is lost, nothing happens twice."""

import asyncio
import multiprocessing
import signal
from dataclasses import dataclass, field

import pytest

from services.auth.adapters.bus_events import BusEvents
from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.domain.outbox import EndSessions, RefuseTokens, announce
from services.auth.ports.accounts import Proof
from shared.bus import Bus
from shared.clock import SystemClock
from shared.contract import TOKEN_REVOKED, USER_PASSWORD_CHANGED
from shared.ids import SystemIds
from shared.messages import TokenRevoked, UserPasswordChanged
from shared.redis import connect_redis
from tests.conftest import BusFactory
from tests.support import outbox_crash
from tests.support.outbox_crash import Change, Fuse, Site, Way
from tests.support.servers import NatsServer, RedisServer
from tests.support.trust import vouch_for
from tests.support.waiting import eventually

WRITTEN = 4  # steps of the transaction; at the fourth it is committed
AT_A_TIME = 6
KEY = b"k" * 32
IDS, CLOCK = SystemIds(), SystemClock()


@pytest.fixture
async def site(
    database: Database, accounts_url: str, nats_server: NatsServer, redis_server: RedisServer
) -> Site:
    """Real stores that a process may die beside."""
    async with connect_redis(redis_server.url) as redis:
        await vouch_for(redis)
    return Site(accounts_url, nats_server.url, redis_server.url, nats_server.secrets_dir)


def killed_at_their_steps(site: Site, changes: list[Change]) -> None:
    """Each in a process of its own, forked from one that has imported everything; a few at a time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.sdk_path", "tests.support.outbox_crash"])
    for few in (changes[i : i + AT_A_TIME] for i in range(0, len(changes), AT_A_TIME)):
        processes = [context.Process(target=outbox_crash.live, args=(site, c)) for c in few]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [-signal.SIGKILL] * len(few)


async def new_change(database: Database, way: Way, at: int) -> Change:
    """For an account of its own."""
    now, sub = CLOCK.now_ms(), IDS.ulid(CLOCK.now_ms())
    account = await SQLAccounts(database, KEY).prove(Proof(f"{sub.lower()}@acme.com", sub, now))
    changed = UserPasswordChanged(id=IDS.ulid(now), at=now, sub=sub)
    return Change(
        sub=sub,
        announce=announce(USER_PASSWORD_CHANGED, changed),
        end=EndSessions(IDS.ulid(now), sub, account.email, "password_changed"),
        refuse=RefuseTokens(IDS.ulid(now), sub, "password_changed"),
        way=way,
        at=at,
    )


@dataclass
class Heard:
    """By person: what was said of them, however often."""

    said: dict[str, set[str]] = field(default_factory=dict)

    async def changed(self, event: UserPasswordChanged) -> None:
        """`user.password_changed`."""
        self.said.setdefault(event.sub, set()).add("changed")

    async def revoked(self, event: TokenRevoked) -> None:
        """`token.revoked`."""
        self.said.setdefault(event.sub or "", set()).add(event.applies_to or "")


async def stored(bus: Bus) -> dict[str, int]:
    """How many messages each stream holds."""
    return {name: (await bus.js.stream_info(name)).state.messages for name in ("USER", "TOKEN")}


async def test_a_process_killed_at_any_step_loses_and_doubles_nothing(
    site: Site, database: Database, bus_of: BusFactory
) -> None:
    """Before the commit there is neither row nor word; from the commit on there is all of it, once.

    Whether whoever wrote it was doing it (here on SQLite) or the part that looks for what is left (PostgreSQL).
    """
    way: Way = "deliver" if database.is_sqlite else "relay"
    heard, operator = Heard(), await bus_of("operator")
    await operator.listen(USER_PASSWORD_CHANGED, heard.changed)
    await operator.listen(TOKEN_REVOKED, heard.revoked)
    steps = await outbox_crash.make_change(site, await new_change(database, way, -1))
    assert steps > WRITTEN + 2 * 6
    changes = [await new_change(database, way, at) for at in range(steps)]
    await asyncio.to_thread(killed_at_their_steps, site, changes)

    async with connect_redis(site.redis_url) as redis:
        events = BusEvents(await bus_of("auth"))
        relay = outbox_crash.make_relay(site, SQLOutbox(database), events, redis, Fuse(-1))
        for _ in range(3):
            await relay.look()

    assert await SQLOutbox(database).pending(1) == []
    told = len([change for change in changes if change.at >= WRITTEN - 1]) + 1
    await eventually(lambda: sum(map(len, heard.said.values())) == 3 * told)
    for change in changes:
        account = await SQLAccounts(database, KEY).by_sub(change.sub)
        assert account is not None
        committed = change.at >= WRITTEN - 1
        everything = {"changed", "sessions", "access"}
        assert account.password_hash == ("new" if committed else ""), change.at
        assert heard.said.get(change.sub, set()) == (everything if committed else set()), change.at
    count = len(changes) - (WRITTEN - 1) + 1  # and the first, which nobody killed
    assert await stored(await bus_of("provisioner")) == {"USER": count, "TOKEN": 2 * count}
