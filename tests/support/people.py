"""People who are signed in where accounts are on, and organisations with them in it, for tests."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientResponse

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_schema import (
    accounts,
    invitations,
    member_roles,
    members,
    organisations,
)
from services.auth.domain.org import INVITATION_MS
from services.auth.http.form_tokens import FormTokens
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.secrets import load_symmetric
from tests.support.auth_workers import ORIGIN, AuthWorkers, bearer

IDS, CLOCK = SystemIds(), SystemClock()


@dataclass
class Person:
    """One who is signed in. *access* and *refresh* are of the living session."""

    site: AuthWorkers
    email: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    sub: str = ""

    async def call(self, method: str, path: str, body: Any = None) -> ClientResponse:
        """One request; where the access token was revoked, renewed and once more, as browsers do it."""
        answer = await self.site.call(method, path, body, headers=bearer(self.access))
        if answer.headers.get("X-Latchwire-Reason") == "token_revoked":
            await self.renew()
            answer = await self.site.call(method, path, body, headers=bearer(self.access))
        return answer

    async def renew(self, **choice: str) -> None:
        """The next token; ``org=`` switches."""
        body = {"refresh_token": self.refresh, **choice}
        answer = await self.site.call("POST", "/auth/refresh", body)
        assert answer.status == 200, await answer.text()
        tokens = await answer.json()
        self.access, self.refresh = tokens["access_token"], tokens["refresh_token"]

    async def me(self) -> dict[str, Any]:
        """What the access token says."""
        answer = await self.call("GET", "/auth/me")
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def browse(
    site: AuthWorkers, access: str, method: str, path: str, data: Mapping[str, str] | None = None
) -> ClientResponse:
    """As a browser that has the cookie *access* ("": none) and was shown the form that *data* is typed into."""
    nonce, keys = IDS.secret(), FormTokens(load_symmetric(site.secrets_dir, "csrf"))
    token = {"form_token": keys.issue(path.rpartition("/")[2], nonce)}
    cookies = {"latchwire-dev-login": nonce} | ({"latchwire-dev": access} if access else {})
    options: dict[str, Any] = {"data": {**data, **token}} if data is not None else {}
    return await site.call(method, path, cookies=cookies, headers=ORIGIN, **options)


async def signed_in(site: AuthWorkers, name: str) -> Person:
    """*name*@acme.com, by a link."""
    email = f"{name}@acme.com"
    tokens = await site.sign_in(email)
    person = Person(site, email, tokens["access_token"], tokens["refresh_token"])
    person.sub = (await person.me())["sub"]
    return person


async def everybody(site: AuthWorkers, *names: str) -> dict[str, Person]:
    """All of them, at once."""
    async with asyncio.TaskGroup() as tasks:
        found = {name: tasks.create_task(signed_in(site, name)) for name in names}
    return {name: task.result() for name, task in found.items()}


async def account_of(database: Database, email: str) -> str:
    """An account that nobody is signed in to; its sub."""
    sub = IDS.ulid(CLOCK.now_ms())
    row = {"sub": sub, "email": email, "created_at": 1, "verified_at": 1, "password_hash": ""}
    async with database.writing() as connection:
        await connection.execute(accounts.insert().values(row))
    return sub


async def organisation_of(
    database: Database, roles: Mapping[str, Sequence[str]], guest: str = "guest@acme.com"
) -> tuple[str, str]:
    """An organisation whose members (by sub) have *roles*, and an open invitation to *guest*; their ids."""
    org, invitation, now = IDS.ulid(CLOCK.now_ms()), IDS.ulid(CLOCK.now_ms()), CLOCK.now_ms()
    offer = {
        "invitation": invitation,
        "org": org,
        "email": guest,
        "roles": "member",
        "invited_by": next(sub for sub, held in roles.items() if "owner" in held),
        "created_at": now,
        "expires_at": now + INVITATION_MS,
    }
    held = [{"org": org, "sub": sub, "role": r} for sub, roles_ in roles.items() for r in roles_]
    async with database.writing() as connection:
        values = {"org": org, "name": "Acme", "created_at": now}
        await connection.execute(organisations.insert().values(values))
        rows = [{"org": org, "sub": sub, "joined_at": now} for sub in roles]
        await connection.execute(members.insert(), rows)
        await connection.execute(member_roles.insert(), held)
        await connection.execute(invitations.insert().values(offer))
    return org, invitation
