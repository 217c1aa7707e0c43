"""The matrix of organisations: every route of one, for everybody who may and may not.

Own organisation with each role, without a role, with a role that nobody knows; another one; none; a deleted
one; one that never was; and nobody signed in. What is refused changes nothing, and to whom an organisation is
not his there is nothing to tell it from one that does not exist.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_orgs import SQLOrgs
from services.auth.http.policy import ROWS
from shared.ids import SystemIds
from tests.support.auth_workers import AuthWorkers, running_workers
from tests.support.people import Person, account_of, browse, everybody, organisation_of
from tests.support.servers import NatsServer, RedisServer

IN_IT = {"owner": ["owner"], "admin": ["admin"], "member": ["member"], "bare": [], "root": ["root"]}
# Columns: those in it; then who is elsewhere, nowhere, in one that is gone, or asks for one that never was.
MEMBERS = tuple(IN_IT)
OUTSIDE = ("stranger", "loner", "gone", "never")

GUEST = {"email": "new@acme.com", "roles": ["member"]}
# method, path and body -> the status for each of MEMBERS; OUTSIDE is 404 throughout, signed out 401.
MATRIX: dict[tuple[str, str, str], tuple[Any, list[int]]] = {
    ("GET", "/auth/orgs/{org}", ""): (None, [200, 200, 200, 200, 200]),
    ("PATCH", "/auth/orgs/{org}", ""): ({"name": "New"}, [204, 204, 403, 403, 403]),
    ("GET", "/auth/orgs/{org}/members", ""): (None, [200, 200, 200, 403, 403]),
    ("PUT", "/auth/orgs/{org}/members/{sub}/roles", "up to admin"): (
        {"roles": ["admin"]}, [204, 204, 403, 403, 403],
    ),
    ("PUT", "/auth/orgs/{org}/members/{sub}/roles", "up to owner"): (
        {"roles": ["owner"]}, [204, 403, 403, 403, 403],
    ),
    ("PUT", "/auth/orgs/{org}/members/{spare}/roles", "an owner down"): (
        {"roles": ["member"]}, [204, 403, 403, 403, 403],
    ),
    ("PUT", "/auth/orgs/{org}/members/{self}/roles", "oneself up"): (
        {"roles": ["admin", "owner"]}, [204, 403, 403, 403, 403],
    ),
    ("PUT", "/auth/orgs/{org}/members/{self}/roles", "oneself down"): (
        {"roles": []}, [204, 204, 403, 403, 403],
    ),
    ("PUT", "/auth/orgs/{org}/members/{outsider}/roles", "no member"): (
        {"roles": ["member"]}, [404, 404, 403, 403, 403],
    ),
    ("PUT", "/auth/orgs/{org}/members/{sub}/roles", "no role"): (
        {"roles": ["root"]}, [400, 400, 403, 403, 403],
    ),
    ("DELETE", "/auth/orgs/{org}/members/{sub}", "a member"): (None, [204, 204, 403, 403, 403]),
    ("DELETE", "/auth/orgs/{org}/members/{spare}", "an owner"): (None, [204, 403, 403, 403, 403]),
    ("DELETE", "/auth/orgs/{org}/members/{outsider}", "nobody"): (None, [404, 404, 403, 403, 403]),
    ("DELETE", "/auth/orgs/{org}/members/{self}", "leave"): (None, [204, 204, 204, 204, 204]),
    ("GET", "/auth/orgs/{org}/invitations", ""): (None, [200, 200, 403, 403, 403]),
    ("POST", "/auth/orgs/{org}/invitations", "a member"): (GUEST, [201, 201, 403, 403, 403]),
    ("POST", "/auth/orgs/{org}/invitations", "an owner"): (
        GUEST | {"roles": ["owner"]}, [201, 403, 403, 403, 403],
    ),
    ("POST", "/auth/orgs/{org}/invitations", "who is in it"): (
        GUEST | {"email": "spare@acme.com"}, [409, 409, 403, 403, 403],
    ),
    ("DELETE", "/auth/orgs/{org}/invitations/{id}", ""): (None, [204, 204, 403, 403, 403]),
    ("DELETE", "/auth/orgs/{org}/invitations/{foreign}", ""): (None, [404, 404, 403, 403, 403]),
    ("GET", "/auth/orgs/{org}/service-tokens", ""): (None, [200, 200, 403, 403, 403]),
    ("DELETE", "/auth/orgs/{org}/service-tokens/{foreign}", ""): (
        None, [404, 404, 403, 403, 403],
    ),
    ("DELETE", "/auth/orgs/{org}", ""): (None, [204, 403, 403, 403, 403]),
}  # fmt: skip
# The pages: what each of MEMBERS is answered, and whose form changes something. OUTSIDE: 404, and nothing.
SHOWN = {
    "/auth/account/orgs/{org}": [200, 200, 200, 200, 200],
    "/auth/account/orgs/{org}/settings": [
        200,
        200,
        200,
        200,
        200,
    ],  # without the forms one may not use
    "/auth/account/orgs/{org}/members/{sub}": [200, 200, 200, 404, 404],
    "/auth/account/orgs/{org}/service-tokens": [200, 200, 404, 404, 404],
}
UP_TO_ADMIN, OWNER_ONLY = [True, True, False, False, False], [True, False, False, False, False]
MAIL = {"email": "new@acme.com"}
FORMS: dict[tuple[str, str], tuple[dict[str, str], list[bool]]] = {
    ("org-rename", ""): ({"name": "New"}, UP_TO_ADMIN),
    ("org-roles", "to admin"): ({"member": "{sub}", "role-admin": "on"}, UP_TO_ADMIN),
    ("org-roles", "to owner"): ({"member": "{sub}", "role-owner": "on"}, OWNER_ONLY),
    ("org-roles", "oneself"): ({"member": "{self}", "role-owner": "on"}, [False] * 5),
    ("org-remove", "a member"): ({"member": "{sub}"}, UP_TO_ADMIN),
    ("org-remove", "an owner"): ({"member": "{spare}"}, OWNER_ONLY),
    ("org-invite", "a member"): (MAIL | {"role-member": "on"}, UP_TO_ADMIN),
    ("org-invite", "an owner"): (MAIL | {"role-owner": "on"}, OWNER_ONLY),
    ("org-withdraw", ""): ({"invitation": "{id}"}, UP_TO_ADMIN),
    ("org-withdraw", "another's"): ({"invitation": "{foreign}"}, [False] * 5),
    ("org-leave", ""): ({}, [True] * 5),
    ("org-delete", ""): ({}, OWNER_ONLY),
    ("org-end-token", "another's"): ({"token": "{foreign}"}, [False] * 5),
}
SAME_ROUTE = {"{self}": "{sub}", "{spare}": "{sub}", "{outsider}": "{sub}", "{foreign}": "{id}"}


def route_of(method: str, path: str) -> tuple[str, str]:
    """As the router has it."""
    for name, plain in SAME_ROUTE.items():
        path = path.replace(name, plain)
    return method, path


def test_every_route_of_an_organisation_stands_in_the_matrix() -> None:
    """Whoever adds one adds a row here."""
    json_routes = {r for r, p in ROWS.items() if "{org}" in r[1] and p.answers == "json"}
    assert {route_of(method, path) for method, path, _ in MATRIX} == json_routes
    assert {path for _, path in ROWS if path.startswith("/auth/account/orgs/")} == SHOWN.keys()
    forms = {path.rpartition("/")[2] for _, path in ROWS if path.startswith("/auth/form/org-")}
    assert forms - {"org-create"} == {form for form, _ in FORMS}


@dataclass
class World:
    """Everybody, and the store."""

    site: AuthWorkers
    people: dict[str, Person]
    database: Database
    subs: dict[str, str]  # accounts nobody is signed in to
    foreign: str  # an invitation of another organisation
    gone: str  # an organisation that was deleted
    untouched: tuple[str, str, object] | None = None  # one that the last cell left as it was

    async def state(self, org: str) -> object:
        """Everything that could be changed."""
        store = SQLOrgs(self.database)
        spare = await store.membership(org, self.subs["spare"])
        return spare, await store.members(org, "", 100), await store.invitations(org, 0)


@pytest.fixture
async def world(
    nats_server: NatsServer, redis_server: RedisServer, secrets_dir: Path, tmp_path: Path
) -> AsyncIterator[World]:
    """One house for all of it."""
    url = f"sqlite:///{tmp_path / 'accounts.db'}"
    async with (
        running_workers(
            nats_server, redis_server, secrets_dir, doors=1, accounts_url=url,
            limit_network="100000/1m", limit_address="1000/h",
        ) as site,
        Database(url) as database,
    ):  # fmt: skip
        people = await everybody(site, *MEMBERS, "stranger", "loner")
        subs = {
            name: await account_of(database, f"{name}@acme.com")
            for name in ("spare", "target", "outsider")
        }
        elsewhere, foreign = await organisation_of(database, {people["stranger"].sub: ["owner"]})
        await people["stranger"].renew(org=elsewhere)
        gone, _ = await organisation_of(database, {people["owner"].sub: ["owner"]})
        assert (await people["owner"].call("DELETE", f"/auth/orgs/{gone}")).status == 204
        yield World(site, people, database, subs, foreign, gone)


async def test_the_matrix(world: World) -> None:
    """Every cell, each with an organisation of its own."""
    wrong = [cell for row in MATRIX for cell in await check_row(world, row)]
    wrong += await check_pages(world)
    assert not wrong, "\n".join(wrong)
    for name, count in (("loner", 0), ("stranger", 1)):
        listed = await (await world.people[name].call("GET", "/auth/orgs")).json()
        assert len(listed["orgs"]) == count
    assert (await world.site.call("GET", "/auth/orgs")).status == 401


@dataclass
class Cell:
    """One person, one organisation that nobody has touched yet, and the one that is asked for."""

    world: World
    person: Person | None
    org: str
    fields: dict[str, str]
    before: object = None

    def fill(self, text: str) -> str:
        """A path or a field with its ids."""
        return text.format(**self.fields)

    async def changed(self) -> bool:
        """Whether anything is different; then the next cell gets another one."""
        different = await self.world.state(self.org) != self.before
        if different:
            self.world.untouched = None
        return different


async def open_cell(world: World, name: str) -> Cell:
    """For the column *name*."""
    who = {"gone": "owner", "never": "owner"}.get(name, name)
    person = world.people.get(who)
    org, invitation, before = world.untouched or await new_organisation(world)
    world.untouched = org, invitation, before
    fields = {
        "org": {"gone": world.gone, "never": SystemIds().ulid(1)}.get(name, org),
        "sub": world.subs["target"],
        "spare": world.subs["spare"],
        "outsider": world.subs["outsider"],
        "self": person.sub if person else "x",
        "id": invitation,
        "foreign": world.foreign,
    }
    return Cell(world, person, org, fields, before)


async def new_organisation(world: World) -> tuple[str, str, object]:
    """With everybody in it; its id, an invitation's, and its state."""
    roles = {world.people[role].sub: held for role, held in IN_IT.items()}
    roles |= {world.subs["spare"]: ["owner"], world.subs["target"]: ["member"]}
    org, invitation = await organisation_of(world.database, roles)
    return org, invitation, await world.state(org)


async def check_row(world: World, row: tuple[str, str, str]) -> list[str]:
    """What is not as the table says."""
    method, path, about = row
    body, statuses = MATRIX[row]
    expected = dict(zip(MEMBERS, statuses, strict=True)) | dict.fromkeys(OUTSIDE, 404)
    wrong = []
    outside = set()
    for name, status in (expected | {"signed out": 401}).items():
        cell = await open_cell(world, name)
        call = cell.person.call if cell.person else world.site.call
        answer = await call(method, cell.fill(path), body)
        if answer.status != status:
            wrong.append(f"{method} {path} ({about}) for {name}: {answer.status}, not {status}")
        if await cell.changed() != (answer.status in {201, 204}):
            wrong.append(f"{method} {path} ({about}) for {name}: {answer.status}, and yet")
        if answer.status >= 400 and name in OUTSIDE:
            outside.add(str({**await answer.json(), "request_id": ""}))
    if len(outside) != 1:
        wrong.append(f"{method} {path} ({about}): {outside} tell organisations apart")
    return wrong


async def check_pages(world: World) -> list[str]:
    """The same over the pages and their forms, with cookies."""
    wrong = []
    for path, statuses in SHOWN.items():
        expected = dict(zip(MEMBERS, statuses, strict=True)) | dict.fromkeys(OUTSIDE, 404)
        for name, status in (expected | {"signed out": 303}).items():
            cell = await open_cell(world, name)
            answer = await browse_as(world, cell, "GET", cell.fill(path))
            if answer.status != status:
                wrong.append(f"{path} for {name}: {answer.status}, not {status}")
    for (form, about), (fields, allowed) in FORMS.items():
        for name in (*MEMBERS, *OUTSIDE, "signed out"):
            cell = await open_cell(world, name)
            filled = {key: cell.fill(value) for key, value in fields.items()}
            data = {"org": cell.fields["org"], **filled}
            answer = await browse_as(world, cell, "POST", f"/auth/form/{form}", data)
            may = dict(zip(MEMBERS, allowed, strict=True)).get(name, False)
            if await cell.changed() != may or answer.status >= 500:
                wrong.append(f"{form} ({about}) for {name}: {answer.status}, changed is not {may}")
            if name in OUTSIDE and answer.status != 404:
                wrong.append(f"{form} ({about}) for {name}: {answer.status}")
    return wrong


async def browse_as(
    world: World, cell: Cell, method: str, path: str, data: dict[str, str] | None = None
) -> ClientResponse:
    """As a browser that was shown the form, with the newest cookies."""
    if cell.person:
        await cell.person.me()  # renewed where it was revoked
    access = cell.person.access if cell.person else ""
    return await browse(world.site, access, method, path, data)
