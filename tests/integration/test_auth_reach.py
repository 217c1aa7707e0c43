"""``Prefer: wait``: a client that wants to know that it is out everywhere; and whom a revocation would hit."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse

from latchwire.claims import Claims
from shared.clock import SystemClock
from shared.contract import EDGE_HEARTBEAT, OP_REVOCATION_MATCH, OP_USERS_SET, TOKEN_REVOKED
from shared.messages import Heartbeat, Match, MatchRequest, SetUser, TokenRevoked
from tests.support.auth_workers import ORIGIN, bearer
from tests.support.house import House, running_house
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
people = (f"reach{n}@acme.com" for n in range(1000))
WAIT = {"Prefer": "respond-async, wait=5; x=1"}
NEVER_SO_LONG = 30.0  # seconds: who waits for an edge that says nothing waits for ever, or as asked


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all; every test has a person of its own."""
    async with running_house(tmp_path_factory.mktemp("house"), max_staleness=4.0) as running:
        await eventually(running.knows_every_edge)
        yield running


async def told(answer: ClientResponse) -> dict[str, Any]:
    """The body."""
    body: dict[str, Any] = json.loads(await answer.text())
    return body


async def end(
    house: House, how: str, tokens: dict[str, Any], headers: dict[str, str]
) -> ClientResponse:
    """End the session of *tokens* by the route *how*."""
    access, call = bearer(tokens["access_token"]), house.auth.call
    if how == "revoke":
        return await call(
            "POST", "/auth/revoke", data={"token": tokens["refresh_token"]}, headers=headers
        )
    if how == "one session":
        listed = await told(await call("GET", "/auth/sessions", headers=access))
        handle = listed["sessions"][0]["handle"]
        return await call("DELETE", f"/auth/sessions/{handle}", headers={**access, **headers})
    method, path = how.split(" ")
    return await call(method, path, headers={**access, **headers})


ROUTES = {
    "POST /auth/logout": 204,
    "DELETE /auth/logout": 204,
    "DELETE /auth/sessions": 204,
    "one session": 204,
    "revoke": 200,
}


@pytest.mark.parametrize("how", ROUTES)
async def test_who_waits_is_answered_when_the_edge_has_confirmed(house: House, how: str) -> None:
    """200 says that it is over at every edge, and the edge agrees at once."""
    tokens = await house.auth.sign_in(next(people))
    assert await house.edge_accepts(tokens["access_token"])

    answer = await end(house, how, tokens, WAIT)

    assert not await house.edge_accepts(tokens["access_token"])
    body = await told(answer)
    at = datetime.fromisoformat(body.pop("safe_everywhere_at"))
    assert {"edges": 1, "confirmed": 1, "complete": True} == body
    assert 200 == answer.status
    assert "wait=5" == answer.headers["Preference-Applied"]
    assert abs((datetime.now(UTC) - at).total_seconds()) < 5


@pytest.mark.parametrize("how", ROUTES)
async def test_without_the_preference_nothing_changes(house: House, how: str) -> None:
    """No body, no header, no waiting."""
    tokens = await house.auth.sign_in(next(people))

    answer = await end(house, how, tokens, {"Prefer": "respond-async, wait=soon"})

    assert (ROUTES[how], "") == (answer.status, await answer.text())
    assert "Preference-Applied" not in answer.headers


async def test_a_browser_that_waits_loses_its_cookies_all_the_same(house: House) -> None:
    """The wait comes after everything else."""
    cookies = await house.auth.sign_in_with_cookies(next(people))

    answer = await house.auth.call(
        "POST", "/auth/logout", headers={**ORIGIN, **WAIT}, cookies=cookies
    )

    assert 200 == answer.status
    assert {"0"} == {morsel["max-age"] for morsel in answer.cookies.values()}
    assert 3 == len(answer.cookies)


async def test_a_repetition_is_told_the_same(house: House) -> None:
    """Its event is not handled twice, so nobody says again what it became."""
    tokens = await house.auth.sign_in(next(people))
    bodies = [
        await told(await end(house, "POST /auth/logout", tokens, {"Prefer": "wait=3"}))
        for _ in range(2)
    ]

    assert [(1, 1, True)] * 2 == [(b["edges"], b["confirmed"], b["complete"]) for b in bodies]


async def test_nothing_to_end_needs_no_waiting(house: House) -> None:
    """Whoever shows nothing of ours is out everywhere."""
    answer = await house.auth.call("POST", "/auth/logout", headers=WAIT)

    assert (200, True) == (answer.status, (await told(answer))["complete"])


async def match(house: House, scope: Any, identifier: str) -> Match:
    """What auth says."""
    return await house.bus.ask(OP_REVOCATION_MATCH, MatchRequest(scope=scope, id=identifier))


async def test_an_operator_hears_whom_a_revocation_would_hit(house: House) -> None:
    """The living sessions and unopened links of a person, under any spelling; and asking changes nothing."""
    email = next(people)
    tokens, _ = await house.auth.sign_in(email), await house.auth.sign_in(email)
    for _ in range(3):
        await house.auth.ask(email)
    claims = house.sdk.verify(tokens["access_token"])
    assert isinstance(claims, Claims)

    for _ in range(2):
        of_person = await match(house, "subject", f"  {email.upper()}")
        of_session = await match(house, "session", claims.sid)
        assert (2, 3, True) == (of_person.sessions, of_person.links, of_person.counted)
        assert (1, 0, True) == (of_session.sessions, of_session.links, of_session.counted)
    unknown = [
        await match(house, "session", "nobody"),
        await match(house, "subject", next(people)),
        await match(house, "subject", "not @n address@"),
    ]
    uncounted = [await match(house, scope, "x") for scope in ("token", "service", "key")]
    assert [(0, 0, True)] * 3 == [(m.sessions, m.links, m.counted) for m in unknown]
    assert not any(m.counted for m in uncounted)

    await house.bus.publish(TOKEN_REVOKED, TokenRevoked(scope="subject", sub=email))

    async def nobody() -> bool:
        found = await match(house, "subject", email)
        return (found.sessions, found.links) == (0, 0)

    await eventually(nobody)
    assert 0 == (await match(house, "session", claims.sid)).sessions
    await house.bus.ask(OP_USERS_SET, SetUser(email=email, action="block"))
    assert 0 == (await match(house, "subject", email)).links


async def test_a_silent_edge_is_named_by_the_time_it_has_closed(house: House) -> None:
    """202: stored, but not confirmed everywhere; the client learns from when on it need not worry."""
    tokens = await house.auth.sign_in(next(people))
    now_ms = SystemClock().now_ms()
    async with house.nats.connect("edge-2") as silent:
        beat = Heartbeat(
            edge_id="edge-2", at=now_ms, epoch="e", seq=0, ready=True, staleness_ms=0,
            blocklist_size=0, max_staleness_ms=4_000,
        )  # fmt: skip
        await silent.signal(EDGE_HEARTBEAT.of("edge-2"), beat)
        await silent.client.flush()

    async with asyncio.timeout(NEVER_SO_LONG):
        answer = await end(house, "POST /auth/logout", tokens, {"Prefer": "wait=2"})

    body = await told(answer)
    assert (202, 2, 1, False) == (
        answer.status,
        body["edges"],
        body["confirmed"],
        body["complete"],
    )
    safe_ms = datetime.fromisoformat(body["safe_everywhere_at"]).timestamp() * 1000
    assert SystemClock().now_ms() - 1_000 < safe_ms <= SystemClock().now_ms() + 7_000
    assert "wait=2" == answer.headers["Preference-Applied"]
    assert not await house.edge_accepts(tokens["access_token"])


async def test_without_a_revocation_worker_the_end_is_stored_and_the_wait_is_bounded(
    house: House,
) -> None:
    """The last of the module: afterwards nobody is there to answer. 202, and nobody can say from when on."""
    tokens = await house.auth.sign_in(next(people))
    house.auth.runtimes[0].stop("the only revocation worker goes away")
    await house.auth.runtimes[0].drain(0.5)
    heard = len(house.auth.said(TOKEN_REVOKED))

    async with asyncio.timeout(NEVER_SO_LONG):
        answer = await end(house, "POST /auth/logout", tokens, {"Prefer": "wait=1"})

    assert {
        "edges": 0,
        "confirmed": 0,
        "complete": False,
        "safe_everywhere_at": None,
    } == await told(answer)
    assert 202 == answer.status
    await house.auth.hears(TOKEN_REVOKED, heard + 1)
