"""Nobody learns from an answer whether an address is known: every kind of address, route by route."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse

from shared.bus import Bus
from shared.contract import LOGIN_REQUESTED, OP_USERS_SET
from shared.messages import SetUser
from tests.support.account_ways import configure_provider
from tests.support.auth_workers import ORIGIN, AuthWorkers, bearer, running_workers
from tests.support.credentials import ACCESS
from tests.support.house import SHOP, TILL, basic, write_clients
from tests.support.lying_provider import LyingProvider, person, running_provider
from tests.support.servers import make_nats, make_redis, make_secrets, start_in_thread
from tests.support.social import FROM_ELSEWHERE
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD, OTHER = "correct horse battery", "staple of the third"
MAILS_AN_HOUR = 12
GUESSES = 4  # wrong passwords, then nothing is right any more; below five, so that no answer waits
# Unproven, and neither of these any more, once somebody registers the address: one for each route.
ONCE = {"unknown", "deleted"}
ROUTES = ("login", "forgot", "resend", "register")
PATHS = {
    "login": "/auth/login",
    "register": "/auth/register",
    "forgot": "/auth/password/forgot",
    "resend": "/auth/register/resend",
}
STATUS = {"login": 401, "register": 202, "forgot": 202, "resend": 202}


def address_of(kind: str, route: str) -> str:
    """Of equal length, so that no length of a body tells by itself."""
    name = f"{kind}-{route}" if kind in ONCE else kind
    return f"{name:-<18}@acme.com" if kind != "not-allowed" else f"{name:-<18}@evil.com"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AuthWorkers]:
    """One auth with accounts, and somebody of every kind."""
    directory = tmp_path_factory.mktemp("enumeration")
    secrets_dir = make_secrets(directory / "secrets")
    write_clients(secrets_dir)
    nats, redis = make_nats(directory / "nats", secrets_dir), make_redis(directory / "redis")
    try:
        await start_in_thread(nats)
        await start_in_thread(redis)
        await nats.provision()
        async with (
            running_provider() as provider,
            nats.connect("operator") as operator,
            running_workers(
                nats,
                redis,
                secrets_dir,
                doors=1,
                accounts_url=f"sqlite:///{directory / 'accounts.db'}",
                providers=configure_provider(secrets_dir, provider),
                limit_address=f"{MAILS_AN_HOUR}/h",
                limit_password=f"{GUESSES}/h",
            ) as running,
        ):
            await populate(Town(running, provider, operator))
            yield running
    finally:
        nats.kill()
        redis.kill()


@dataclass(frozen=True)
class Town:
    """What people of every kind are made with: auth, their provider, and an operator."""

    auth: AuthWorkers
    provider: LyingProvider
    operator: Bus


async def _nobody(_town: Town, _email: str) -> None:
    """There never was one."""


async def _known(town: Town, email: str) -> None:
    await register(town.auth, email)


async def _disabled(town: Town, email: str) -> None:
    """``latchwire users block``."""
    await register(town.auth, email)
    await town.operator.ask(OP_USERS_SET, SetUser(email=email, action="block"), timeout=PATIENCE)


async def _unverified(town: Town, email: str) -> None:
    await register(town.auth, email, proven=False)


async def _deleted(town: Town, email: str) -> None:
    """By themselves."""
    tokens = await register(town.auth, email)
    gone = await town.auth.call("DELETE", "/auth/me", headers=bearer(tokens["access_token"]))
    assert gone.status == 202, await gone.text()


async def _social_only(town: Town, email: str) -> None:
    """A first login at the provider."""
    left = await town.auth.call("GET", "/auth/oauth/sso")
    browser = {name: morsel.value for name, morsel in left.cookies.items()}
    town.provider.who = person(email, email)
    back = town.provider.answer(left.headers["Location"])
    done = await town.auth.call("GET", back, headers=FROM_ELSEWHERE, cookies=browser)
    assert ACCESS in done.cookies, await done.text()


async def _guessed_at(town: Town, email: str) -> None:
    """By somebody who has no tries left."""
    await register(town.auth, email)
    wrong = {"email": email, "password": OTHER}
    tries = [town.auth.call("POST", PATHS["login"], wrong) for _ in range(GUESSES)]
    assert {answer.status for answer in await asyncio.gather(*tries)} == {401}


async def _mailed_at(town: Town, email: str) -> None:
    """As often as an address may be."""
    await register(town.auth, email)
    asked = [
        town.auth.call("POST", PATHS["forgot"], {"email": email}) for _ in range(MAILS_AN_HOUR)
    ]
    assert {answer.status for answer in await asyncio.gather(*asked)} == {202}


KINDS: dict[str, Callable[[Town, str], Awaitable[None]]] = {
    "known": _known,
    "unknown": _nobody,
    "disabled": _disabled,
    "unverified": _unverified,
    "deleted": _deleted,
    "social-only": _social_only,
    "guessed-at": _guessed_at,
    "mailed-at": _mailed_at,
    "not-allowed": _nobody,
}


async def populate(town: Town) -> None:
    """Make the people, as people come to be what they are."""
    async with asyncio.TaskGroup() as tasks:
        for kind, make in KINDS.items():
            for email in {address_of(kind, route) for route in ROUTES}:
                tasks.create_task(make(town, email))


async def register(running: AuthWorkers, email: str, *, proven: bool = True) -> dict[str, Any]:
    """With `GOOD`, and open the mail in the same browser: the tokens, if *proven*."""
    body = {"email": email, "password": GOOD}
    response = await running.call("POST", PATHS["register"], body)
    assert response.status == 202, await response.text()
    if not proven:
        return {}
    login_id = (await response.json())["login_id"]
    cookies = {name: morsel.value for name, morsel in response.cookies.items()}
    token = running.token_of(login_id, email, "verify_email")
    opened = await running.call("POST", "/auth/link", {"token": token}, cookies=cookies)
    assert opened.status == 200, await opened.text()
    tokens: dict[str, Any] = await opened.json()
    return tokens


async def ask(running: AuthWorkers, route: str, kind: str, **more: Any) -> ClientResponse:
    """One request about an address of *kind*."""
    body: dict[str, Any] = {"email": address_of(kind, route)}
    if route in {"login", "register"}:
        body["password"] = OTHER
    return await running.call("POST", PATHS[route], body | more, headers=ORIGIN)


async def seen_of(response: ClientResponse) -> dict[str, Any]:
    """All that whoever asked can see; of what is random its length."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    random = {name: len(headers.pop(name)) for name in ("x-request-id", "set-cookie")}
    headers.pop("date")
    return {
        "status": response.status,
        "length": len(await response.text()),
        "members": sorted((await response.json(content_type=None)).keys()),
        "cookies": sorted(response.cookies),
        **random,
        **headers,
    }


@pytest.mark.parametrize(
    ("route", "more"), [*((route, {}) for route in ROUTES), ("login", {"cookies": True})]
)
async def test_an_answer_is_the_same_for_every_kind_of_address(
    workers: AuthWorkers, route: str, more: dict[str, Any]
) -> None:
    """Status, body's length and members, headers and cookies (M-13)."""

    answers = await asyncio.gather(*(ask(workers, route, kind, **more) for kind in KINDS))
    seen = {kind: await seen_of(answer) for kind, answer in zip(KINDS, answers, strict=True)}

    assert seen["known"]["status"] == STATUS[route]
    different = [
        (kind, name, found, seen["known"].get(name))
        for kind in KINDS
        for name, found in seen[kind].items()
        if found != seen["known"].get(name)
    ]
    assert different == []


@pytest.mark.parametrize("kind", ["disabled", "unverified", "deleted", "guessed-at"])
async def test_the_right_password_of_who_may_not_come_in_is_as_wrong_as_any(
    workers: AuthWorkers, kind: str
) -> None:
    """It is theirs, or was; whoever has it learns nothing. One that is known, and may, comes in with it."""
    right = {"password": GOOD}

    theirs, wrong, known = await asyncio.gather(
        workers.call("POST", PATHS["login"], {"email": address_of(kind, "forgot")} | right),
        workers.call("POST", PATHS["login"], {"email": address_of("unknown", "login")} | right),
        workers.call("POST", PATHS["login"], {"email": address_of("known", "resend")} | right),
    )

    assert (known.status, wrong.status) == (200, 401)
    assert await seen_of(theirs) == await seen_of(wrong)


Mail = tuple[str, str | None]  # its purpose and its notice
PROVES, RESETS = ("verify_email", None), ("reset_password", None)
SIGNS_IN = ("sign_in", "already_registered")
MAILED = ("register", "forgot", "resend")
MAILS: dict[str, tuple[Mail | None, ...]] = {
    "known": (SIGNS_IN, RESETS, SIGNS_IN),
    "guessed-at": (SIGNS_IN, RESETS, SIGNS_IN),
    "social-only": (SIGNS_IN, RESETS, SIGNS_IN),
    "unverified": (PROVES, RESETS, PROVES),
    "unknown": (PROVES, None, None),
    "deleted": (PROVES, None, None),
    "disabled": (None, None, None),
    "mailed-at": (None, None, None),
    "not-allowed": (None, None, None),
}


async def test_only_whom_it_concerns_is_written_to(workers: AuthWorkers) -> None:
    """The other half of the table: same answers, different mails."""
    asked = [(kind, route) for kind in KINDS for route in MAILED]

    answers = await asyncio.gather(*(ask(workers, route, kind) for kind, route in asked))
    last = await ask(workers, "resend", "known")
    ids = [(await answer.json())["login_id"] for answer in (*answers, last)]

    def mails() -> dict[str, Mail]:
        """Of each attempt."""
        return {m.login_id: (m.purpose, m.notice) for m in workers.said(LOGIN_REQUESTED)}

    await eventually(lambda: ids[-1] in mails())
    found = {pair: mails().get(login_id) for pair, login_id in zip(asked, ids, strict=False)}
    assert found == {
        (kind, route): mail
        for kind, sent in MAILS.items()
        for route, mail in zip(MAILED, sent, strict=True)
    }


async def test_the_answers_carry_what_a_browser_and_a_server_need(workers: AuthWorkers) -> None:
    """Tokens in the body or in cookies, as for a link; and who one is, with what is in the store."""
    email = "grace@acme.com"
    await register(workers, email)
    body = {"email": email, "password": GOOD, "next": "/demo"}

    plain = await (await workers.call("POST", "/auth/login", body)).json()
    in_cookies = await workers.call("POST", "/auth/login", body | {"cookies": True}, headers=ORIGIN)
    cross = await workers.call(
        "POST", "/auth/login", body | {"cookies": True}, headers={"Origin": "https://evil.test"}
    )

    assert {"access_token", "refresh_token", "next"} <= plain.keys()
    assert "access_token" not in await in_cookies.json()
    assert len(in_cookies.cookies) == 4
    assert (cross.status, (await cross.json())["code"]) == (403, "csrf_failed")
    bearer = {"Authorization": f"Bearer {plain['access_token']}"}
    me = await (await workers.call("GET", "/auth/me", headers=bearer)).json()
    assert (me["email"], me["has_password"], me["providers"], me["orgs"]) == (email, True, [], [])
    assert me["amr"] == ["pwd"]
    assert me["sub"] != email


async def test_a_confidential_client_registers_and_logs_people_in(workers: AuthWorkers) -> None:
    """It names the person's browser, gets no cookie, and sends the password again with the link."""
    email, shop = "linus@acme.com", basic(SHOP)
    body = {"email": email, "password": GOOD}
    person = {"client": {"address": "203.0.113.7", "user_agent": "Firefox/1 Linux"}}

    asked = await workers.call("POST", PATHS["register"], body | person, headers=shop)
    assert (asked.status, len(asked.cookies)) == (202, 0)
    token = workers.token_of((await asked.json())["login_id"], email, "verify_email")
    opened = await workers.call(
        "POST", "/auth/link", {"token": token, "password": GOOD} | person, headers=shop
    )
    assert opened.status == 200, await opened.text()
    logged_in = await workers.call("POST", "/auth/login", body | person, headers=shop)
    in_cookies = await workers.call("POST", "/auth/login", body | {"cookies": True}, headers=shop)
    by_nobody = await workers.call("POST", "/auth/login", body | person)

    assert (logged_in.status, len(logged_in.cookies)) == (200, 0)
    assert (in_cookies.status, by_nobody.status) == (400, 403)
    refresh = {"refresh_token": (await logged_in.json())["refresh_token"]}
    assert (await workers.call("POST", "/auth/refresh", refresh)).status == 401
    assert (await workers.call("POST", "/auth/refresh", refresh, headers=shop)).status == 200


async def test_a_confidential_client_may_say_which_browser_it_is(workers: AuthWorkers) -> None:
    """By a value of its own: the same one is the same browser, but not when another client says it."""
    shop, body = basic(SHOP), {"email": "vint@acme.com", "password": GOOD}
    here = {"client": {"user_agent": "Firefox/1 Linux", "device": "h" * 43}}
    there = {"client": {"user_agent": "Firefox/1 Linux", "device": "t" * 43}}

    async def call(path: str, body: dict[str, object], client: str = SHOP) -> Any:
        return await workers.call("POST", path, body, headers=basic(client))

    asked = await call(PATHS["register"], body | here)
    token = workers.token_of((await asked.json())["login_id"], "vint@acme.com", "verify_email")
    seen = [
        await (await call("/auth/link/inspect", {"token": token} | said, client)).json()
        for said, client in ((here, SHOP), (there, SHOP), (here, TILL), ({}, SHOP))
    ]
    assert [view["same_browser"] for view in seen] == [True, False, False, False]
    assert (await call("/auth/link", {"token": token} | here)).status == 200
    assert (await call(PATHS["login"], body | here)).status == 200, "the password was kept"
    for device in ("Firefox on Linux", "x" * 21, "x" * 129, "\u00e9" * 30):
        bad = body | {"client": {"device": device}}
        assert (await workers.call("POST", PATHS["login"], bad, headers=shop)).status == 400
    assert (await workers.call("POST", "/auth/link/inspect", {"token": token} | here)).status == 403


async def test_a_password_is_changed_and_reset_over_http(workers: AuthWorkers) -> None:
    """PUT answers in kind with a new session; the reset answers 204 and opens none."""
    email = "alan@acme.com"
    await register(workers, email)
    login = {"email": email, "password": GOOD}
    tokens = await (await workers.call("POST", "/auth/login", login)).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}

    missing = await workers.call("PUT", "/auth/password", {"password": OTHER}, headers=bearer)
    wrong = await workers.call(
        "PUT", "/auth/password", {"password": OTHER, "current_password": OTHER}, headers=bearer
    )
    short = await workers.call(
        "PUT", "/auth/password", {"password": "short", "current_password": GOOD}, headers=bearer
    )
    changed = await workers.call(
        "PUT", "/auth/password", {"password": OTHER, "current_password": GOOD}, headers=bearer
    )

    codes = [(r.status, (await r.json())["code"]) for r in (missing, wrong, short)]
    assert codes == [
        (400, "invalid_request"),
        (403, "invalid_credentials"),
        (400, "password_too_short"),
    ]
    assert changed.status == 200, await changed.text()
    new = {"Authorization": f"Bearer {(await changed.json())['access_token']}"}
    await eventually_refused(workers, bearer)
    assert (await workers.call("GET", "/auth/me", headers=new)).status == 200
    forgot = await workers.call("POST", PATHS["forgot"], {"email": email})
    token = workers.token_of((await forgot.json())["login_id"], email, "reset_password")
    reset = await workers.call("POST", "/auth/password/reset", {"token": token, "password": GOOD})
    assert (reset.status, await reset.text()) == (204, "")
    await eventually_refused(workers, new)
    again = await workers.call("POST", "/auth/login", login)
    assert again.status == 200, await again.text()


async def eventually_refused(workers: AuthWorkers, bearer: dict[str, str]) -> None:
    """The word of the end has arrived at auth's own feed."""

    async def refused() -> bool:
        return (await workers.call("GET", "/auth/me", headers=bearer)).status == 401

    await eventually(refused)


async def test_the_rules_of_a_password_can_be_asked(workers: AuthWorkers) -> None:
    """By whoever draws a form."""
    response = await workers.call("GET", "/auth/password/rules")

    assert await response.json() == {"min_characters": 12, "max_bytes": 1024}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/register", {"email": "a@acme.com"}),
        ("/auth/register", {"email": "a@acme.com", "password": GOOD, "roles": ["owner"]}),
        ("/auth/register", {"email": "a@acme.com", "password": GOOD, "sub": "x", "verified_at": 1}),
        ("/auth/register", {"email": "A <a@acme.com>", "password": GOOD}),
        ("/auth/register", {"email": "a@acme.com", "password": ["x" * 20]}),
        ("/auth/register", {"email": "a@acme.com", "password": "\ud800" * 20}),
        ("/auth/login", {"email": "a@acme.com", "cookies": True}),
        ("/auth/login", {"email": "a@acme.com", "password": 7}),
        ("/auth/password/reset", {"password": GOOD}),
        ("/auth/password/reset", {"password": GOOD, "token": "x", "code": "y"}),
        ("/auth/password/forgot", {"email": "a@acme.com", "password": GOOD}),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_and_changes_nothing(
    workers: AuthWorkers, path: str, body: dict[str, Any]
) -> None:
    """Fields of ours and no others, each of its type; no 500, whatever it holds."""
    response = await workers.call("POST", path, body)

    assert response.status == 400, await response.text()


async def test_every_kind_has_an_address_of_the_same_length() -> None:
    """Or the lengths of bodies would prove nothing."""
    assert len({len(address_of(kind, route)) for kind in KINDS for route in ROUTES}) == 1
