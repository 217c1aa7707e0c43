"""Accounts are switched on where people have signed in without: everybody stays who they were, or it is said.

One installation, on one Redis and one NATS: first without accounts, when people sign in, then with them.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
import pytest_asyncio

from shared.bus import Bus
from shared.contract import OP_USERS_SET, TOKEN_REVOKED, USER_REGISTERED, USER_VERIFIED
from shared.messages import SetUser
from tests.support.auth_workers import AuthWorkers, bearer, running_workers
from tests.support.servers import make_nats, make_redis, make_secrets, start_in_thread
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ULID = 26
PASSWORD = "correct horse battery staple"
# Who signed in before; of GONE the session was ended, LATE only asked, BLOCKED is kept out since.
LIVING, GONE, DELETED, REGISTERED, BLOCKED, LATE = (
    f"{name}@acme.com" for name in ("living", "gone", "deleted", "registered", "blocked", "late")
)


@dataclass
class Before:
    """What people had when accounts were switched on."""

    auth: AuthWorkers  # with accounts
    bus: Bus
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    link: str = ""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def before(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Before]:
    """One for all; every test has people of its own."""
    directory = tmp_path_factory.mktemp("installation")
    secrets_dir = make_secrets(directory / "secrets")
    nats, redis = make_nats(directory / "nats", secrets_dir), make_redis(directory / "redis")
    url = f"sqlite:///{directory / 'accounts.db'}"
    try:
        for server in (nats, redis):
            await start_in_thread(server)
        await nats.provision()
        async with nats.connect("operator") as bus:
            async with running_workers(nats, redis, secrets_dir, doors=1) as auth:
                everybody = (LIVING, GONE, DELETED, REGISTERED, BLOCKED)
                tokens = {email: await auth.sign_in(email) for email in everybody}
                await auth.call("POST", "/auth/logout", refresh_body(tokens[GONE]))
                await bus.ask(OP_USERS_SET, SetUser(email=BLOCKED, action="block"))
                link = auth.token_of(await auth.ask(LATE), LATE)
            async with running_workers(nats, redis, secrets_dir, doors=1, accounts_url=url) as auth:
                yield Before(auth, bus, tokens, link)
    finally:
        for server in (nats, redis):
            server.kill()


def refresh_body(tokens: dict[str, Any]) -> dict[str, str]:
    """What renews or ends a session."""
    return {"refresh_token": tokens["refresh_token"]}


async def refresh(auth: AuthWorkers, tokens: dict[str, Any]) -> int:
    """The status of a renewal."""
    return (await auth.call("POST", "/auth/refresh", refresh_body(tokens))).status


async def renewed(auth: AuthWorkers, tokens: dict[str, Any]) -> dict[str, Any]:
    """The tokens of a renewal that must succeed."""
    answer = await auth.call("POST", "/auth/refresh", refresh_body(tokens))
    assert answer.status == 200, await answer.text()
    new: dict[str, Any] = await answer.json()
    return new


def said_by(tokens: dict[str, Any]) -> dict[str, Any]:
    """The claims of the access token."""
    claims: dict[str, Any] = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return claims


async def facts_of(auth: AuthWorkers, sub: str) -> list[tuple[str, str | None]]:
    """What was announced of *sub*, until it is verified: each fact with its previous_sub."""
    count = len(auth.said(USER_VERIFIED))
    while not any(fact.sub == sub for fact in auth.said(USER_VERIFIED)):
        count += 1
        await auth.hears(USER_VERIFIED, count)
    return [
        (name, getattr(message, "previous_sub", None))
        for name, message in auth.events
        if name in {USER_REGISTERED.name, USER_VERIFIED.name} and message.sub == sub
    ]


STAYS = [(USER_REGISTERED.name, None), (USER_VERIFIED.name, None)]


async def test_a_living_session_goes_on_under_the_same_name(before: Before) -> None:
    """Whatever services keep under it stays theirs; a new session is the same person's."""
    auth, tokens = before.auth, before.tokens[LIVING]
    for _ in range(2):
        tokens = await renewed(auth, tokens)
    again = await auth.sign_in(LIVING)
    me = await auth.call("GET", "/auth/me", headers=bearer(tokens["access_token"]))
    listed = await auth.call("GET", "/auth/sessions", headers=bearer(again["access_token"]))

    assert LIVING == said_by(tokens)["sub"] == said_by(again)["sub"] == (await me.json())["sub"]
    assert 2 == len((await listed.json())["sessions"])
    assert STAYS == await facts_of(auth, LIVING)


async def test_who_is_remembered_comes_back_as_who_they_were(before: Before) -> None:
    """Without a session too: the browser that signed in once says that there was somebody."""
    back = await before.auth.sign_in(GONE)

    assert GONE == said_by(back)["sub"]
    assert STAYS == await facts_of(before.auth, GONE)


async def test_a_stranger_gets_an_id_and_the_word_names_both(before: Before) -> None:
    """By a link that was asked for before there were accounts, and by one from after."""
    auth = before.auth
    late = await auth.call("POST", "/auth/link", {"token": before.link})
    assert late.status == 200, await late.text()
    for email, tokens in (
        (LATE, await late.json()),
        ("new@acme.com", await auth.sign_in("new@acme.com")),
    ):
        claims = said_by(tokens)
        expected = [(USER_REGISTERED.name, email), (USER_VERIFIED.name, None)]
        assert (ULID, email) == (len(claims["sub"]), claims["email"])
        assert expected == await facts_of(auth, claims["sub"])
        assert claims["sub"] == said_by(await renewed(auth, tokens))["sub"]


async def test_the_sub_of_somebody_deleted_is_nobody_s(before: Before) -> None:
    """Neither the new account's, nor its previous one, and no session from before brings it back."""
    auth, old = before.auth, before.tokens[DELETED]
    fresh = await auth.sign_in(DELETED)
    gone = await auth.call("DELETE", "/auth/me", headers=bearer(fresh["access_token"]))
    assert gone.status < 300, await gone.text()
    refused = [await refresh(auth, shown) for shown in (old, fresh)]
    new = said_by(await auth.sign_in(DELETED))

    assert [401, 401] == refused
    assert ULID == len(new["sub"])
    assert STAYS == await facts_of(auth, new["sub"])


async def test_who_registers_a_remembered_address_takes_nothing_of_it(before: Before) -> None:
    """The stranger is first; the person's session goes on all the same, and that password never counts."""
    auth, body = before.auth, {"email": REGISTERED, "password": PASSWORD}
    assert 202 == (await auth.call("POST", "/auth/register", body)).status
    claims = said_by(await renewed(auth, before.tokens[REGISTERED]))
    login = await auth.call("POST", "/auth/login", body)

    assert REGISTERED == claims["sub"]
    assert STAYS == await facts_of(auth, REGISTERED)
    assert 401 == login.status


async def test_a_block_keeps_out_by_address_and_ends_by_id(before: Before) -> None:
    """One from before holds; a new one ends what the account has."""
    auth, eve = before.auth, "eve@acme.com"
    login_id = await auth.ask(BLOCKED)
    link = {"token": auth.token_of(login_id, BLOCKED)}
    statuses = (
        await refresh(auth, before.tokens[BLOCKED]),
        (await auth.call("POST", "/auth/link", link)).status,
    )
    new = await auth.sign_in(eve)
    state = await before.bus.ask(OP_USERS_SET, SetUser(email=eve, action="block"))
    names = {eve, said_by(new)["sub"]}
    await eventually(lambda: names <= {end.sub for end in auth.said(TOKEN_REVOKED)})

    assert (401, 410) == statuses
    assert (True, 0) == (state.blocked, state.sessions)
    assert 401 == await refresh(auth, new)
