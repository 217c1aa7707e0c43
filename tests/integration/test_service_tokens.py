"""Service tokens through auth on real NATS and Redis, and at an edge's process: made, used, rotated, ended."""

import asyncio
import json
from base64 import b64encode, urlsafe_b64decode
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse

from ctl import exits
from latchwire.claims import Claims
from latchwire.keys import KeyRing
from latchwire.tokens import TokenPolicy, verify_access_token
from services.auth.domain.service_tokens import MANAGE, MANAGE_ANY
from shared.clock import SystemClock
from shared.contract import (
    EDGE_HEARTBEAT,
    OP_TOKENS_CREATE,
    OP_TOKENS_LIST,
    TOKEN_REVOKED,
)
from shared.ids import SystemIds
from shared.messages import (
    CreateServiceToken,
    Heartbeat,
    ListServiceTokens,
    ServiceTokenAnswer,
    TokenRevoked,
)
from shared.service_tokens import DAY_MS, hash_service_token, is_service_token, make_service_token
from tests.support.auth_workers import URL, bearer
from tests.support.command_line import CommandLine
from tests.support.house import House, basic, running_house
from tests.support.revocation import environment
from tests.support.waiting import eventually

IDS = SystemIds()
SERVICES = """\
services:
  demo:
    paths: [/demo]
    upstream: http://127.0.0.1:9100
    token_types: [user, service]
    callers: ["*"]
  orders:
    paths: [/orders]
    upstream: http://127.0.0.1:9101
    token_types: [service]
    callers: [till]
    permissions: [orders.read]
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Everything, once for all tests here."""
    folder = tmp_path_factory.mktemp("house")
    async with running_house(folder, services=SERVICES, named=True) as house:
        yield house


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def make(
    house: House,
    service: str,
    *scopes: str,
    days: int = 90,
    replaces: str | None = None,
    **more: Any,
) -> tuple[str, ServiceTokenAnswer]:
    """As the command line does it: the token is made here, its hash sent."""
    token = make_service_token(IDS.secret(), live=False)
    request = CreateServiceToken(
        service=service,
        sha256=hash_service_token(token.encode()),
        last_four=token[-4:],
        scopes=scopes if replaces is None else None,
        lifetime_ms=days * DAY_MS,
        replaces=replaces,
        **more,
    )
    return token, await house.bus.ask(OP_TOKENS_CREATE, request)


async def end(house: House, token_id: str) -> TokenRevoked:
    """As ``tokens revoke`` and ``revoke session`` do it: the event, of which auth hears as everybody does."""
    event = TokenRevoked(scope="session", sid=token_id, reason="leaked", id=IDS.ulid(1))
    await house.bus.publish(TOKEN_REVOKED, event, msg_id=event.id)
    return event


async def opens(house: House, token: str, path: str = "/demo") -> int:
    """What the edge answers to a request with *token*."""
    status, _ = await house.edge.check(path, bearer=token.encode())
    return status


async def known(house: House, token: str, path: str = "/demo") -> None:
    """Return once the edge lets *token* in."""

    async def let_in() -> bool:
        return await opens(house, token, path) == 200

    await eventually(let_in)


async def unknown(house: House, token: str, path: str = "/demo") -> None:
    """Return once the edge refuses *token*."""

    async def refused() -> bool:
        return await opens(house, token, path) == 401

    await eventually(refused)


def credentials(service: str, token: str) -> dict[str, str]:
    """HTTP Basic."""
    return {"Authorization": "Basic " + b64encode(f"{service}:{token}".encode()).decode()}


async def exchange(house: House, service: str, token: str, **fields: str) -> ClientResponse:
    """``POST /auth/token``."""
    data = {"grant_type": "client_credentials", **fields}
    headers = credentials(service, token)
    return await house.auth.call("POST", "/auth/token", data=data, headers=headers)


def reads(house: House, access: str) -> Claims:
    """What the SDK reads in an access token."""
    ring = KeyRing.from_jwks((house.auth.secrets_dir / "jwks.json").read_text("ascii"))
    policy = TokenPolicy(issuer=URL, audience="latchwire")
    claims = verify_access_token(access.encode(), ring, policy, now_ms=SystemClock().now_ms())
    assert isinstance(claims, Claims), claims
    return claims


async def test_a_service_calls_with_its_token_and_with_what_it_turns_it_into(house: House) -> None:
    """The owner's flow, and client credentials: both open the same routes, with the same identity."""
    token, answer = await make(house, "till", "orders.read", "orders.write")
    assert answer.problem == ""
    await known(house, token, "/orders")
    granted = await exchange(house, "till", token, scope="orders.read")
    assert granted.status == 200
    body = await granted.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 900, "orders.read")
    assert granted.headers["Cache-Control"] == "no-store"
    claims = reads(house, body["access_token"])
    assert (claims.sub, claims.client_id, claims.service) == ("till", "till", "till")
    assert (claims.sid, claims.permissions) == (answer.tokens[0].id, ("orders.read",))
    assert await opens(house, body["access_token"], "/orders") == 200
    assert house.sdk_accepts(body["access_token"])


@pytest.mark.parametrize(
    ("fields", "headers", "status", "error"),
    [
        ({"grant_type": "password"}, "right", 400, "unsupported_grant_type"),
        ({"grant_type": ""}, "right", 400, "unsupported_grant_type"),
        ({}, "other service", 401, "invalid_client"),
        ({}, "other secret", 401, "invalid_client"),
        ({}, "a client's", 401, "invalid_client"),
        ({}, "none", 401, "invalid_client"),
        ({"client_id": "other"}, "right", 401, "invalid_client"),
        ({"client_secret": "x"}, "right", 401, "invalid_client"),
        ({"scope": "orders.write"}, "right", 400, "invalid_scope"),
        ({"scope": "orders.read  orders.read"}, "right", 400, "invalid_scope"),
    ],
)
async def test_no_access_token_for_anything_but_the_right_pair(
    house: House, fields: dict[str, str], headers: str, status: int, error: str
) -> None:
    """RFC 6749 §5.2 in each case; a scope beyond the token's own is refused, not left out."""
    service = "s" + IDS.ulid(1)[-8:].lower()
    token, made = await make(house, service, "orders.read")
    shown = {
        "right": credentials(service, token),
        "other service": credentials("demo", token),
        "other secret": credentials(service, make_service_token(IDS.secret(), live=False)),
        "a client's": basic("shop"),
        "none": {},
    }[headers]
    data = {"grant_type": "client_credentials", **fields}
    answer = await house.auth.call("POST", "/auth/token", data=data, headers=shown)
    assert (answer.status, (await answer.json())["error"]) == (status, error)
    await end(house, made.tokens[0].id)


async def test_a_revoked_token_is_refused_everywhere_and_told_as_revoked(house: House) -> None:
    """The event first; then neither it nor what was made of it counts; a list has it for who asks for that."""
    token, answer = await make(house, "bot")
    row = answer.tokens[0]
    await known(house, token)
    access = (await (await exchange(house, "bot", token)).json())["access_token"]
    await end(house, row.id)
    await unknown(house, token)
    await unknown(house, access)
    refused = await exchange(house, "bot", token)
    told = await refused.json()
    assert (refused.status, told["error"]) == (401, "invalid_client")
    assert told["error_description"] == "The service token was revoked."
    path = "/auth/service-tokens"
    barred = await house.auth.call("GET", path, headers=bearer(token))
    assert (barred.status, (await barred.json())["code"]) == (401, "token_revoked")

    async def by_the_document() -> bool:
        told = (await house.bus.ask(OP_TOKENS_LIST, ListServiceTokens())).tokens
        accepted = f"latchwire_service_tokens {len(told)}.0"
        return row.id not in [r.id for r in told] and accepted in await house.edge.metrics()

    await eventually(by_the_document)
    assert await house.edge.check(bearer=token.encode()) == (401, "token_revoked")
    listed = await house.bus.ask(OP_TOKENS_LIST, ListServiceTokens(service="bot"))
    assert row.id not in [r.id for r in listed.tokens]
    ended = await house.bus.ask(OP_TOKENS_LIST, ListServiceTokens(service="bot", revoked=True))
    (past,) = [r for r in ended.tokens if r.id == row.id]
    assert past.revoked_at is not None


@pytest.mark.parametrize("scope", ["session", "token", "service"])
async def test_what_an_operator_revokes_by_hand_leaves_the_register_too(
    house: House, scope: str
) -> None:
    """A record of the blocklist lapses before a token of a year does: its row must not come back to life."""
    service = f"by-{scope}"
    _, answer = await make(house, service)
    row = answer.tokens[0]
    named = {"session": {"sid": row.id}, "token": {"jti": row.id}, "service": {"service": service}}
    event = TokenRevoked.model_validate({"scope": scope, "reason": "test", **named[scope]})
    await house.bus.publish(TOKEN_REVOKED, event, msg_id=IDS.ulid(1))

    async def gone() -> bool:
        listed = await house.bus.ask(OP_TOKENS_LIST, ListServiceTokens(service=service))
        return not listed.tokens

    await eventually(gone)
    _, second = await make(house, service)
    assert second.problem == ("service_revoked" if scope == "service" else "")


async def test_a_rotation_leaves_both_good_for_a_while_and_no_third(house: House) -> None:
    """Two at a time: the one in use and the one that takes its place."""
    old, first = await make(house, "cron", "orders.read")
    new, second = await make(house, "cron", replaces=first.tokens[0].id)
    assert second.tokens[0].scopes == ("orders.read",)
    await known(house, new)
    assert await opens(house, old) == 200
    for replaces, problem in ((None, "too_many"), (first.tokens[0].id, "already_replaced")):
        assert (await make(house, "cron", replaces=replaces))[1].problem == problem
    listed = await house.bus.ask(OP_TOKENS_LIST, ListServiceTokens(service="cron"))
    rows = {row.id: row for row in listed.tokens}
    before = rows[first.tokens[0].id]
    assert before.replaced_by == second.tokens[0].id
    assert 0 < before.expires_at - SystemClock().now_ms() <= DAY_MS


async def test_what_is_stored_and_listed_is_no_token(house: House) -> None:
    """The document holds the hash, a list not even that; neither could be used as the token."""
    token, _ = await make(house, "secretive")
    sha256 = hash_service_token(token.encode())
    stored = (await house.bus.js.get_last_msg("DOCUMENT", "document.tokens")).data or b""
    payload = urlsafe_b64decode(stored.split(b".")[1] + b"==").decode()
    assert sha256 in payload
    assert token not in payload
    listed = (await house.bus.ask(OP_TOKENS_LIST, ListServiceTokens())).model_dump_json()
    assert token not in listed
    assert sha256 not in listed
    assert await opens(house, sha256) == 401


async def test_its_last_use_is_known_soon(house: House) -> None:
    """An edge tells it, auth lists it; one that was never used has none."""
    token, answer = await make(house, "busy")
    _, idle = await make(house, "idle")
    await known(house, token)

    async def used() -> bool:
        listed = await house.bus.ask(OP_TOKENS_LIST, ListServiceTokens())
        at = {row.id: row.last_used_at for row in listed.tokens}
        assert at[idle.tokens[0].id] is None
        return at[answer.tokens[0].id] is not None

    await eventually(used)


async def manager(house: House, *more: str) -> tuple[str, dict[str, str]]:
    """A service that may manage the tokens of all services."""
    return await bounded_manager(house, MANAGE_ANY, *more)


async def bounded_manager(house: House, *more: str) -> tuple[str, dict[str, str]]:
    """A service that may manage tokens: its own, and with *more* others'."""
    name = "m" + IDS.ulid(1)[-8:].lower()
    token, answer = await make(house, name, MANAGE, *more)
    assert not answer.problem, answer.problem
    return name, bearer(token)


async def test_a_service_with_the_permission_makes_tokens_over_http(house: House) -> None:
    """201 with the token, once; rotate and revoke by its id; the list tells who made it."""
    name, header = await manager(house, "orders.read")
    body = {"service": "pos", "scopes": ["orders.read"], "lifetime": "30d"}
    made = await house.auth.call("POST", "/auth/service-tokens", body, headers=header)
    assert made.status == 201, await made.text()
    first = await made.json()
    assert first["variable"] == "SERVICE_TOKEN_POS"
    assert first["expires_at"] - first["created_at"] == 30 * DAY_MS
    await known(house, first["token"])
    path = f"/auth/service-tokens/{first['id']}"
    rotated = await house.auth.call("POST", path + "/rotate", headers=header)
    assert rotated.status == 201, await rotated.text()
    second = await rotated.json()
    await known(house, second["token"])
    listed = await house.auth.call("GET", "/auth/service-tokens", headers=header)
    rows = {row["id"]: row for row in (await listed.json())["tokens"]}
    assert rows[second["id"]]["created_by"] == name
    assert first["token"] not in json.dumps(rows)
    assert "sha256" not in json.dumps(rows)
    ended = await house.auth.call("DELETE", path, headers=header)
    assert ended.status == 204
    await unknown(house, first["token"])
    assert (await house.auth.call("DELETE", path, headers=header)).status == 404


async def test_nobody_makes_a_token_that_may_more_than_himself(house: House) -> None:
    """Neither in a new one nor by rotating somebody else's: 403 beyond_own_permissions, nothing is made."""
    _, header = await manager(house)
    body = {"service": "climber", "scopes": ["orders.read"]}
    refused = await house.auth.call("POST", "/auth/service-tokens", body, headers=header)
    assert (refused.status, (await refused.json())["code"]) == (403, "beyond_own_permissions")
    _, mighty = await make(house, "mighty", "orders.write")
    path = f"/auth/service-tokens/{mighty.tokens[0].id}/rotate"

    async def answer() -> bool:
        refused = await house.auth.call("POST", path, headers=header)
        return (refused.status, (await refused.json())["code"]) == (403, "beyond_own_permissions")

    await eventually(answer)


async def test_who_manages_its_own_tokens_cannot_become_another_service(house: House) -> None:
    """A name is what callers are let in by: none but its own, unless it is named; also in the list."""
    own, header = await bounded_manager(house, f"{MANAGE}:wages")
    _, payroll = await make(house, "payroll")
    row = f"/auth/service-tokens/{payroll.tokens[0].id}"
    call, path = house.auth.call, "/auth/service-tokens"

    async def listed() -> set[str]:
        answer = await (await call("GET", path, headers=header)).json()
        return {row["service"] for row in answer.get("tokens", ())}

    async def knows() -> bool:
        return await listed() == {own}

    await eventually(knows)
    for method, where, body in (
        ("POST", path, {"service": "payroll"}),
        ("POST", row + "/rotate", None),
        ("DELETE", row, None),
    ):
        refused = await call(method, where, body, headers=header)
        assert (refused.status, (await refused.json())["code"]) == (403, "beyond_own_permissions")
    for name in (own, "wages"):
        made = await call("POST", path, {"service": name}, headers=header)
        assert made.status == 201, await made.text()
    assert await listed() == {own, "wages"}


@pytest.mark.parametrize("who", ["nobody", "no permission", "a person", "in a cookie", "basic"])
async def test_who_may_not_manage_tokens_is_refused(house: House, who: str) -> None:
    """Every route of them; a cookie never counts here, so that no page can make a browser do it."""
    ada = await house.auth.sign_in()
    plain, _ = await make(house, "p" + IDS.ulid(1)[-8:].lower())
    name, header = await manager(house)
    token = header["Authorization"].removeprefix("Bearer ")
    headers, expected = {
        "nobody": ({}, 401),
        "no permission": (bearer(plain), 403),
        "a person": (bearer(ada["access_token"]), 403),
        "in a cookie": ({"Cookie": f"latchwire-dev-access={token}"}, 401),
        "basic": (credentials(name, token), 401),
    }[who]
    one = "/auth/service-tokens/01HZZZZZZZZZZZZZZZZZZZZZZZ"
    for method, path in (
        ("GET", "/auth/service-tokens"),
        ("POST", "/auth/service-tokens"),
        ("POST", one + "/rotate"),
        ("DELETE", one),
    ):
        answer = await house.auth.call(method, path, headers=headers)
        assert answer.status == expected, (who, method, path, await answer.text())


async def test_a_service_is_nobody_who_is_signed_in(house: House) -> None:
    """Its access token opens no page and no session of people; a logout with it ends nothing."""
    token, _ = await make(house, "guest")
    await known(house, token)
    access = (await (await exchange(house, "guest", token)).json())["access_token"]
    for shown in (token, access):
        for method, path in (
            ("GET", "/auth/me"),
            ("GET", "/auth/sessions"),
            ("DELETE", "/auth/sessions"),
        ):
            answer = await house.auth.call(method, path, headers=bearer(shown))
            assert (answer.status, (await answer.json())["code"]) == (401, "token_invalid"), path
        assert (await house.auth.call("POST", "/auth/logout", headers=bearer(shown))).status in {
            204,
            401,
        }
    assert await opens(house, token) == 200
    assert await opens(house, access) == 200


@pytest.mark.parametrize("service", ["found", "shop"])
async def test_whoever_finds_a_token_can_end_it_but_not_with_what_was_made_of_it(
    house: House, service: str
) -> None:
    """``POST /auth/revoke`` is what a secret scanner calls (RFC 7009); an access token ends nothing.

    Also where a confidential client has the service's name, and asks.
    """
    token, _ = await make(house, service)
    await known(house, token)
    access = (await (await exchange(house, service, token)).json())["access_token"]
    headers = basic("shop") if service == "shop" else {}
    refused = await house.auth.call("POST", "/auth/revoke", data={"token": access}, headers=headers)
    assert (refused.status, (await refused.json())["error"]) == (400, "invalid_grant")
    assert await opens(house, token) == 200
    assert (await house.auth.call("POST", "/auth/revoke", data={"token": token})).status == 200
    await unknown(house, token)
    assert (await house.auth.call("POST", "/auth/revoke", data={"token": token})).status == 200


async def test_introspection_knows_both_forms(house: House) -> None:
    """Active with the service's name and scopes, and no user; inactive once it is revoked."""
    token, answer = await make(house, "asked", "orders.read")
    await known(house, token)
    access = (await (await exchange(house, "asked", token)).json())["access_token"]

    async def told(shown: str) -> dict[str, Any]:
        form = {"token": shown}
        told = await house.auth.call("POST", "/auth/introspect", data=form, headers=basic("shop"))
        body: dict[str, Any] = await told.json()
        return body

    for shown in (token, access):
        body = await told(shown)
        assert (body["active"], body["sub"], body["scope"]) == (True, "asked", "orders.read")
        assert "username" not in body
    await end(house, answer.tokens[0].id)

    async def inactive() -> bool:
        return await told(token) == await told(access) == {"active": False}

    await eventually(inactive)


async def test_many_at_once_lose_nothing(house: House) -> None:
    """Twelve operators create at the same moment: compare and swap keeps every one that was answered for."""
    made = await asyncio.gather(*(make(house, f"crowd{n}") for n in range(4)))
    listed = await house.bus.ask(OP_TOKENS_LIST, ListServiceTokens())
    ids = {row.id for row in listed.tokens}
    assert {a.tokens[0].id for _, a in made if not a.problem} <= ids
    assert all(not a.problem for _, a in made)


@pytest.fixture
def latchwire(house: House, tmp_path: Path) -> CommandLine:
    """The command line of this house's operator."""
    return CommandLine(environment(house.nats), tmp_path)


async def test_the_command_line_shows_a_token_once_and_nobody_else_ever_has_it(
    house: House, latchwire: CommandLine
) -> None:
    """Standard output is the token and nothing else; it works; the list has its end and last use, not it."""
    made = await latchwire.run("tokens", "create", "shown", "--scope", "orders.read")
    token = made.out.strip()
    assert made.code == exits.DONE, made.err
    assert is_service_token(token.encode())
    assert token not in made.err
    assert "SERVICE_TOKEN_SHOWN" in made.err
    await known(house, token)
    listed = await latchwire.run("tokens", "list", "--service", "shown")
    assert (listed.code, token in listed.out) == (exits.DONE, False)
    assert f"…{token[-4:]}" in listed.out
    assert "orders.read" in listed.out


async def test_a_token_that_was_shown_is_known_at_every_edge(
    house: House, latchwire: CommandLine
) -> None:
    """Made or rotated, by the command line or over HTTP with ``Prefer: wait``: the next call is let in."""
    await eventually(house.knows_every_edge)
    _, header = await manager(house)
    for n in range(3):
        made = await latchwire.run("tokens", "create", f"ready{n}")
        assert await opens(house, made.out.strip()) == 200
        assert (made.code, "every live edge knows it (1)" in made.err) == (exits.DONE, True)
    row = (await house.bus.ask(OP_TOKENS_LIST, ListServiceTokens(service="ready0"))).tokens[0]
    turned = await latchwire.run("tokens", "rotate", row.id, "--json")
    assert await opens(house, str(turned.json["token"])) == 200
    assert (turned.json["complete"], turned.code) == (True, exits.DONE)
    headers = header | {"Prefer": "wait=5"}
    path, body = "/auth/service-tokens", {"service": "readyhttp"}
    answer = await house.auth.call("POST", path, body, headers=headers)
    told = await answer.json()
    assert await opens(house, told["token"]) == 200
    assert (answer.status, answer.headers["Preference-Applied"]) == (201, "wait=5")
    assert (told["edges"], told["confirmed"], told["complete"]) == (1, 1, True)


async def test_rotate_and_revoke_by_the_command_line(house: House, latchwire: CommandLine) -> None:
    """Two that work, then one, then none; each step says what became of it."""
    first = json.loads((await latchwire.run("tokens", "create", "turned", "--json")).out)
    second = json.loads((await latchwire.run("tokens", "rotate", first["id"], "--json")).out)
    assert second["service"] == "turned"
    await known(house, first["token"])
    await known(house, second["token"])
    again = await latchwire.run("tokens", "rotate", first["id"])
    assert (again.code, "replaced already" in again.err) == (exits.FAILED, True)
    one = await latchwire.run("tokens", "revoke", first["id"], "--reason", "test", "--timeout", "3")
    assert one.code in {exits.DONE, exits.PARTLY}, one.err
    await unknown(house, first["token"])
    assert await opens(house, second["token"]) == 200
    rest = await latchwire.run("tokens", "revoke", "--service", "turned", "--reason", "test")
    assert "refuses after" in rest.out
    await unknown(house, second["token"])

    async def empty() -> bool:
        listed = await latchwire.run("tokens", "list", "--service", "turned")
        return "no service has a token" in listed.out

    await eventually(empty)
    past = await latchwire.run("tokens", "list", "--service", "turned", "--all")
    assert [line.count("  revoked 2") for line in past.out.splitlines()] == [0, 1, 1]


async def test_all_tokens_of_a_service_end_at_once_and_those_made_later_are_good(
    house: House, latchwire: CommandLine
) -> None:
    """One event, as for a person: what was made of the old ones ends too, the name goes on."""
    old = [(await make(house, "leaky"))[0] for _ in range(2)]
    for token in old:
        await known(house, token)
    access = (await (await exchange(house, "leaky", old[0])).json())["access_token"]
    assert await opens(house, access) == 200
    ended = await latchwire.run("tokens", "revoke", "--service", "leaky", "--reason", "test")
    assert (ended.code, ended.out.count("ends "), ended.out.count("stored ")) == (exits.DONE, 2, 1)
    again = await latchwire.run("tokens", "create", "leaky")
    new = again.out.strip()
    for token in (*old, access):
        assert await house.edge.check(bearer=token.encode()) == (401, "token_revoked")
    await known(house, new)
    await eventually(partial(is_marked, house, "leaky", 2))
    assert await opens(house, new) == 200
    assert (await exchange(house, "leaky", new)).status == 200
    assert again.code == exits.DONE, again.err


async def is_marked(house: House, service: str, count: int) -> bool:
    """Whether so many tokens of *service* are revoked in the register, and one lives."""
    asked = ListServiceTokens(service=service, revoked=True)
    rows = (await house.bus.ask(OP_TOKENS_LIST, asked)).tokens
    return [row.revoked_at is None for row in rows].count(False) == count == len(rows) - 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("create", "Not A Name"), 2),
        (("create", "bot", "--lifetime", "2y"), 2),
        (("create", "bot", "--lifetime", "367d"), 2),
        (("create", "bot", "--scope", "Orders"), 2),
        (("rotate", "lws_dev_x"), 2),
        (("rotate", "01HZZZZZZZZZZZZZZZZZZZZZZZ"), 1),
        (("revoke", "--reason", "x"), 2),
        (("revoke", "01HZZZZZZZZZZZZZZZZZZZZZZZ"), 2),
        (("revoke", "01HZZZZZZZZZZZZZZZZZZZZZZZ", "--reason", "x"), 1),
        (("revoke", "--service", "nobody", "--reason", "x"), 1),
        (("regex",), 0),
    ],
)
async def test_the_command_line_refuses_what_cannot_be_meant(
    latchwire: CommandLine, arguments: tuple[str, ...], code: int
) -> None:
    """2 for what is no name, time or id; 1 for what is not there; nothing is made."""
    answer = await latchwire.run("tokens", *arguments)
    assert answer.code == code, answer.err
    assert "lws_dev_x" not in answer.out + answer.err


async def test_the_owners_words_say_the_same(house: House, latchwire: CommandLine) -> None:
    """``gateway status|tokens|generate-token|logs`` over what is in force."""
    made = await latchwire.run("gateway", "generate-token", "discord-bot")
    assert made.out.startswith(
        "Service Token Generated:\n  Service: discord-bot\n  Token: lws_dev_"
    )
    token = made.out.rpartition("SERVICE_TOKEN_DISCORD_BOT=")[2].strip()
    await known(house, token)
    listed = await latchwire.run("gateway", "tokens")
    assert "discord-bot" in listed.out
    status = await latchwire.run("gateway", "status")
    assert "Gateway Status: healthy" in status.out, status.err
    logs = await latchwire.run("gateway", "logs")
    assert (logs.code, "--file" in logs.err) == (exits.FAILED, True)


async def test_an_edge_that_does_not_know_a_token_is_named_and_the_token_shown_all_the_same(
    house: House, latchwire: CommandLine
) -> None:
    """In text and in JSON: who made it would otherwise have to make another one, for no reason."""
    async with house.nats.connect("edge-2") as bus:
        beat = Heartbeat(
            edge_id="edge-2", at=1, epoch="e", seq=0, ready=True, staleness_ms=0, blocklist_size=0,
            max_staleness_ms=60_000,
        )  # fmt: skip
        await bus.signal(EDGE_HEARTBEAT.of("edge-2"), beat)
        create = partial(latchwire.run, "tokens", "create", "behind", "--timeout", "3")
        made, json_too = await asyncio.gather(create(), create("--json"))
    assert made.code == json_too.code == exits.PARTLY
    assert "edge edge-2 does not know it yet" in made.err
    assert "edge-1" not in made.err
    for token in (made.out.strip(), str(json_too.json["token"])):
        assert await opens(house, token) == 200
    assert [e["edge_id"] for e in json_too.json["edges"] if e["after_ms"] is None] == ["edge-2"]  # type: ignore[attr-defined]
