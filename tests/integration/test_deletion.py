"""A person deletes the account: it all ends, everybody hears, the services erase, and nothing of it is left."""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from redis.asyncio import Redis
from sqlalchemy import select

from latchwire.connect import connect
from latchwire.deletions import Erasure, Outcome, UserFact, hear_users, serve_deletions
from latchwire.tokens import TokenPolicy
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from services.auth.adapters.sql import Database
from services.auth.adapters.sql_schema import accounts, members, metadata
from shared.bus import Bus
from shared.contract import OP_DELETIONS_LIST, STREAMS
from shared.messages import DeletionRow, ListDeletions
from shared.redis import connect_redis
from shared.secrets import load_seed
from tests.conftest import BusFactory
from tests.support.auth_workers import ADA, ORIGIN, URL, AuthWorkers, bearer, running_workers
from tests.support.servers import NatsServer, RedisServer
from tests.support.waiting import eventually

CANARY = "canary-erasure@acme.com"


@dataclass
class Shop:
    """A service that erases: what it was asked, what it says next, what it heard."""

    asked: list[Erasure] = field(default_factory=list)
    says: list[Outcome] = field(default_factory=list)
    facts: list[UserFact] = field(default_factory=list)

    async def erase(self, erasure: Erasure) -> Outcome:
        self.asked.append(erasure)
        return self.says.pop(0) if self.says else "done"

    async def hear(self, fact: UserFact) -> None:
        self.facts.append(fact)


@dataclass
class Site:
    """Auth with accounts (SQLite), and what a test looks through."""

    auth: AuthWorkers
    operator: Bus
    redis: Redis
    database: Database
    nats: NatsServer

    @asynccontextmanager
    async def serving(self, shop: Shop, **options: Any) -> AsyncIterator[Client]:
        """*shop* as service-shop, in the account of guests."""
        seed = load_seed(self.nats.secrets_dir, "service-shop")
        async with (
            connect(self.nats.url, name="service-shop", nkey_seed=seed) as client,
            hear_users(client, shop.hear),
            serve_deletions(client, "shop", shop.erase, **options),
        ):
            yield client

    async def ledger(self, *, every: bool = True) -> list[DeletionRow]:
        """What `latchwire deletions list` says."""
        page = await self.operator.ask(OP_DELETIONS_LIST, ListDeletions(all=every))
        assert not page.error
        return list(page.deletions)

    async def completed(self) -> DeletionRow:
        """The one deletion, once it is complete."""

        async def complete() -> bool:
            rows = await self.ledger()
            return len(rows) == 1 and rows[0].complete

        await eventually(complete)
        return (await self.ledger())[0]


@pytest.fixture
async def site(
    nats_server: NatsServer, redis_server: RedisServer, bus_of: BusFactory, tmp_path: Path
) -> AsyncIterator[Site]:
    """Two processes of auth on one store, waiting for service-shop."""
    url = f"sqlite:///{tmp_path / 'accounts.db'}"
    async with (
        running_workers(
            nats_server,
            redis_server,
            nats_server.secrets_dir,
            accounts_url=url,
            deletion_services="shop",
        ) as auth,
        connect_redis(redis_server.url) as redis,
        Database(url) as database,
    ):
        yield Site(auth, await bus_of("operator"), redis, database, nats_server)


async def test_a_deletion_ends_everything_and_reaches_every_service(site: Site) -> None:
    """Sessions, tokens and links are over with the answer; the shop hears, is asked, and says done."""
    shop, auth = Shop(), site.auth
    one, two = await auth.sign_in(), await auth.sign_in(headers={"User-Agent": "curl/8"})
    unopened = auth.token_of(await auth.ask())
    async with site.serving(shop):
        answer = await auth.call("DELETE", "/auth/me", headers=bearer(one["access_token"]))
        body = await answer.json()
        row = await site.completed()
        await eventually(lambda: [f.fact for f in shop.facts] == ["deleted"])

    assert answer.status == 202
    assert body == {"deletion_id": row.deletion_id, "deadline": row.deadline}
    assert [(e.deletion_id, e.sub, e.email) for e in shop.asked] == [
        (row.deletion_id, row.sub, ADA)
    ]
    assert shop.facts[0].sub == row.sub
    assert "@" not in row.sub
    for tokens in (one, two):
        for door in (0, 1):
            await eventually(partial(is_revoked, auth, tokens["access_token"], door))
        renewed = await auth.call(
            "POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]}
        )
        assert renewed.status == 401
    assert (await auth.call("POST", "/auth/link", {"token": unopened})).status == 410
    assert not await site.ledger(every=False)
    assert [(s.service, s.asked, s.answered_at is not None) for s in row.services] == [
        ("auth", 1, True), ("shop", 1, True),
    ]  # fmt: skip


async def is_revoked(auth: AuthWorkers, access: str, door: int = 0) -> bool:
    """Whether the word of the end has come to that process of auth."""
    me = await auth.call("GET", "/auth/me", headers=bearer(access), door=door)
    return (me.status, (await me.json()).get("code")) == (401, "token_revoked")


async def test_who_comes_back_is_somebody_else(site: Site) -> None:
    """The address is free again; the old id is nobody's, and old tokens are not the new person's."""
    shop, auth = Shop(), site.auth
    async with site.serving(shop):
        old = await auth.sign_in()
        answer = await auth.call("DELETE", "/auth/delete", headers=bearer(old["access_token"]))
        row = await site.completed()
        new = await auth.sign_in()

    assert answer.status == 202
    me = await (await auth.call("GET", "/auth/me", headers=bearer(new["access_token"]))).json()
    assert me["email"] == ADA
    assert me["sub"] not in {row.sub, ADA}
    await eventually(partial(is_revoked, auth, old["access_token"]))


async def test_nothing_of_the_person_is_left_but_what_is_stated(site: Site) -> None:
    """The address of a canary, in every table, key, value and stream: two have it, for a stated time."""
    auth = site.auth
    async with site.serving(Shop()):
        one = await auth.sign_in(CANARY)
        await auth.sign_in(
            CANARY, headers={"User-Agent": "curl/8"}
        )  # a new browser: a notice for 7 days
        await auth.ask(CANARY)
        before = await kept_in_redis(site.redis)
        assert CANARY in before
        await auth.call("DELETE", "/auth/me", headers=bearer(one["access_token"]))
        row = await site.completed()

    assert CANARY not in await kept_in_sql(site.database)
    after = await kept_in_redis(site.redis)
    assert CANARY not in after
    assert row.sub not in after
    assert {key.split(":")[-1] for key in after.split() if "lw:subject:" in key} & {
        "sessions", "browsers", "sign_in",
    } == set()  # fmt: skip
    kept = kept_in_streams(site.nats)
    # USER: what tokens of the address said before it had an account (previous_sub), for its 30 days.
    named = {name for name, content in kept.items() if CANARY.encode() in content}
    assert named == {"LOGIN", "USER"}
    told = {name for name, content in kept.items() if row.sub.encode() in content}
    assert told == {"LOGIN", "TOKEN", "USER"}


async def kept_in_sql(database: Database) -> str:
    async with database.reading() as connection:
        rows = [
            repr(tuple(row))
            for table in metadata.sorted_tables
            for row in await connection.execute(select(table))
        ]
    assert rows
    return "\n".join(rows)


async def kept_in_redis(redis: Redis) -> str:
    """Every key with its value."""
    readers = {
        b"string": lambda key: redis.get(key),
        b"hash": lambda key: redis.hgetall(key),
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"set": lambda key: redis.smembers(key),
    }
    lines = []
    async for key in redis.scan_iter("*"):
        value = await readers[await redis.type(key)](key)
        lines.append(f"{key.decode()} {value!r}")
    return "\n".join(lines)


def kept_in_streams(nats: NatsServer) -> dict[str, bytes]:
    """Every byte of every stream's files."""
    folder = nats.log.parent / "js" / "jetstream" / "CORE" / "streams"
    return {
        stream.name: b"".join(
            path.read_bytes() for path in (folder / stream.name).rglob("*") if path.is_file()
        )
        for stream in STREAMS
    }


async def test_an_old_session_has_to_sign_in_again_first(site: Site) -> None:
    """Eleven minutes after signing in: RFC 9470's challenge; nothing was deleted."""
    tokens = await site.auth.sign_in()
    old = aged(tokens["access_token"], site.auth.secrets_dir, seconds=660)

    for path in ("/auth/me", "/auth/delete"):
        answer = await site.auth.call("DELETE", path, headers=bearer(old))
        assert (answer.status, (await answer.json())["code"]) == (401, "reauthentication_required")
        challenge = answer.headers["WWW-Authenticate"]
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'max_age="600"' in challenge
    assert not await site.ledger()
    assert (await site.auth.call("GET", "/auth/me", headers=bearer(old))).status == 200


def aged(token: str, secrets_dir: Path, *, seconds: int) -> str:
    """The same token of a session that began so much earlier."""
    payload = token.split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["auth_time"] -= seconds
    return PyJWTTokens.load(secrets_dir, TokenPolicy(issuer=URL, audience="latchwire")).sign(claims)


async def test_another_site_deletes_nobody(site: Site) -> None:
    """A cookie alone is not enough; without any credential it is 401."""
    cookies = await site.auth.sign_in_with_cookies()
    cross = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}

    refused = await site.auth.call("DELETE", "/auth/me", headers=cross, cookies=cookies)
    nobody = await site.auth.call("DELETE", "/auth/me")
    own = await site.auth.call("DELETE", "/auth/me", headers=ORIGIN, cookies=cookies)

    assert (refused.status, nobody.status, own.status) == (403, 401, 202)
    assert {own.cookies[name].value for name in own.cookies} == {""}, "the browser forgets too"


async def test_the_last_owner_is_told_which_organisations_to_hand_over(site: Site) -> None:
    """409 with their names; nothing has ended. Alone in it, the organisation goes with the person."""
    auth = site.auth
    ada, bob = await auth.sign_in(), await auth.sign_in("bob@acme.com")
    headers = bearer(ada["access_token"])
    org = (await (await auth.call("POST", "/auth/orgs", {"name": "Acme"}, headers=headers)).json())[
        "org"
    ]
    bobs = (await (await auth.call("GET", "/auth/me", headers=bearer(bob["access_token"]))).json())[
        "sub"
    ]
    async with site.database.writing() as connection:
        await connection.execute(members.insert(), {"org": org, "sub": bobs, "joined_at": 1})

    refused = await auth.call("DELETE", "/auth/me", headers=headers)

    body = await refused.json()
    assert (refused.status, body["code"]) == (409, "last_owner")
    assert body["organisations"] == [{"org": org, "name": "Acme"}]
    assert (await auth.call("GET", "/auth/me", headers=headers)).status == 200
    async with site.database.writing() as connection:
        await connection.execute(members.delete().where(members.c.sub == bobs))
    assert (await auth.call("DELETE", "/auth/me", headers=headers)).status == 202
    gone = await auth.call("GET", f"/auth/orgs/{org}", headers=bearer(bob["access_token"]))
    assert gone.status == 404


async def test_five_at_once_are_one_deletion(site: Site) -> None:
    """Both doors; each is answered 202, or 401 by what the first one ended; one row, one word, one question."""
    shop, auth = Shop(), site.auth
    tokens = await auth.sign_in()
    async with site.serving(shop):
        async with asyncio.TaskGroup() as five:
            calls = [
                five.create_task(
                    auth.call(
                        "DELETE", "/auth/me", headers=bearer(tokens["access_token"]), door=n % 2
                    )
                )
                for n in range(5)
            ]
        await site.completed()

    statuses = [call.result().status for call in calls]
    assert set(statuses) <= {202, 401}
    assert 202 in statuses
    assert len(shop.asked) == 1
    assert len({fact.id for fact in shop.facts if fact.fact == "deleted"}) == 1
    kept = kept_in_streams(site.nats)
    assert kept["LOGIN"].count(b'"notice":"account_deleted"') == 1, "one goodbye"
    assert kept["USER"].count(b"user.deleted") == 2, "subject and ce-type of one message"
    async with site.database.reading() as connection:
        assert (await connection.execute(select(accounts))).all() == []
