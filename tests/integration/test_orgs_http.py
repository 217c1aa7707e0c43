"""Organisations as their people meet them: invited, joined, switched, left; and bodies that ask for more.

One house for each test, because it is the house that takes the time.
"""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_schema import accounts, invitations, member_roles
from services.auth.domain.csrf import SAFE_METHODS
from services.auth.http.policy import ROWS, Route
from services.auth.http.throttles import PER_ACTOR
from shared.contract import LOGIN_REQUESTED, TOKEN_REVOKED, USER_ROLES_CHANGED
from tests.support.auth_workers import AuthWorkers, running_workers
from tests.support.people import Person, everybody, organisation_of, signed_in
from tests.support.servers import NatsServer, RedisServer

WEEK_MS = 7 * 86_400_000


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The store of accounts."""
    return f"sqlite:///{tmp_path / 'accounts.db'}"


@pytest.fixture
async def site(
    nats_server: NatsServer, redis_server: RedisServer, secrets_dir: Path, url: str
) -> AsyncIterator[AuthWorkers]:
    """Auth with accounts; whoever is of acme.com or a guest may sign in."""
    async with running_workers(
        nats_server, redis_server, secrets_dir, doors=1, accounts_url=url,
        limit_network="100000/1m", limit_address="1000/h", allow="@acme.com,guest@partner.org",
    ) as workers:  # fmt: skip
        yield workers


@pytest.fixture
async def store(site: AuthWorkers, url: str) -> AsyncIterator[Database]:
    """The same store, for looking into it."""
    async with Database(url) as database:
        yield database


async def code_of(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status, (await answer.json())["code"]


async def invite(host: Person, org: str, email: str, *roles: str) -> Any:
    """*host* invites."""
    body = {"email": email, "roles": list(roles or ("member",))}
    return await host.call("POST", f"/auth/orgs/{org}/invitations", body)


async def accept(person: Person, token: str) -> Any:
    """*person* accepts."""
    return await person.call("POST", "/auth/invitations/accept", {"token": token})


async def test_a_person_is_invited_joins_switches_and_leaves(site: AuthWorkers) -> None:
    """The whole way, by the mail's link, with the active organisation in the token."""
    people = await everybody(site, "ada", "bob", "eve")
    ada, bob, eve = people["ada"], people["bob"], people["eve"]
    made = await ada.call("POST", "/auth/orgs", {"name": "Müller & Söhne"})
    assert made.status == 201
    org = (await made.json())["org"]
    before = len(site.said(LOGIN_REQUESTED))
    offered = await invite(ada, org, "Bob@ACME.com", "admin")
    assert offered.status == 201
    invitation = await offered.json()
    mail = (await site.hears(LOGIN_REQUESTED, before + 1))[-1]
    assert (mail.purpose, mail.email, mail.about) == ("invitation", bob.email, "Müller & Söhne")
    assert mail.login_id == invitation["id"]
    assert mail.expires_at - mail.at == WEEK_MS
    token = site.token_of(mail.login_id, bob.email, "invitation")

    # Whoever has the link sees what it is, whatever became of the attempt behind the mail.
    assert (await bob.call("DELETE", "/auth/sessions")).status == 204
    people["bob"] = bob = await signed_in(site, "bob")
    seen = await (await site.call("POST", "/auth/link/inspect", {"token": token})).json()
    assert (seen["purpose"], seen["org_name"]) == ("invitation", "Müller & Söhne")
    assert (seen["email"], seen["roles"]) == (bob.email, ["admin"])

    # It opens no session, and nobody else's is the right one.
    assert (await site.call("POST", "/auth/link", {"token": token})).status == 410
    assert (await site.call("POST", "/auth/invitations/accept", {"token": token})).status == 401
    assert await code_of(await accept(eve, token)) == (403, "other_address")
    forged = site.token_of(mail.login_id, eve.email, "invitation")
    assert await code_of(await accept(eve, forged)) == (410, "link_spent")
    assert await code_of(await accept(bob, site.token_of(mail.login_id, bob.email))) == (
        410,
        "link_spent",
    )

    joined = await accept(bob, token)
    assert joined.status == 200
    assert (await joined.json())["roles"] == ["admin"]
    assert await code_of(await accept(bob, token)) == (410, "link_spent")
    assert (await site.call("POST", "/auth/link/inspect", {"token": token})).status == 410

    # Active only when asked for; another's and nobody's are not there.
    assert (await bob.me())["org"] == ""
    await bob.renew(org=org)
    me = await bob.me()
    assert (me["org"], me["roles"]) == (org, ["org:admin"])
    assert "members.invite" in me["permissions"]
    for other in ("01K0NOTHING000000000000000", "x", org.lower()):
        body = {"refresh_token": eve.refresh, "org": other}
        assert (await site.call("POST", "/auth/refresh", body)).status == 404
    await eve.renew()  # nothing was used up
    await bob.renew(org="")
    assert (await bob.me())["roles"] == []

    members = await (await ada.call("GET", f"/auth/orgs/{org}/members?limit=1")).json()
    following = await (
        await ada.call("GET", f"/auth/orgs/{org}/members?after={members['next']}")
    ).json()
    assert [m["sub"] for m in members["members"] + following["members"]] == sorted(
        [ada.sub, bob.sub]
    )
    for limit in ("0", "201", "-1", "x", "1e2"):
        assert (await ada.call("GET", f"/auth/orgs/{org}/members?limit={limit}")).status == 400

    assert await code_of(await ada.call("DELETE", f"/auth/orgs/{org}/members/{ada.sub}")) == (
        409,
        "last_owner",
    )
    path = f"/auth/orgs/{org}/members/{ada.sub}/roles"
    assert await code_of(await ada.call("PUT", path, {"roles": ["admin"]})) == (409, "last_owner")
    left = await bob.call("DELETE", f"/auth/orgs/{org}/members/{bob.sub}")
    assert left.status == 204
    assert (await bob.call("GET", f"/auth/orgs/{org}")).status == 404
    # Whoever says too much in a token lost that, and nobody a session (the first is Bob's own sign-out).
    assert {event.applies_to for event in site.said(TOKEN_REVOKED)[1:]} == {"access"}


async def test_an_invitation_ends_in_every_way(site: AuthWorkers, store: Database) -> None:
    """Withdrawn, replaced, run out, its maker gone, its organisation gone; and who cannot sign in at all."""
    people = await everybody(site, "ada", "bob")
    ada, bob = people["ada"], people["bob"]
    host = await signed_in(site, "host")
    roles = {ada.sub: ["owner"], host.sub: ["admin"]}

    async def offered(by: Person, org: str) -> tuple[str, str]:
        answer = await invite(by, org, bob.email)
        assert answer.status == 201, await answer.text()
        found = (await answer.json())["id"]
        return found, site.token_of(found, bob.email, "invitation")

    org, _ = await organisation_of(store, roles)
    invitation, token = await offered(ada, org)
    gone = await ada.call("DELETE", f"/auth/orgs/{org}/invitations/{invitation}")
    assert gone.status == 204
    assert (await accept(bob, token)).status == 410
    assert (await site.call("POST", "/auth/link/inspect", {"token": token})).status == 410

    _, older = await offered(ada, org)
    _, newer = await offered(ada, org)
    assert (await accept(bob, older)).status == 410

    async with store.writing() as connection:
        await connection.execute(invitations.update().values(expires_at=1))
    assert (await accept(bob, newer)).status == 410

    _, token = await offered(host, org)
    assert (await ada.call("DELETE", f"/auth/orgs/{org}/members/{host.sub}")).status == 204
    assert (await accept(bob, token)).status == 410

    _, token = await offered(ada, org)
    assert (await ada.call("DELETE", f"/auth/orgs/{org}")).status == 204
    assert (await accept(bob, token)).status == 410
    assert (await bob.call("GET", "/auth/orgs")).status == 200

    # Whether the address can sign in here is not told: no mail, the same answer.
    org, _ = await organisation_of(store, {ada.sub: ["owner"]})
    mails = len(site.said(LOGIN_REQUESTED))
    shut_out, let_in = [
        await (await invite(ada, org, email)).json()
        for email in ("eve@evil.example", "guest@partner.org")
    ]
    assert shut_out.keys() == let_in.keys()
    sent = (await site.hears(LOGIN_REQUESTED, mails + 1))[mails:]
    assert [mail.email for mail in sent] == ["guest@partner.org"]


async def test_a_sub_that_is_an_address_and_names_that_are_none(
    site: AuthWorkers, store: Database
) -> None:
    """Who was here before accounts is named by the address, in a path too, whatever characters it has."""
    ada = await signed_in(site, "ada")
    odd = "o'neil/sales+x@acme.com"
    async with store.writing() as connection:
        row = {"sub": odd, "email": odd, "created_at": 1, "verified_at": 1, "password_hash": ""}
        await connection.execute(accounts.insert().values(row))
    org, _ = await organisation_of(store, {ada.sub: ["owner"], odd: ["member"]})
    path = f"/auth/orgs/{org}/members/o'neil%2Fsales+x%40acme.com"
    assert (await ada.call("PUT", f"{path}/roles", {"roles": ["admin"]})).status == 204
    async with store.reading() as connection:
        rows = (await connection.execute(member_roles.select())).all()
    assert (org, odd, "admin") in [tuple(row) for row in rows]
    assert (await ada.call("DELETE", path)).status == 204
    await check_names(ada)
    for nobody in ("%00", "%ED%A0%80", "%FF", "a%0Ab", "x" * 4000):
        for url in (f"/auth/orgs/{nobody}", f"/auth/orgs/{org}/members/{nobody}"):
            assert (await ada.call("DELETE", url)).status == 404
        assert (await ada.call("GET", f"/auth/orgs/{org}/members?after={nobody}")).status == 200
    for nowhere in ("\x00", "\n", "é", "x" * 65):
        body = {"refresh_token": ada.refresh, "org": nowhere}
        assert (await site.call("POST", "/auth/refresh", body)).status == 400


async def check_names(ada: Person) -> None:
    """What a mail program would make a link of, and what cannot be seen, is refused with the reason."""
    for name, reason in (
        ("", "empty"),
        ("x" * 65, "too_long"),
        ("Acme\r\nBcc: eve@evil.example", "control"),
        ("Your account was closed: evil.com", "link"),
        (" Acme", "spaces"),
    ):
        answer = await ada.call("POST", "/auth/orgs", {"name": name})
        assert await code_of(answer) == (400, "invalid_name")
        assert (await answer.json())["reason"] == reason
    assert len((await (await ada.call("GET", "/auth/orgs")).json())["orgs"]) == 1


# What a client would set of what is not its to set.
GREEDY: dict[str, Any] = {
    "sub": "01K0EVE0000000000000000000",
    "org": "01K0EVIL000000000000000000",
    "org_id": "01K0EVIL000000000000000000",
    "role": "owner",
    "roles": ["owner"],
    "permissions": ["org.delete"],
    "is_admin": True,
    "owner": True,
    "email_verified": True,
    "verified": True,
    "verified_at": 1,
    "password_hash": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
    "invited_by": "01K0ADA0000000000000000000",
    "expires_at": 9_999_999_999_999,
    "created_at": 1,
    "id": "01K0EVIL000000000000000000",
    "purpose": "sign_in",
    "sid": "01K0EVIL000000000000000000",
    "amr": ["pwd", "otp"],
    "sst": 1,
    "scope": "admin",
    "__proto__": {"admin": True},
}
# Right bodies of every route that takes one; what GREEDY shares with them is left out.
BODIES: dict[Route, dict[str, Any]] = {
    ("POST", "/auth/login"): {"email": "new@acme.com"},
    ("POST", "/auth/link"): {"token": "x"},
    ("POST", "/auth/link/inspect"): {"token": "x"},
    ("POST", "/auth/link/cancel"): {"token": "x"},
    ("POST", "/auth/refresh"): {"refresh_token": "x", "org": ""},
    ("POST", "/auth/logout"): {"refresh_token": "x"},
    ("DELETE", "/auth/logout"): {"refresh_token": "x"},
    ("POST", "/auth/register"): {"email": "new@acme.com", "password": "a long enough one"},
    ("POST", "/auth/register/resend"): {"email": "new@acme.com"},
    ("POST", "/auth/password/forgot"): {"email": "new@acme.com"},
    ("POST", "/auth/password/reset"): {"token": "x", "password": "a long enough one"},
    ("PUT", "/auth/password"): {"password": "a long enough one"},
    ("POST", "/auth/orgs"): {"name": "Acme"},
    ("PATCH", "/auth/orgs/{org}"): {"name": "Acme"},
    ("PUT", "/auth/orgs/{org}/members/{sub}/roles"): {"roles": ["member"]},
    ("POST", "/auth/orgs/{org}/invitations"): {"email": "new@acme.com", "roles": ["member"]},
    ("POST", "/auth/invitations/accept"): {"token": "x"},
}
NO_BODY = {
    ("DELETE", "/auth/me"),
    ("DELETE", "/auth/delete"),
    ("DELETE", "/auth/sessions"),
    ("DELETE", "/auth/sessions/{handle}"),
    ("DELETE", "/auth/identities/{handle}"),
    ("DELETE", "/auth/orgs/{org}"),
    ("DELETE", "/auth/orgs/{org}/members/{sub}"),
    ("DELETE", "/auth/orgs/{org}/invitations/{id}"),
    ("DELETE", "/auth/orgs/{org}/service-tokens/{id}"),
}


def test_every_body_stands_in_the_table() -> None:
    """Whoever adds a route says here what its body is."""
    takes = {
        route
        for route, policy in ROWS.items()
        if route[0] not in SAFE_METHODS and policy.cross_site == "guarded"
    }
    assert takes == BODIES.keys() | NO_BODY


async def test_no_body_sets_what_is_not_its_to_set(site: AuthWorkers, store: Database) -> None:
    """Every body with every field that it does not have: 400, and nothing is made of it."""
    ada = await signed_in(site, "ada")
    org, invitation = await organisation_of(store, {ada.sub: ["owner"]})
    wrong = []
    for (method, path), body in BODIES.items():
        url = path.format(org=org, sub=ada.sub, id=invitation)
        for field in GREEDY.keys() - body.keys():
            answer = await ada.call(method, url, body | {field: GREEDY[field]})
            told = await answer.json()
            if (answer.status, told.get("unknown_fields")) != (400, True):
                wrong.append(f"{method} {path} takes {field}: {answer.status}")
        for field in body:  # nor what is of another type
            answer = await ada.call(method, url, body | {field: {"$ne": ""}})
            if await code_of(answer) != (400, "invalid_request"):
                wrong.append(f"{method} {path} takes an object as {field}: {answer.status}")
    assert wrong == []
    async with store.reading() as connection:
        emails = [row.email for row in (await connection.execute(accounts.select())).all()]
        roles = [tuple(row) for row in (await connection.execute(member_roles.select())).all()]
    assert emails == ["ada@acme.com"]
    assert roles == [(org, ada.sub, "owner")]


async def test_one_person_changes_only_so_much_in_an_hour(
    site: AuthWorkers, store: Database
) -> None:
    """Also when nothing changes; others, reading and ending one's sessions go on."""
    people = await everybody(site, "ada", "bob")
    ada, bob = people["ada"], people["bob"]
    org, _ = await organisation_of(store, {ada.sub: ["owner"]})
    path = f"/auth/orgs/{org}/members/{ada.sub}/roles"
    before = len(site.said(TOKEN_REVOKED)), len(site.said(USER_ROLES_CHANGED))

    for _ in range(3):
        assert (await ada.call("PUT", path, {"roles": ["owner"]})).status == 204
    answers = Counter[int]()
    while answers[429] == 0 and answers.total() <= PER_ACTOR.count:
        last = await ada.call("POST", "/auth/orgs", {})
        answers[last.status] += 1

    assert set(answers) == {400, 429}
    assert (await last.json())["code"] == "too_many_changes"
    assert 1 <= int(last.headers["Retry-After"]) <= 12
    assert (len(site.said(TOKEN_REVOKED)), len(site.said(USER_ROLES_CHANGED))) == before
    assert (await ada.call("PUT", path, {"roles": ["owner"]})).status == 429
    assert (await bob.call("POST", "/auth/orgs", {"name": "Second"})).status == 201
    assert (await ada.call("GET", "/auth/orgs")).status == 200
    assert (await ada.call("DELETE", "/auth/sessions")).status == 204
