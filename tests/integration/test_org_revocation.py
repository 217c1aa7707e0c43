"""A role is lost: what the old token opened is closed at a real edge, and the session goes on.

The race of a renewal with the change itself too: a token that was made of what was read before the change is
refused like every other one of before.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.domain.account import Standing
from services.auth.domain.client import UNKNOWN
from services.auth.domain.outcomes import Refreshed
from services.auth.domain.roles import DEFAULT
from services.auth.flows.session import SessionFlow
from shared.contract import TOKEN_REVOKED, USER_ROLES_CHANGED
from tests.support.house import House, running_house
from tests.support.people import Person, everybody, organisation_of
from tests.support.skewed import Installation
from tests.support.waiting import eventually

STAFF = """\
services:
  staff:
    paths: [/demo]
    upstream: http://127.0.0.1:9100
    roles: ["org:admin"]
"""


@dataclass
class Site:
    """Ada owns Acme, Bob is an admin of it, and it is active in his session; /demo is for its admins."""

    house: House
    database: Database
    ada: Person
    bob: Person
    org: str
    changed: list[Any] = field(default_factory=list)

    async def edge(self, token: str) -> tuple[int, str]:
        """Status and reason for a bearer."""
        return await self.house.edge.check(bearer=token.encode())

    async def refuses(self, token: str) -> None:
        """Until the edge refuses the token, and a service that has the package does."""

        async def refused() -> bool:
            return await self.edge(token) == (401, "token_revoked")

        await eventually(refused)
        await eventually(lambda: not self.house.sdk_accepts(token))

    async def give(self, *roles: str) -> None:
        """Ada gives Bob exactly these."""
        path = f"/auth/orgs/{self.org}/members/{self.bob.sub}/roles"
        answer = await self.ada.call("PUT", path, {"roles": list(roles)})
        assert answer.status == 204, await answer.text()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """The whole house."""
    url = f"sqlite:///{tmp_path / 'accounts.db'}"
    async with (
        running_house(tmp_path, services=STAFF, accounts_url=url) as house,
        Database(url) as database,
    ):
        people = await everybody(house.auth, "ada", "bob")
        ada, bob = people["ada"], people["bob"]
        org, _ = await organisation_of(database, {ada.sub: ["owner"], bob.sub: ["admin"]})
        await bob.renew(org=org)
        found = Site(house, database, ada, bob, org)
        await house.bus.listen(USER_ROLES_CHANGED, partial(_write_down, found.changed))
        yield found


async def _write_down(notes: list[Any], message: Any) -> None:
    notes.append(message)


async def test_who_loses_a_role_keeps_the_session_and_nothing_else(site: Site) -> None:
    """Whatever takes it, also while the token is being made: one house for both."""
    await check_every_way_to_lose_a_role(site)
    site.org, _ = await organisation_of(
        site.database, {site.ada.sub: ["owner"], site.bob.sub: ["admin"]}
    )
    await site.bob.renew(org=site.org)
    await check_a_renewal_that_read_before_the_change(site)


async def check_every_way_to_lose_a_role(site: Site) -> None:
    """Demoted, promoted, removed, and the organisation deleted: the edge, the next token, the word of it."""
    bob, before = site.bob, site.bob.access
    assert await site.edge(before) == (200, "")

    await site.give("member")
    await site.refuses(before)
    await bob.renew()
    assert await site.edge(bob.access) == (403, "not_allowed")
    assert (await bob.me())["roles"] == ["org:member"]
    assert (await bob.me())["permissions"] == ["members.read"]

    await site.give("admin")
    await bob.renew()
    before = bob.access
    assert await site.edge(before) == (200, "")

    removed = await site.ada.call("DELETE", f"/auth/orgs/{site.org}/members/{bob.sub}")
    assert removed.status == 204
    await site.refuses(before)
    await bob.renew()
    me = await bob.me()
    assert (me["org"], me["roles"], me["permissions"]) == ("", [], [])
    assert await site.edge(bob.access) == (403, "not_allowed")
    body = {"refresh_token": bob.refresh, "org": site.org}
    assert (await bob.site.call("POST", "/auth/refresh", body)).status == 404
    sessions = (await (await bob.call("GET", "/auth/sessions")).json())["sessions"]
    assert len(sessions) == 1

    await site.ada.renew(org=site.org)
    owned = site.ada.access
    assert (await site.ada.call("DELETE", f"/auth/orgs/{site.org}")).status == 204
    await site.refuses(owned)
    await site.ada.renew()
    assert (await site.ada.me())["org"] == ""

    await eventually(lambda: len(site.changed) == 4)
    assert [event.sub for event in site.changed] == [bob.sub] * 3 + [site.ada.sub]
    assert {event.org for event in site.changed} == {site.org}
    said = site.house.auth.said(TOKEN_REVOKED)
    assert {(e.scope, e.applies_to) for e in said} == {("subject", "access")}


@dataclass
class PausedSubjects:
    """How people stand in the real store; waits after it has read that."""

    accounts: SQLAccounts
    read: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    changes: bool = True

    async def standing(self, sub: str, _email: str, org: str) -> Standing:
        rights = await self.accounts.rights(sub, org)
        assert rights is not None
        self.read.set()
        await self.go_on.wait()
        return DEFAULT.standing(rights, org)


@asynccontextmanager
async def another_process(site: Site) -> AsyncIterator[tuple[SessionFlow, PausedSubjects]]:
    """A second auth on the same stores, that can be held between reading and writing."""
    house = site.house
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        secrets = house.nats.secrets_dir
        workers = Installation(house.nats, house.redis_server, secrets, tasks, stack)
        desk = await workers.desk(0)
        accounts = SQLAccounts(site.database, desk.ports.keys.index, desk.ports.clock)
        subjects = PausedSubjects(accounts)
        yield replace(desk.context.sessions, subjects=subjects), subjects
        await workers.stop()


async def check_a_renewal_that_read_before_the_change(site: Site) -> None:
    """The roles are taken between reading them and making the token: that token opens nothing."""
    async with another_process(site) as (flow, subjects):
        async with asyncio.TaskGroup() as tasks:
            renewing = tasks.create_task(
                flow.refresh(site.bob.refresh, client=UNKNOWN, cookies=False)
            )
            await subjects.read.wait()
            await site.give("member")
            subjects.go_on.set()
        renewed = renewing.result()
        assert isinstance(renewed, Refreshed)
        stale = renewed.tokens
        assert "org:admin" in flow.access_tokens.read(stale.access, flow.clock.now_ms()).roles
        await site.refuses(stale.access)
        site.bob.access, site.bob.refresh = stale.access, stale.refresh
        await site.bob.renew()
        assert await site.edge(site.bob.access) == (403, "not_allowed")
        assert (await site.bob.me())["roles"] == ["org:member"]
