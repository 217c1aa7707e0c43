"""``POST /auth/revoke`` (RFC 7009) and ``POST /auth/introspect`` (RFC 7662): as clients see them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse

from latchwire.claims import Claims
from shared.contract import TOKEN_REVOKED
from tests.support.auth_workers import bearer
from tests.support.house import SHOP, TILL, House, basic, running_house
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
people = (f"oauth{n}@acme.com" for n in range(1000))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all; every test has a person of its own."""
    async with running_house(tmp_path_factory.mktemp("house")) as running:
        yield running


async def post(
    house: House, path: str, form: Any, *, client: str = "", **headers: str
) -> ClientResponse:
    """Send a form, as *client* when one is named."""
    sent = {**(basic(client) if client else {}), **headers}
    return await house.auth.call("POST", path, data=form, headers=sent)


async def revoke(house: House, token: str, client: str = "", **more: str) -> ClientResponse:
    """Give *token* back."""
    return await post(house, "/auth/revoke", {"token": token, **more}, client=client)


async def ask(house: House, token: str, client: str = SHOP) -> dict[str, Any]:
    """What introspection says of *token*."""
    answer = await post(house, "/auth/introspect", {"token": token}, client=client)
    assert 200 == answer.status, await answer.text()
    told: dict[str, Any] = json.loads(await answer.text())
    return told


async def is_over(house: House, tokens: dict[str, Any], client: str = "") -> bool:
    """Whether neither token does anything any more."""
    me = await house.auth.call("GET", "/auth/me", headers=bearer(tokens["access_token"]))
    body = {"refresh_token": tokens["refresh_token"]}
    headers = basic(client) if client else {}
    renewed = await house.auth.call("POST", "/auth/refresh", body, headers=headers)
    return me.status == 401 and renewed.status == 401


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("client", ["", SHOP])
async def test_either_token_given_back_ends_the_session(
    house: House, kind: str, client: str
) -> None:
    """200 after the PubAck: whoever says "revoked" means that nobody can go on with it."""
    headers = basic(client) if client else {}
    tokens = await house.auth.sign_in(next(people), headers=headers)
    heard = len(house.auth.said(TOKEN_REVOKED))

    answer = await revoke(house, tokens[kind], client, token_type_hint=kind)
    again = await revoke(house, tokens[kind], client)

    assert (200, "", 200) == (answer.status, await answer.text(), again.status)
    event = (await house.auth.hears(TOKEN_REVOKED, heard + 1))[heard]
    assert ("session", "revoked_by_client", client or "latchwire") == (
        event.scope,
        event.reason,
        event.actor,
    )
    await eventually(lambda: is_over(house, tokens, client))


async def test_a_client_cannot_end_the_session_of_another(house: House) -> None:
    """RFC 7009 §2.1: refused, and told so; neither can somebody who is no client."""
    tokens = await house.auth.sign_in(next(people), headers=basic(SHOP))

    for kind in ("access_token", "refresh_token"):
        for client in (TILL, ""):
            answer = await revoke(house, tokens[kind], client)
            assert (400, "invalid_grant") == (answer.status, (await answer.json())["error"])

    renewed = await house.auth.call(
        "POST",
        "/auth/refresh",
        {"refresh_token": tokens["refresh_token"]},
        headers=basic(SHOP),
    )
    assert 200 == renewed.status


@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "a_word_of_its_own"])
@pytest.mark.parametrize(
    "token", ["garbage", "a.b.c", "\x00", "1.kid." + "0" * 26 + ".1." + "x" * 43, "x" * 5000]
)
async def test_what_is_no_token_is_revoked_already(house: House, token: str, hint: str) -> None:
    """RFC 7009 §2.2: 200, whatever the hint says; nothing is published."""
    said = len(house.auth.said(TOKEN_REVOKED))
    more = {"token_type_hint": hint} if hint else {}

    assert 200 == (await revoke(house, token, **more)).status
    assert 200 == (await revoke(house, token, SHOP, **more)).status
    assert said == len(house.auth.said(TOKEN_REVOKED))


async def test_a_link_is_not_called_revoked_while_it_still_works(house: House) -> None:
    """RFC 7009 §2.2.1 has a word for what is cancelled elsewhere."""
    email = next(people)
    token = house.auth.token_of(await house.auth.ask(email), email)

    answer = await revoke(house, token)

    assert (400, "unsupported_token_type") == (answer.status, (await answer.json())["error"])
    assert 200 == (await house.auth.call("POST", "/auth/link", {"token": token})).status


@pytest.mark.parametrize("path", ["/auth/revoke", "/auth/introspect"])
@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ("", {}),
        ("token=", {}),
        ("token_type_hint=access_token", {}),
        ("token=a&token=b", {}),
        ("token=%ff", {}),
        ("&".join(f"f{n}=1" for n in range(20)), {}),
        ('{"token": "a"}', {"Content-Type": "application/json"}),
        ("token=a&client_id=till", {}),
    ],
)
async def test_what_is_no_request_is_an_invalid_request(
    house: House, path: str, form: str, headers: dict[str, str]
) -> None:
    """RFC 6749 §5.2 as JSON, never stored, never a 500."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await post(house, path, form, client=SHOP, **{**kind, **headers})

    assert (400, "invalid_request") == (answer.status, (await answer.json())["error"])
    assert "application/json" == answer.content_type
    assert "no-store" == answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/auth/revoke", "/auth/introspect"])
async def test_a_body_that_never_ends_is_cut_off(house: House, path: str) -> None:
    """16 kB are more than any token needs."""
    answer = await post(house, path, {"token": "x" * 20_000}, client=SHOP)

    assert (413, "invalid_request") == (answer.status, (await answer.json())["error"])


@pytest.mark.parametrize("path", ["/auth/revoke", "/auth/introspect"])
async def test_a_client_that_cannot_prove_itself_is_refused(house: House, path: str) -> None:
    """401 with the way to do it; a secret in the body is none."""
    wrong = await post(house, path, {"token": "a"}, Authorization="Basic c2hvcDpub3BlCg==")
    body = {"token": "a", "client_id": SHOP, "client_secret": f"s3cret-{SHOP}"}
    in_body = await post(house, path, body)
    unknown = await post(house, path, {"token": "a", "client_id": SHOP})

    assert [401] * 3 == [answer.status for answer in (wrong, in_body, unknown)]
    assert {"invalid_client"} == {(await a.json())["error"] for a in (wrong, in_body, unknown)}
    assert 'Basic realm="auth"' == unknown.headers["WWW-Authenticate"]


async def test_nobody_but_a_client_may_introspect(house: House) -> None:
    """A stranger with a stolen token learns nothing more about it; not even its holder may ask."""
    token = (await house.auth.sign_in(next(people)))["access_token"]

    for headers in ({}, bearer(token)):
        answer = await post(house, "/auth/introspect", {"token": token}, **headers)
        assert 401 == answer.status
    assert 405 == (await house.auth.call("GET", f"/auth/introspect?token={token}")).status


async def test_introspection_says_what_a_living_token_says(house: House) -> None:
    """The members of RFC 7662 §2.2, and the session."""
    email = next(people)
    tokens = await house.auth.sign_in(email)
    claims = house.sdk.verify(tokens["access_token"])
    assert isinstance(claims, Claims)

    access, refresh = (
        await ask(house, tokens["access_token"]),
        await ask(house, tokens["refresh_token"]),
    )

    url = claims.iss
    assert access == {
        "active": True,
        "client_id": "latchwire",
        "username": email,
        "token_type": "Bearer",
        "exp": claims.exp,
        "iat": claims.iat,
        "nbf": claims.iat,
        "sub": email,
        "aud": "latchwire",
        "iss": url,
        "jti": claims.jti,
        "sid": claims.sid,
    }
    assert (True, email, claims.sid, url) == tuple(
        refresh[name] for name in ("active", "sub", "sid", "iss")
    )
    assert refresh["exp"] - refresh["iat"] == 7 * 86_400
    assert "token_type" not in refresh


async def test_an_inactive_token_says_nothing_else(house: House) -> None:
    """RFC 7662 §2.2: forged, unknown, used, ended or another client's: all the same."""
    tokens = await house.auth.sign_in(next(people))
    ended = await house.auth.sign_in(next(people))
    others = await house.auth.sign_in(next(people), headers=basic(TILL))
    await house.auth.call("POST", "/auth/logout", headers=bearer(ended["access_token"]))
    head, _, mac = tokens["refresh_token"].rpartition(".")
    parts = tokens["refresh_token"].split(".")
    later = ".".join([*parts[:3], "7", parts[4]])

    for token in (
        "garbage",
        tokens["access_token"][:-4] + "AAAA",
        f"{head}.{mac[::-1]}",
        later,
        ended["access_token"],
        ended["refresh_token"],
        others["refresh_token"],
    ):
        assert {"active": False} == await ask(house, token)
    assert (await ask(house, others["access_token"]))["active"]
    assert (await ask(house, others["refresh_token"], TILL))["active"]


async def test_asking_about_a_used_refresh_token_ends_no_session(house: House) -> None:
    """Only presenting it is reuse; within the window of two tabs it is active still."""
    tokens = await house.auth.sign_in(next(people))
    body = {"refresh_token": tokens["refresh_token"]}
    renewed = await (await house.auth.call("POST", "/auth/refresh", body)).json()
    third = await house.auth.call(
        "POST", "/auth/refresh", {"refresh_token": renewed["refresh_token"]}
    )

    assert {"active": False} == await ask(house, tokens["refresh_token"])
    assert (await ask(house, renewed["refresh_token"]))["active"]
    assert (await ask(house, (await third.json())["refresh_token"]))["active"]


async def test_a_revocation_is_seen_although_the_store_holds_the_session(house: House) -> None:
    """The feed is asked as an edge asks it."""
    tokens = await house.auth.sign_in(next(people))
    claims = house.sdk.verify(tokens["access_token"])
    assert isinstance(claims, Claims)
    await house.bus.publish(
        TOKEN_REVOKED, TOKEN_REVOKED.model(scope="token", jti=claims.jti, reason="test")
    )

    async def inactive() -> bool:
        return await ask(house, tokens["access_token"]) == {"active": False}

    await eventually(inactive)
    assert (await ask(house, tokens["refresh_token"]))["active"]


async def test_who_asks_too_often_is_told_to_wait(house: House) -> None:
    """Strangers have a bound of their network's; a client's is not touched by it."""
    stranger = {"X-Forwarded-For": "198.51.100.7"}
    form = {"token": "garbage"}
    statuses = set[int]()
    for _ in range(20):  # there is room for five more each second, however slow this machine is
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(post(house, "/auth/revoke", form, **stranger)) for _ in range(155)
            ]
        refused = [call.result() for call in calls if call.result().status == 429]
        statuses |= {call.result().status for call in calls}
        if refused:
            break

    assert {200, 429} == statuses
    for answer in refused:
        assert int(answer.headers["Retry-After"]) >= 1
        assert "too_many_requests" == (await answer.json())["error"]
    assert 200 == (await post(house, "/auth/revoke", form, client=SHOP, **stranger)).status
    elsewhere = {"X-Forwarded-For": "203.0.113.7"}
    assert 200 == (await post(house, "/auth/revoke", form, **elsewhere)).status


async def test_the_metadata_names_both_endpoints(house: House) -> None:
    """RFC 8414 §2."""
    document = await (
        await house.auth.call("GET", "/.well-known/oauth-authorization-server")
    ).json()

    url = document["issuer"]
    assert f"{url}/auth/revoke" == document["revocation_endpoint"]
    assert f"{url}/auth/introspect" == document["introspection_endpoint"]
    assert ["client_secret_basic", "none"] == document["revocation_endpoint_auth_methods_supported"]
    assert ["client_secret_basic"] == document["introspection_endpoint_auth_methods_supported"]
