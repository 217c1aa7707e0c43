"""Cookies that a sibling subdomain plants, and names that only look like ours; on real NATS and Redis."""

from collections.abc import AsyncIterator

import jwt
import pytest
from aiohttp import ClientResponse

from shared.contract import TOKEN_REVOKED
from tests.support.auth_workers import ADA, ORIGIN, AuthWorkers, bearer, running_workers
from tests.support.servers import NatsServer, RedisServer
from tests.support.waiting import eventually

ACCESS, REFRESH, CSRF = "latchwire-dev", "latchwire-dev-refresh", "latchwire-dev-csrf"
SPACES = ["\u2000", "\u00a0", "\u0085", "\u3000"]
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-site"}


@pytest.fixture
async def auth(nats_server: NatsServer, redis_server: RedisServer) -> AsyncIterator[AuthWorkers]:
    """One auth worker."""
    secrets_dir = nats_server.secrets_dir
    async with running_workers(nats_server, redis_server, secrets_dir, doors=1) as workers:
        yield workers


async def send(auth: AuthWorkers, method: str, path: str, cookie: str) -> ClientResponse:
    """A request of our own page with this very Cookie header."""
    return await auth.call(method, path, headers={**ORIGIN, "Cookie": cookie})


def pairs(*cookies: tuple[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies)


async def refreshes(auth: AuthWorkers, cookies: dict[str, str]) -> int:
    return (await auth.call("POST", "/auth/refresh", headers=ORIGIN, cookies=cookies)).status


@pytest.mark.parametrize(
    "beside",
    ["nothing", "their own session", "a forged one", "their own CSRF cookie", "two of them"],
)
async def test_a_planted_refresh_cookie_renews_nothing(auth: AuthWorkers, beside: str) -> None:
    """Neither a fetch nor a navigation puts the victim into the attacker's session; nothing is cleared."""
    attacker = await auth.sign_in_with_cookies()
    victim = await auth.sign_in_with_cookies() if beside == "their own session" else {}
    if beside == "a forged one":
        head, _, mac = attacker[ACCESS].rpartition(".")
        victim = {ACCESS: f"{head}.{mac[::-1]}"}
    if beside == "their own CSRF cookie":
        victim = {CSRF: (await auth.sign_in_with_cookies())[CSRF]}
    if beside == "two of them":
        theirs = (await auth.sign_in_with_cookies())[CSRF]
        victim = {CSRF: f"{attacker[CSRF]}; {CSRF}={theirs}"}
    cookies = {**victim, REFRESH: attacker[REFRESH]}
    renewed = await auth.call("POST", "/auth/refresh", headers=ORIGIN, cookies=cookies)
    continued = await auth.call(
        "GET", "/auth/continue?next=/demo", headers=NAVIGATION, cookies=cookies
    )

    assert (401, "no_credentials") == (renewed.status, (await renewed.json())["code"])
    assert (303, "/auth/login?next=%2Fdemo&again=1") == (
        continued.status,
        continued.headers["Location"],
    )
    assert not {ACCESS, REFRESH, CSRF} & {*renewed.cookies, *continued.cookies}
    assert 200 == await refreshes(auth, attacker)


async def test_a_session_whose_access_cookie_is_gone_is_known_by_its_csrf_cookie(
    auth: AuthWorkers,
) -> None:
    """The edge sees no cookie and sends to the login form, which sends on to be renewed, and back."""
    cookies = await auth.sign_in_with_cookies()
    left = {name: cookies[name] for name in (REFRESH, CSRF)}
    form = await auth.call("GET", "/auth/login?next=/demo", headers=NAVIGATION, cookies=left)
    way = form.headers["Location"]
    continued = await auth.call("GET", way, headers=NAVIGATION, cookies=left)

    assert (303, "/auth/continue?next=%2Fdemo") == (form.status, way)
    assert (303, "/demo") == (continued.status, continued.headers["Location"])
    assert {ACCESS, REFRESH, CSRF} <= {*continued.cookies}


async def test_a_fetch_renews_too_where_the_access_cookie_is_gone(auth: AuthWorkers) -> None:
    """So does the script of a page."""
    cookies = await auth.sign_in_with_cookies()

    assert 200 == await refreshes(auth, {name: cookies[name] for name in (REFRESH, CSRF)})


async def test_a_login_opens_a_session_of_its_own_whatever_cookies_were_planted(
    auth: AuthWorkers,
) -> None:
    """GHSA-f24x, session fixation: the attacker's session, sent with the login, is not what it opens."""
    planted = await auth.sign_in_with_cookies("eve@acme.com")
    body = {"token": auth.token_of(await auth.ask()), "cookies": True}
    opened = await auth.call("POST", "/auth/link", body, headers=ORIGIN, cookies=planted)
    cookies = {name: morsel.value for name, morsel in opened.cookies.items()}
    claims = [
        jwt.decode(one[ACCESS], options={"verify_signature": False}) for one in (planted, cookies)
    ]

    assert [found["sub"] for found in claims] == ["eve@acme.com", ADA]
    assert claims[0]["sid"] != claims[1]["sid"]
    assert not set(planted.values()) & set(cookies.values())


async def test_a_refresh_token_in_the_body_needs_no_cookie(auth: AuthWorkers) -> None:
    """What no other site can plant is bound to nothing else."""
    cookies = await auth.sign_in_with_cookies()
    answer = await auth.call("POST", "/auth/refresh", {"refresh_token": cookies[REFRESH]})

    assert 200 == answer.status


@pytest.mark.parametrize("space", SPACES)
async def test_a_name_with_a_space_of_unicode_is_another_cookies(
    auth: AuthWorkers, space: str
) -> None:
    """A browser guards no prefix there, so whoever set it is not us; nor is it a twin of ours."""
    cookies = await auth.sign_in_with_cookies()
    for name in (f"{space}{ACCESS}", f"{ACCESS}{space}"):
        alone = await send(auth, "GET", "/auth/me", pairs((name, cookies[ACCESS])))
        twin = await send(auth, "GET", "/auth/me", pairs(*cookies.items(), (name, "x")))
        assert [401, 200] == [alone.status, twin.status]
    value = await send(auth, "GET", "/auth/me", f"{ACCESS}={space}{cookies[ACCESS]}{space}")
    header = await auth.call(
        "GET", "/auth/me", headers={"Authorization": f"Bearer {space}{cookies[ACCESS]}"}
    )
    plain = await send(auth, "GET", "/auth/me", f" \t{ACCESS}\t = {cookies[ACCESS]}\t")

    assert [401, 401, 200] == [value.status, header.status, plain.status]


@pytest.mark.parametrize("by", ["json", "form"])
async def test_a_planted_twin_does_not_keep_anybody_signed_in(auth: AuthWorkers, by: str) -> None:
    """Logout ends each session that is genuine among the twins, and always clears."""
    one, two = await auth.sign_in_with_cookies(), await auth.sign_in_with_cookies()
    cookie = pairs(
        (REFRESH, one[REFRESH]), (ACCESS, "x"), (REFRESH, "planted"), (REFRESH, two[REFRESH])
    )
    path = "/auth/logout" if by == "json" else "/auth/form/logout"
    answer = await send(auth, "POST", path, cookie)

    assert {"json": 204, "form": 303}[by] == answer.status
    assert {"0"} == {answer.cookies[name]["max-age"] for name in (ACCESS, REFRESH, CSRF)}
    assert 2 == len(await auth.hears(TOKEN_REVOKED, 2))
    assert [401, 401] == [await refreshes(auth, one), await refreshes(auth, two)]


async def test_both_of_two_access_cookies_are_ended(auth: AuthWorkers) -> None:
    """Of two people, if need be."""
    one, two = await auth.sign_in(), await auth.sign_in("bob@acme.com")
    cookie = pairs(*((ACCESS, tokens["access_token"]) for tokens in (one, two)))
    assert 204 == (await send(auth, "DELETE", "/auth/logout", cookie)).status

    async def over() -> bool:
        heads = [bearer(tokens["access_token"]) for tokens in (one, two)]
        answers = [await auth.call("GET", "/auth/me", headers=head) for head in heads]
        return [401, 401] == [answer.status for answer in answers]

    await eventually(over)


async def test_a_row_of_planted_cookies_costs_four_looks(
    auth: AuthWorkers, redis_server: RedisServer
) -> None:
    """What stands first is ended, what is beyond is not looked up."""
    sessions = [await auth.sign_in_with_cookies() for _ in range(5)]
    cookie = pairs(*((REFRESH, cookies[REFRESH]) for cookies in sessions))
    assert 204 == (await send(auth, "POST", "/auth/logout", cookie)).status

    assert [401, 401, 401, 401, 200] == [await refreshes(auth, cookies) for cookies in sessions]


async def test_another_site_cannot_log_out_with_the_csrf_token_of_a_planted_twin(
    auth: AuthWorkers,
) -> None:
    """Among twins nobody's token counts."""
    victim, attacker = await auth.sign_in_with_cookies(), await auth.sign_in_with_cookies()
    headers = {
        "Origin": "https://evil.test",
        "X-CSRF-Token": attacker[CSRF],
        "Cookie": pairs((REFRESH, victim[REFRESH]), (REFRESH, attacker[REFRESH])),
    }
    answer = await auth.call("POST", "/auth/logout", headers=headers)

    assert 403 == answer.status
    assert 200 == await refreshes(auth, victim)


@pytest.mark.parametrize("first", ["ours", "planted"])
async def test_a_planted_twin_of_the_refresh_cookie_stops_nobody(
    auth: AuthWorkers, first: str
) -> None:
    """Only ours is of the session of the access cookie, which nobody else can set."""
    victim, attacker = await auth.sign_in_with_cookies(), await auth.sign_in_with_cookies()
    twins = [(REFRESH, victim[REFRESH]), (REFRESH, attacker[REFRESH]), (REFRESH, "x")]
    cookie = pairs((ACCESS, victim[ACCESS]), *(twins if first == "ours" else twins[::-1]))
    account = await send(auth, "GET", "/auth/account", cookie)
    continued = await auth.call(
        "GET", "/auth/continue?next=/demo", headers={**NAVIGATION, "Cookie": cookie}
    )
    renewed = await send(auth, "POST", "/auth/refresh", cookie)

    assert [200, 200] == [account.status, renewed.status]
    assert "/demo" == continued.headers["Location"]
    who = await auth.call("GET", "/auth/me", headers=bearer(renewed.cookies[ACCESS].value))
    assert 200 == who.status
    assert 200 == await refreshes(auth, attacker)


async def test_of_two_twins_of_one_session_neither_counts(auth: AuthWorkers) -> None:
    """Nobody can say which one is ours; nothing is cleared."""
    victim = await auth.sign_in_with_cookies()
    head, _, mac = victim[REFRESH].rpartition(".")
    forged = f"{head}.{'B' if mac.startswith('A') else 'A'}{mac[1:]}"
    cookie = pairs((ACCESS, victim[ACCESS]), (REFRESH, forged), (REFRESH, victim[REFRESH]))

    renewed = await send(auth, "POST", "/auth/refresh", cookie)

    assert 401 == renewed.status
    assert not renewed.cookies
    assert 200 == await refreshes(auth, victim)
