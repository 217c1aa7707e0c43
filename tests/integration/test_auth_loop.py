"""Signing in, going on and getting out, over HTTP on real NATS and Redis."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.contract import LOGIN_FAILED, LOGIN_REQUESTED, LOGIN_SUCCEEDED, TOKEN_REVOKED
from shared.secrets import write_private
from tests.support.auth_workers import (
    ADA,
    ORIGIN,
    AuthWorkers,
    bearer,
    running_workers,
)
from tests.support.servers import NatsServer, RedisServer
from tests.support.waiting import PATIENCE, eventually

ACCESS, REFRESH, CSRF = "latchwire-dev", "latchwire-dev-refresh", "latchwire-dev-csrf"
LOGIN = "latchwire-dev-login"


@pytest.fixture
def client_basic(secrets_dir: Path) -> dict[str, str]:
    """The header of a confidential client called shop."""
    digest = hashlib.sha256(b"s3cret").hexdigest()
    document = {"shop": {"secret_sha256": digest, "name": "The shop"}}
    write_private(secrets_dir / "clients.json", json.dumps(document))
    return {"Authorization": "Basic " + base64.b64encode(b"shop:s3cret").decode()}


@pytest.fixture
async def auth(
    nats_server: NatsServer, redis_server: RedisServer, client_basic: dict[str, str]
) -> AsyncIterator[AuthWorkers]:
    """Two auth workers on one Redis and one NATS."""
    async with running_workers(nats_server, redis_server, nats_server.secrets_dir) as workers:
        yield workers


async def test_the_whole_loop_of_an_api_client(auth: AuthWorkers) -> None:
    """Ask, exchange, be somebody, renew, log out, and be nobody."""
    tokens = await auth.sign_in()
    who = await auth.call("GET", "/auth/me", headers=bearer(tokens["access_token"]), door=1)
    renewed = await auth.call(
        "POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]}, door=1
    )
    gone = await auth.call("POST", "/auth/logout", headers=bearer(tokens["access_token"]))

    assert ADA == (await who.json())["email"]
    assert 200 == renewed.status
    assert tokens["refresh_token"] != (await renewed.json())["refresh_token"]
    assert 204 == gone.status

    async def refused() -> bool:
        answer = await auth.call("GET", "/auth/me", headers=bearer(tokens["access_token"]))
        return answer.status == 401 and (await answer.json())["code"] == "token_revoked"

    await eventually(refused)
    again = await auth.call(
        "POST", "/auth/refresh", {"refresh_token": (await renewed.json())["refresh_token"]}
    )
    assert 401 == again.status
    assert "session_ended" == (await again.json())["code"]
    assert 1 == len(await auth.hears(LOGIN_SUCCEEDED, 1))


async def test_the_code_signs_in_as_it_is_typed(auth: AuthWorkers) -> None:
    """Lower case, dashes and all."""
    login_id = await auth.ask()
    code = auth.code_of(login_id)
    typed = f"{code[:4].lower()}-{code[4:].lower()}"

    answer = await auth.call("POST", "/auth/link", {"login_id": login_id, "code": typed})

    assert 200 == answer.status


async def test_with_cookies_no_token_is_in_the_body(auth: AuthWorkers) -> None:
    """Scripts of the page cannot reach what they do not need."""
    token = auth.token_of(await auth.ask())
    answer = await auth.call(
        "POST", "/auth/link", {"token": token, "cookies": True}, headers=ORIGIN
    )

    assert {"token_type", "expires_in"} == set(await answer.json())
    assert {ACCESS, REFRESH, CSRF} == set(answer.cookies)
    assert answer.cookies[ACCESS]["httponly"]
    assert "Lax" == answer.cookies[ACCESS]["samesite"]
    assert ("Strict", "/auth") == (
        answer.cookies[REFRESH]["samesite"],
        answer.cookies[REFRESH]["path"],
    )
    assert not answer.cookies[CSRF]["httponly"]


async def test_two_hundred_parallel_clicks_over_two_processes_give_one_session(
    auth: AuthWorkers,
) -> None:
    """The rest is told the same thing: it no longer works."""
    token = auth.token_of(await auth.ask())
    async with asyncio.TaskGroup() as group:
        clicks = [
            group.create_task(auth.call("POST", "/auth/link", {"token": token}, door=n % 2))
            for n in range(200)
        ]

    statuses = sorted(click.result().status for click in clicks)
    assert [200] + [410] * 199 == statuses


async def test_the_browser_that_holds_the_session_goes_on_at_the_second_click(
    auth: AuthWorkers,
) -> None:
    """Anywhere else the link is spent."""
    token = auth.token_of(await auth.ask())
    body = {"token": token, "cookies": True}
    first = await auth.call("POST", "/auth/link", body, headers=ORIGIN)
    cookies = {name: morsel.value for name, morsel in first.cookies.items()}

    here = await auth.call("POST", "/auth/link", body, headers=ORIGIN, cookies=cookies)
    elsewhere = await auth.call("POST", "/auth/link", body, headers=ORIGIN)

    assert {"already_signed_in": True, "next": ""} == await here.json()
    assert 410 == elsewhere.status


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_looking_at_a_link_never_consumes_it(auth: AuthWorkers, method: str) -> None:
    """Scanners and previews leave it usable."""
    login_id = await auth.ask()
    token = auth.token_of(login_id)
    for path in (f"/auth/link?id={login_id}", f"/auth/link?token={token}", "/auth/link/inspect"):
        await auth.call(method, path)
    inspected = await auth.call("POST", "/auth/link/inspect", {"token": token})

    assert ADA == (await inspected.json())["email"]
    assert 200 == (await auth.call("POST", "/auth/link", {"token": token})).status


async def test_a_cancelled_link_is_spent(auth: AuthWorkers) -> None:
    """ "This was not me", also when it is said twice."""
    token = auth.token_of(await auth.ask())
    for _ in range(2):
        answer = await auth.call("POST", "/auth/link/cancel", {"token": token})
        assert 204 == answer.status

    assert 410 == (await auth.call("POST", "/auth/link", {"token": token})).status
    assert ["cancelled"] == [event.reason for event in await auth.hears(LOGIN_FAILED, 1)]


async def test_inspect_knows_the_browser_that_asked(auth: AuthWorkers) -> None:
    """By the pre-login cookie alone."""
    asked = await auth.call("POST", "/auth/login", {"email": ADA})
    token = auth.token_of((await asked.json())["login_id"])
    nonce = {LOGIN: asked.cookies[LOGIN].value}

    here = await auth.call("POST", "/auth/link/inspect", {"token": token}, cookies=nonce)
    elsewhere = await auth.call("POST", "/auth/link/inspect", {"token": token})

    assert (await here.json())["same_browser"]
    assert not (await elsewhere.json())["same_browser"]
    assert "127.0.0.0/24" == (await elsewhere.json())["client"]["network"]


async def test_refresh_reuse_ends_the_session_and_tells_the_person(
    auth: AuthWorkers,
) -> None:
    """A stolen token and its owner are both out, within the bound, and the owner gets a mail."""
    tokens = await auth.sign_in()
    stolen = {"refresh_token": tokens["refresh_token"]}
    second = await (await auth.call("POST", "/auth/refresh", stolen)).json()
    third = await auth.call("POST", "/auth/refresh", {"refresh_token": second["refresh_token"]})

    replay = await auth.call("POST", "/auth/refresh", stolen, door=1)
    owner = await auth.call(
        "POST", "/auth/refresh", {"refresh_token": (await third.json())["refresh_token"]}
    )

    assert [401, 401] == [replay.status, owner.status]
    revoked = await auth.hears(TOKEN_REVOKED, 1)
    assert [("session", "refresh_reuse")] == [(e.scope, e.reason) for e in revoked]
    notices = (await auth.hears(LOGIN_REQUESTED, 2))[1:]
    assert [(ADA, "refresh_reuse")] == [(e.email, e.notice) for e in notices]


async def test_two_tabs_that_refresh_at_once_get_the_same_successor(auth: AuthWorkers) -> None:
    """A hundred requests over two processes, one refresh token in all answers."""
    tokens = await auth.sign_in()
    body = {"refresh_token": tokens["refresh_token"]}
    async with asyncio.TaskGroup() as group:
        calls = [
            group.create_task(auth.call("POST", "/auth/refresh", body, door=n % 2))
            for n in range(100)
        ]

    successors = {(await call.result().json())["refresh_token"] for call in calls}
    assert 1 == len(successors)


async def test_revoking_a_person_kills_the_unopened_link_and_the_refresh_token(
    auth: AuthWorkers, nats_server: NatsServer
) -> None:
    """As an operator types it, by hand."""
    tokens, link = await auth.sign_in(), auth.token_of(await auth.ask())
    async with nats_server.connect("operator") as bus:
        body = b'{"scope":"subject","sub":"Ada@acme.com","reason":"laptop stolen"}'
        await bus.client.request("token.revoked", body, timeout=PATIENCE)

    async def refresh_refused() -> bool:
        answer = await auth.call(
            "POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]}
        )
        return answer.status == 401

    # Whichever worker is asked first, the feed of both must have it.
    await eventually(refresh_refused)
    await eventually(lambda: _is_gone(auth, tokens["access_token"], door=1))
    assert 410 == (await auth.call("POST", "/auth/link", {"token": link}, door=1)).status
    assert await auth.sign_in()


async def _is_gone(auth: AuthWorkers, access: str, door: int) -> bool:
    answer = await auth.call("GET", "/auth/me", headers=bearer(access), door=door)
    return answer.status == 401


async def test_sessions_are_listed_by_handle_and_ended_one_by_one(auth: AuthWorkers) -> None:
    """No sid is shown; a handle of somebody else's session is not found."""
    one, two = await auth.sign_in(), await auth.sign_in()
    bob = await auth.sign_in("bob@acme.com")
    listing = await auth.call("GET", "/auth/sessions", headers=bearer(two["access_token"]))
    sessions = (await listing.json())["sessions"]
    other = next(session for session in sessions if not session["current"])

    stranger = await auth.call(
        "DELETE", f"/auth/sessions/{other['handle']}", headers=bearer(bob["access_token"])
    )
    owner = await auth.call(
        "DELETE", f"/auth/sessions/{other['handle']}", headers=bearer(two["access_token"])
    )

    assert 2 == len(sessions)
    assert [404, 204] == [stranger.status, owner.status]
    refresh = await auth.call("POST", "/auth/refresh", {"refresh_token": one["refresh_token"]})
    assert 401 == refresh.status


async def test_signing_out_everywhere_ends_everything(auth: AuthWorkers) -> None:
    """Every session, here included, and links that nobody opened."""
    one, two, link = await auth.sign_in(), await auth.sign_in(), auth.token_of(await auth.ask())
    answer = await auth.call("DELETE", "/auth/sessions", headers=bearer(two["access_token"]))

    assert 204 == answer.status
    for tokens in (one, two):
        body = {"refresh_token": tokens["refresh_token"]}
        assert 401 == (await auth.call("POST", "/auth/refresh", body, door=1)).status
    assert 410 == (await auth.call("POST", "/auth/link", {"token": link})).status
    await eventually(lambda: _is_gone(auth, one["access_token"], door=0))


async def test_a_new_browser_of_a_known_person_is_announced_to_them(
    auth: AuthWorkers,
) -> None:
    """And the notice's link ends exactly that session."""
    known = {LOGIN: "k" * 43}
    await auth.sign_in(cookies=known)
    thief = await auth.sign_in(cookies={LOGIN: "t" * 43})
    again = await auth.sign_in(cookies=known)

    events = await auth.hears(LOGIN_REQUESTED, 4)
    notices = [event for event in events if event.purpose == "notice"]
    assert ["new_browser"] == [event.notice for event in notices]
    token = auth.token_of(notices[0].login_id, purpose="notice")
    seen = await auth.call("POST", "/auth/link/inspect", {"token": token})
    assert "notice" == (await seen.json())["purpose"]
    assert 410 == (await auth.call("POST", "/auth/link", {"token": token})).status
    assert again["access_token"] != thief["access_token"]


async def test_a_confidential_client_speaks_for_the_person(
    auth: AuthWorkers, client_basic: dict[str, str]
) -> None:
    """The network and browser in the mail are the person's, and it needs no pre-login cookie."""
    person = {"address": "203.0.113.77", "user_agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"}
    body = {"email": ADA, "client": person}
    stranger = await auth.call("POST", "/auth/login", body)
    wrong = await auth.call("POST", "/auth/login", body, headers={"Authorization": "Basic eDp5"})
    asked = await auth.call("POST", "/auth/login", body, headers=client_basic)
    token = auth.token_of((await asked.json())["login_id"])
    opened = await auth.call(
        "POST", "/auth/link", {"token": token, "client": person}, headers=client_basic
    )

    assert [403, 401, 202, 200] == [r.status for r in (stranger, wrong, asked, opened)]
    assert not asked.cookies
    event = (await auth.hears(LOGIN_REQUESTED, 1))[0]
    assert ("203.0.113.0/24", "Firefox on Linux") == (event.client.network, event.client.user_agent)
    me = await auth.call("GET", "/auth/me", headers=bearer((await opened.json())["access_token"]))
    assert "shop" == (await me.json())["client_id"]
    body = {"refresh_token": (await opened.json())["refresh_token"]}
    thief = await auth.call("POST", "/auth/refresh", body)
    owner = await auth.call("POST", "/auth/refresh", body, headers=client_basic)
    assert [401, 200] == [thief.status, owner.status]


async def test_logging_out_needs_no_living_access_token(auth: AuthWorkers) -> None:
    """A refresh token alone, nothing at all, and garbage: always 204."""
    tokens = await auth.sign_in()
    for body in ({"refresh_token": tokens["refresh_token"]}, {"refresh_token": "x"}, {}):
        assert 204 == (await auth.call("POST", "/auth/logout", body)).status
    assert 204 == (await auth.call("DELETE", "/auth/logout", headers=bearer("a.b.c"))).status

    body = {"refresh_token": tokens["refresh_token"]}
    assert 401 == (await auth.call("POST", "/auth/refresh", body)).status


async def test_cookies_renew_in_kind_and_end_in_kind(auth: AuthWorkers) -> None:
    """The pair is replaced by cookies, and cleared with the same attributes."""
    cookies = await auth.sign_in_with_cookies()
    renewed = await auth.call("POST", "/auth/refresh", headers=ORIGIN, cookies=cookies)
    gone = await auth.call("POST", "/auth/logout", headers=ORIGIN, cookies=cookies)

    assert {"token_type", "expires_in"} == set(await renewed.json())
    assert cookies[CSRF] == renewed.cookies[CSRF].value
    assert cookies[REFRESH] != renewed.cookies[REFRESH].value
    assert {"0"} == {gone.cookies[name]["max-age"] for name in (ACCESS, REFRESH, CSRF)}
    assert "/auth" == gone.cookies[REFRESH]["path"]


async def test_public_documents_are_true(auth: AuthWorkers) -> None:
    """Only public members of the keys; the issuer is the configured one whatever Host says."""
    keys = await auth.call("GET", "/.well-known/jwks.json")
    about = await auth.call(
        "GET", "/.well-known/oauth-authorization-server", headers={"Host": "evil.test"}
    )

    members = {member for key in (await keys.json())["keys"] for member in key}
    assert {"kty", "use", "alg", "kid", "n", "e"} == members
    assert "http://localhost:8080" == (await about.json())["issuer"]
