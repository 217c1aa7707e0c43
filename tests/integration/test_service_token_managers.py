"""People who manage the tokens of services: what each of the three permissions opens over HTTP, what not."""

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.auth.adapters.sql import Database
from services.auth.domain.service_tokens import MANAGE, MANAGE_ANY
from shared.contract import OP_USERS_ROLES
from shared.ids import SystemIds
from shared.messages import SetRoles
from shared.service_tokens import is_service_token
from tests.support.auth_workers import bearer
from tests.support.command_line import CommandLine
from tests.support.house import House, running_house
from tests.support.html import Page, parse_page
from tests.support.people import Person, browse, everybody, organisation_of
from tests.support.revocation import environment
from tests.support.service_tokens import kept_token
from tests.support.waiting import eventually

IDS = SystemIds()
PATH, END = "/auth/service-tokens", "/auth/form/org-end-token"
ROLES = f"""\
installation:
  clerk: [{MANAGE}]
  wages: [{MANAGE}, "{MANAGE}:payroll", orders.read]
  boss: [{MANAGE}, {MANAGE_ANY}]
organisation:
  owner: [members.invite, members.read, members.remove, members.roles, org.delete, org.rename, books.read]
"""
SERVICES = """\
services:
  demo:
    paths: [/demo]
    upstream: http://127.0.0.1:9100
    token_types: [user, service]
    callers: ["*"]
  tenants:
    paths: [/tenants]
    upstream: http://127.0.0.1:9101
    token_types: [user, service]
    callers: ["*"]
    organisation: "*"
  books:
    paths: [/books]
    upstream: http://127.0.0.1:9102
    token_types: [user, service]
    callers: ["*"]
    permissions: [books.read]
    organisation: ["01M81SY5HEDCXNEG1QXJ2JK3YV"]
"""
BEYOND, MISSING = (403, "beyond_own_permissions"), (403, "permission_missing")
DONE: tuple[int, str] = (201, "")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Office:
    """The house, and people of whom three have a role by their own name."""

    house: House
    people: dict[str, Person]
    accounts_url: str

    async def says(
        self, who: str, method: str, path: str = PATH, body: Any = None
    ) -> tuple[int, str]:
        """Status and code."""
        answer = await self.people[who].call(method, path, body)
        told = await answer.json() if answer.status != 204 else {}
        return answer.status, told.get("code", "")

    async def made(self, service: str) -> str:
        """The id of a new token of *service*, as an operator makes it, that auth knows."""
        await kept_token(self.house.bus, service)
        listed = await (await self.people["boss"].call("GET", PATH)).json()
        return str(max(row["id"] for row in listed["tokens"] if row["service"] == service))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    """Everything, once for all tests here."""
    folder = tmp_path_factory.mktemp("office")
    (folder / "roles.yaml").write_text(ROLES)
    url = f"sqlite:///{folder / 'accounts.db'}"
    settings = {"services": SERVICES, "accounts_url": url, "roles": folder / "roles.yaml"}
    async with running_house(folder, named=True, **settings) as house:
        people = await everybody(house.auth, "nobody", "clerk", "wages", "boss")
        for name in ("clerk", "wages", "boss"):
            request = SetRoles(email=f"{name}@acme.com", grant=(name,))
            assert not (await house.bus.ask(OP_USERS_ROLES, request)).error
            await people[name].renew()
        yield Office(house, people, url)


MAKING: tuple[tuple[str, dict[str, Any], tuple[int, str]], ...] = (
    ("nobody", {"service": "payroll"}, MISSING),
    ("clerk", {"service": "payroll"}, BEYOND),
    ("clerk", {"service": "clerk"}, BEYOND),
    ("wages", {"service": "payroll"}, DONE),
    ("wages", {"service": "payroll", "scopes": ["orders.read"]}, DONE),
    ("wages", {"service": "payroll", "scopes": ["orders.write"]}, BEYOND),
    ("wages", {"service": "payroll", "scopes": [MANAGE_ANY]}, BEYOND),
    ("wages", {"service": "payroll-eu"}, BEYOND),
    ("wages", {"service": "pay"}, BEYOND),
    ("wages", {"service": "bot"}, BEYOND),
    ("boss", {"service": "bot"}, DONE),
    ("boss", {"service": "payroll"}, DONE),
    ("boss", {"service": "bot", "scopes": ["orders.read"]}, BEYOND),
)


@pytest.mark.parametrize(("who", "body", "answer"), MAKING)
async def test_a_person_makes_tokens_of_the_names_he_was_given(
    office: Office, who: str, body: dict[str, Any], answer: tuple[int, str]
) -> None:
    """``service_tokens.manage`` alone is nobody's name; none gives a scope that he does not have."""
    assert await office.says(who, "POST", PATH, body) == answer
    if answer == DONE:
        for row in (await (await office.people["boss"].call("GET", PATH)).json())["tokens"]:
            await office.says("boss", "DELETE", f"{PATH}/{row['id']}")


@pytest.mark.parametrize(
    ("who", "service", "rotated", "revoked"),
    [
        ("nobody", "payroll", MISSING, MISSING),
        ("clerk", "payroll", BEYOND, BEYOND),
        ("wages", "bot", BEYOND, BEYOND),
        ("wages", "payroll", DONE, (204, "")),
        ("boss", "payroll", DONE, (204, "")),
        ("boss", "bot", DONE, (204, "")),
    ],
)
async def test_a_person_rotates_and_ends_the_same_ones(
    office: Office, who: str, service: str, rotated: tuple[int, str], revoked: tuple[int, str]
) -> None:
    """Who may not hears the same as of one that he may not make, whether it is there or not to him."""
    path = f"{PATH}/{await office.made(service)}"
    assert await office.says(who, "POST", path + "/rotate") == rotated
    assert await office.says(who, "DELETE", path) == revoked
    for row in (await (await office.people["boss"].call("GET", PATH)).json())["tokens"]:
        await office.says("boss", "DELETE", f"{PATH}/{row['id']}")


async def test_a_person_lists_the_tokens_he_may_manage_and_no_others(office: Office) -> None:
    """Not their number either."""
    for service in ("payroll", "bot"):
        await office.made(service)
    seen = {}
    for who in ("clerk", "wages", "boss"):
        listed = await (await office.people[who].call("GET", PATH)).json()
        seen[who] = {row["service"] for row in listed["tokens"]}
    assert seen == {"clerk": set(), "wages": {"payroll"}, "boss": {"payroll", "bot"}}
    assert await office.says("nobody", "GET") == MISSING
    for row in listed["tokens"]:
        await office.says("boss", "DELETE", f"{PATH}/{row['id']}")


async def test_what_a_person_made_works_and_names_its_maker_by_no_address(office: Office) -> None:
    """``created_by`` is the account's id: it outlives a changed address, and tells nobody one."""
    wages = office.people["wages"]
    made = await (await wages.call("POST", PATH, {"service": "payroll"})).json()
    assert is_service_token(made["token"].encode())
    assert made["created_by"] == wages.sub
    assert "@" not in str(made)

    async def let_in() -> bool:
        return (await office.house.edge.check(bearer=made["token"].encode()))[0] == 200

    await eventually(let_in)
    assert await office.says("wages", "DELETE", f"{PATH}/{made['id']}") == (204, "")


async def test_a_browser_makes_no_token_whatever_its_owner_may(office: Office) -> None:
    """A page that makes a browser send its cookies gets nothing: the access cookie does not count here."""
    cookies = await office.house.auth.sign_in_with_cookies("boss@acme.com")
    call, body = office.house.auth.call, {"service": "bot"}
    for headers in ({}, {"Origin": "http://localhost:8080"}):
        answer = await call("POST", PATH, body, cookies=cookies, headers=headers)
        assert (answer.status, (await answer.json())["code"]) == (401, "no_credentials")


async def test_who_loses_the_role_manages_nothing_from_then_on(office: Office) -> None:
    """With the token of before neither; what was made by him goes on, it is the service's."""
    wages, bus = office.people["wages"], office.house.bus
    made = await (await wages.call("POST", PATH, {"service": "payroll"})).json()
    before = wages.access
    taken = SetRoles(email="wages@acme.com", revoke=("wages",))
    assert not (await bus.ask(OP_USERS_ROLES, taken)).error

    async def refused() -> bool:
        answer = await office.house.auth.call("GET", PATH, headers=bearer(before))
        return (answer.status, (await answer.json())["code"]) == (401, "token_revoked")

    await eventually(refused)
    await wages.renew()
    assert await office.says("wages", "POST", PATH, {"service": "payroll"}) == MISSING
    assert (await office.house.edge.check(bearer=made["token"].encode()))[0] == 200
    given = SetRoles(email="wages@acme.com", grant=("wages",))
    assert not (await bus.ask(OP_USERS_ROLES, given)).error
    await wages.renew()
    assert await office.says("wages", "DELETE", f"{PATH}/{made['id']}") == (204, "")


async def founded(person: Person) -> str:
    """The id of a new organisation of *person*'s, active in the next token."""
    made = await (await person.call("POST", "/auth/orgs", {"name": "Acme"})).json()
    await person.renew(org=made["org"])
    return str(made["org"])


async def answers(office: Office, token: str, path: str, wanted: tuple[int, str]) -> None:
    """Return once the edge says that to *token*."""

    async def said() -> bool:
        return await office.house.edge.check(path, bearer=token.encode()) == wanted

    await eventually(said)


async def test_who_owns_an_organisation_gives_nothing_of_it_beyond_it(office: Office) -> None:
    """Everybody may make one: its permissions in a token of the installation would open all others' routes."""
    wages, body = office.people["wages"], {"service": "payroll", "scopes": ["books.read"]}
    org = await founded(wages)
    await answers(office, wages.access, "/books", (403, "not_allowed"))
    assert await office.says("wages", "POST", PATH, body) == BEYOND
    by_operator = await kept_token(office.house.bus, "payroll", "books.read")
    await answers(office, by_operator, "/books", (200, ""))
    listed = (await (await office.people["boss"].call("GET", PATH)).json())["tokens"]
    (theirs,) = (row["id"] for row in listed if row["scopes"] == ["books.read"])
    assert await office.says("wages", "POST", f"{PATH}/{theirs}/rotate") == BEYOND
    made = await (await wages.call("POST", PATH, body | {"org": org})).json()
    assert (made["org"], made["scopes"]) == (org, ["books.read"])
    await answers(office, made["token"], "/books", (403, "not_allowed"))
    for token_id in (theirs, made["id"]):
        assert await office.says("boss", "DELETE", f"{PATH}/{token_id}") == (204, "")
    await wages.renew(org="")


async def test_a_token_of_an_organisation_is_made_in_it_and_ends_with_it(office: Office) -> None:
    """Only where it is active in the maker's own token; what was made of it says it too, and ends as well."""
    wages, nobody = office.people["wages"], office.people["nobody"]
    strange = await founded(nobody)
    await nobody.renew(org="")
    org, body = await founded(wages), {"service": "payroll"}
    assert await office.says("wages", "POST", PATH, body | {"org": strange}) == BEYOND
    made = await (await wages.call("POST", PATH, body | {"org": org})).json()
    assert made["org"] == org
    await wages.renew(org="")
    assert await office.says("wages", "POST", PATH, body | {"org": org}) == BEYOND
    assert await office.says("wages", "DELETE", f"{PATH}/{made['id']}") == BEYOND
    assert (await (await wages.call("GET", PATH)).json())["tokens"] == []
    await answers(office, made["token"], "/tenants", (200, ""))
    of_none = await kept_token(office.house.bus, "payroll")
    await answers(office, of_none, "/tenants", (200, ""))
    pair = b64encode(f"payroll:{made['token']}".encode()).decode()
    data, headers = {"grant_type": "client_credentials"}, {"Authorization": f"Basic {pair}"}
    granted = await office.house.auth.call("POST", "/auth/token", data=data, headers=headers)
    access = (await granted.json())["access_token"]
    assert office.house.sdk_accepts(access)
    await answers(office, access, "/tenants", (200, ""))
    assert (await wages.call("DELETE", f"/auth/orgs/{org}")).status == 204
    for token in (made["token"], access):
        await answers(office, token, "/tenants", (401, "token_revoked"))
    await answers(office, of_none, "/demo", (200, ""))


async def test_who_owns_an_organisation_ends_its_tokens_also_those_of_who_was_removed(
    office: Office,
) -> None:
    """A removed member knows the token still: whoever may remove one sees it, with its maker, and ends it."""
    wages, owner = office.people["wages"], office.people["nobody"]
    async with Database(office.accounts_url) as database:
        org, _ = await organisation_of(database, {p.sub: ["owner"] for p in (wages, owner)})
    await wages.renew(org=org)
    body, path = {"service": "payroll", "org": org}, f"/auth/orgs/{org}/service-tokens"
    made = await (await wages.call("POST", PATH, body)).json()
    of_none = await office.made("payroll")
    assert (await owner.call("DELETE", f"/auth/orgs/{org}/members/{wages.sub}")).status == 204
    await answers(office, made["token"], "/tenants", (200, ""))
    assert await office.says("wages", "GET", path) == (404, "not_found")
    assert await office.says("wages", "DELETE", f"{path}/{made['id']}") == (404, "not_found")
    listed = await (await owner.call("GET", path)).json()
    assert [(r["id"], r["created_by"]) for r in listed["tokens"]] == [(made["id"], wages.sub)]
    assert await office.says("nobody", "DELETE", f"{path}/{of_none}") == (404, "not_found")
    assert await office.says("nobody", "DELETE", f"{path}/{made['id']}") == (204, "")
    await answers(office, made["token"], "/tenants", (401, "token_revoked"))
    assert (await (await owner.call("GET", path)).json())["tokens"] == []


async def page_of(office: Office, who: Person, org: str) -> tuple[int, Page]:
    """The page of the organisation's service tokens, as *who* has it in a browser."""
    path = f"/auth/account/orgs/{org}/service-tokens"
    answer = await browse(office.house.auth, who.access, "GET", path)
    return answer.status, parse_page(await answer.text())


async def ends(office: Office, who: Person, org: str, token_id: str) -> int:
    """The status when *who* sends the form of the page's button."""
    fields = {"org": org, "token": token_id}
    return (await browse(office.house.auth, who.access, "POST", END, fields)).status


async def test_a_page_shows_who_may_remove_members_the_organisations_tokens_and_ends_them(
    office: Office,
) -> None:
    """What it may, when it was used, until when; none of the installation's, none of another one's."""
    owner, stranger, bus = office.people["nobody"], office.people["clerk"], office.house.bus
    org, elsewhere = await founded(owner), await founded(stranger)
    token = await kept_token(bus, "bot", "books.read", org=org)
    foreign, of_none = await kept_token(bus, "bot", org=elsewhere), await office.made("ledger")
    await answers(office, token, "/tenants", (200, ""))

    async def told() -> bool:
        return "Last used" in (await page_of(office, owner, org))[1].text

    await eventually(told)
    status, page = await page_of(office, owner, org)
    assert (status, page.text.count("bot …")) == (200, 1)
    assert {f"…{token[-4:]}", "books.read"} <= set(page.text.split())
    assert "runs out in 23 hours" in page.text
    assert (await page_of(office, stranger, org))[0] == 404

    (theirs,) = (
        form.fields["token"] for form in (await page_of(office, stranger, elsewhere))[1].forms
    )
    ours = page.form(END).fields["token"]
    assert await ends(office, stranger, org, ours) == 404
    for other in (theirs, of_none, "x"):
        assert await ends(office, owner, org, other) == 303, "as one that is gone already"
    assert (await page_of(office, owner, org))[1].form(END).fields["token"] == ours
    for living in (token, foreign):
        await answers(office, living, "/tenants", (200, ""))

    assert await ends(office, owner, org, ours) == 303
    await answers(office, token, "/tenants", (401, "token_revoked"))
    assert "There are none." in (await page_of(office, owner, org))[1].text
    await answers(office, foreign, "/tenants", (200, ""))
    for row in (await (await office.people["boss"].call("GET", PATH)).json())["tokens"]:
        await office.says("boss", "DELETE", f"{PATH}/{row['id']}")


async def test_an_operator_binds_a_token_and_ends_all_of_an_organisation(
    office: Office, tmp_path: Path
) -> None:
    """``--org`` at create and at revoke; a rotation keeps it, the list tells it."""
    org = await founded(office.people["nobody"])
    latchwire = CommandLine(environment(office.house.nats), tmp_path)
    made = await latchwire.run("tokens", "create", "bot", "--org", org, "--json")
    assert (made.json["org"], made.code) == (org, 0)
    turned = await latchwire.run("tokens", "rotate", str(made.json["id"]), "--json")
    assert turned.json["org"] == org
    listed = await latchwire.run("tokens", "list", "--service", "bot")
    assert listed.out.count(f"of organisation {org}") == 2
    for token in (made, turned):
        await answers(office, str(token.json["token"]), "/tenants", (200, ""))
    ended = await latchwire.run("tokens", "revoke", "--org", org, "--reason", "test")
    assert (ended.code, ended.out.count("ends ")) == (0, 2), ended.err
    for token in (made, turned):
        await answers(office, str(token.json["token"]), "/tenants", (401, "token_revoked"))
    nothing = await latchwire.run("tokens", "revoke", "--org", IDS.ulid(1), "--reason", "test")
    assert nothing.code == 1
