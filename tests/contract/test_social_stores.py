"""Linked logins on SQLite and PostgreSQL, and what waits for a browser in Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from services.auth.adapters.redis_handshakes import RedisHandshakes
from services.auth.adapters.redis_scripts import Scripts
from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.adapters.sql_identities import SQLIdentities
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.domain.account import Account
from services.auth.domain.limits import Rate
from services.auth.domain.outbox import Announce
from services.auth.domain.provider import Handshake, Identity, KeptIdentity, ProvenIdentity
from services.auth.ports import Budget, NetworkLimited, StoreUnsettledError
from shared.clock import SystemClock
from shared.redis import connect_redis
from tests.support.servers import RedisServer
from tests.support.trust import SINCE, vouch_for, withdraw

ADA = Identity("https://a.example", "1", "ada", "sso", 5, 5, "ada@acme.com")
NOTICE = Announce("01M81EB7JFJ9ZC627BZXDFW2NH", "login.requested", b"{}")
SECOND = Announce("01M81EB7JFJ9ZC627BZXDFW2NJ", "login.requested", b"{}")
BROWSER, OTHER = "b" * 64, "c" * 64
HANDSHAKE = Handshake("sso", BROWSER, "the-nonce", "the-verifier", "/demo", "ada")
PROVEN = ProvenIdentity("sso", "https://a.example", "1", "ada@acme.com")
MANY = Rate(1000, 60_000)


@pytest.fixture
async def identities(database: Database) -> SQLIdentities:
    """The store, with two accounts in it."""
    accounts = SQLAccounts(database, bytes(32))
    for sub in ("ada", "bob"):
        await accounts.adopt(Account(sub, f"{sub}@acme.com", 1, 1), ())
    return SQLIdentities(database)


async def test_a_login_is_linked_once_and_to_one_account(
    identities: SQLIdentities, database: Database
) -> None:
    """Again is ``known``, for another ``taken``, for nobody ``gone``; the entry goes with a new link only."""
    bobs = replace(ADA, sub="bob")

    assert await identities.link(ADA, (NOTICE,)) == "linked"
    assert await identities.link(ADA, (SECOND,)) == "known"
    assert await identities.link(bobs, (SECOND,)) == "taken"
    assert await identities.link(replace(ADA, subject="2", sub="nobody"), (SECOND,)) == "gone"
    assert await identities.find(ADA.iss, "1") == ADA
    assert await identities.find("https://b.example", "1") is None
    assert await identities.of("bob") == []
    assert await SQLOutbox(database).pending(10) == [NOTICE]


async def test_two_accounts_that_link_one_login_at_once_leave_it_with_one(
    identities: SQLIdentities,
) -> None:
    """Whatever the order, exactly one of them has it."""
    rows = [replace(ADA, sub=sub) for sub in ("ada", "bob") * 4]
    answers = await together(*[lambda row=row: identities.link(row, ()) for row in rows])

    assert answers.count("linked") == 1
    assert answers.count("known") == 3
    assert answers.count("taken") == 4


async def test_a_login_is_taken_away_by_its_owner_only_and_goes_with_the_account(
    identities: SQLIdentities, database: Database
) -> None:
    """The entry is written when something was taken away; a deleted account leaves no login behind."""
    await identities.link(ADA, ())
    await identities.used(ADA, 9)
    assert [i.used_at_ms for i in await identities.of("ada")] == [9]

    assert not await identities.unlink(replace(ADA, sub="bob"), (NOTICE,))
    assert await identities.unlink(ADA, (NOTICE,))
    assert not await identities.unlink(ADA, (SECOND,))
    assert await SQLOutbox(database).pending(10) == [NOTICE]

    await identities.link(ADA, ())
    async with database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM accounts WHERE sub = 'ada'")
    assert await identities.find(ADA.iss, "1") is None


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with connect_redis(redis_server.url) as client:
        await vouch_for(client)
        yield client


@pytest.fixture
def handshakes(redis: Redis) -> RedisHandshakes:
    return RedisHandshakes(Scripts(redis, bytes(32), SystemClock()))


def budgets(rate: Rate = MANY, network: str = "10.0.0.0/24") -> tuple[Budget, Budget, Budget]:
    """Three limits of one network."""
    one, two, three = (Budget(f"provider|{reach}|{network}", rate) for reach in "abc")
    return one, two, three


async def test_a_state_is_handed_out_once_under_any_haste(handshakes: RedisHandshakes) -> None:
    """Two tabs, a reload, a replay: one of them goes on."""
    await handshakes.open("s" * 43, HANDSHAKE, budgets())
    found = await together(*[lambda: handshakes.take("s" * 43, BROWSER)] * 20)

    assert [h for h in found if h is not None] == [HANDSHAKE]


async def test_a_state_is_nothing_to_another_browser_and_stays_for_its_own(
    handshakes: RedisHandshakes,
) -> None:
    """Also to one that has no cookie at all."""
    await handshakes.open("s" * 43, HANDSHAKE, budgets())

    assert await handshakes.take("s" * 43, OTHER) is None
    assert await handshakes.take("s" * 43, "") is None
    assert await handshakes.take("t" * 43, BROWSER) is None
    assert await handshakes.take("s" * 43, BROWSER) == HANDSHAKE


async def test_a_kept_login_can_be_looked_at_and_is_handed_out_once(
    handshakes: RedisHandshakes,
) -> None:
    """In its browser; a state is no ticket."""
    kept = KeptIdentity(PROVEN, BROWSER, "ada")
    await handshakes.keep("t" * 43, kept)

    assert await handshakes.look("t" * 43, OTHER) is None
    assert await handshakes.look("t" * 43, BROWSER) == kept
    assert await handshakes.take("t" * 43, BROWSER) is None
    assert await handshakes.take_kept("t" * 43, BROWSER) == kept
    assert await handshakes.take_kept("t" * 43, BROWSER) is None


async def test_all_that_waits_is_gone_in_ten_minutes_and_is_in_no_key(
    handshakes: RedisHandshakes, redis: Redis
) -> None:
    """Neither state nor ticket, address, issuer nor network can be read from a name in the store."""
    await handshakes.open("s" * 43, HANDSHAKE, budgets())
    await handshakes.keep("t" * 43, KeptIdentity(PROVEN, BROWSER, "ada"))
    keys = {key async for key in redis.scan_iter()}  # it may say one twice
    waiting = [key for key in keys if key.startswith((b"lw:handshake:", b"lw:identity:"))]

    assert len(waiting) == 2
    assert all([0 < await redis.pttl(key) <= 600_000 for key in waiting])
    for secret in (b"sss", b"ttt", b"ada", b"example", b"10.0"):
        assert [key for key in keys if secret in key] == []


async def test_a_network_has_its_share(handshakes: RedisHandshakes) -> None:
    """Two for it, then a wait; its neighbour is not told to."""
    few = Rate(2, 60_000)
    found = [
        await handshakes.open(letter * 43, HANDSHAKE, budgets(few)) for letter in ("s", "t", "u")
    ]

    assert found[:2] == [None, None]
    assert isinstance(found[2], NetworkLimited)
    assert 0 < found[2].wait_ms <= 60_000
    assert await handshakes.take("u" * 43, BROWSER) is None
    other = await handshakes.open("v" * 43, HANDSHAKE, budgets(few, "10.0.1.0/24"))
    assert other is None


async def test_a_store_nobody_vouches_for_says_nothing_of_a_state(
    handshakes: RedisHandshakes, redis: Redis
) -> None:
    """Not "spent": it may have been lost. And what is older than a restore may have been used already."""
    await handshakes.open("s" * 43, HANDSHAKE, budgets())
    await withdraw(redis)
    for refused in (
        handshakes.take("s" * 43, BROWSER),
        handshakes.take("t" * 43, BROWSER),
        handshakes.open("u" * 43, HANDSHAKE, budgets()),
        handshakes.keep("u" * 43, KeptIdentity(PROVEN, BROWSER)),
    ):
        with pytest.raises(StoreUnsettledError):
            await refused
    await vouch_for(redis)
    await redis.set(SINCE, SystemClock().now_ms() + 1000)

    assert await handshakes.take("s" * 43, BROWSER) is None


async def together(*calls: Callable[[], Awaitable[object]]) -> list[object]:
    """What all of them answer, begun at once."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(call)) for call in calls]
    return [task.result() for task in tasks]


async def _run(call: Callable[[], Awaitable[object]]) -> object:
    return await call()
