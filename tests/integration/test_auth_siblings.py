"""What pages on other hosts may ask of auth, on real NATS and Redis: two routes, for hosts of the catalogue."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientResponse

from services.auth.http.policy import ROWS, Route
from tests.support.auth_workers import AuthWorkers, running_workers
from tests.support.servers import make_nats, make_redis, make_secrets, start_in_thread

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOMAIN = "house.localhost"
OWN, APP = f"http://auth.{DOMAIN}:8080", f"http://app.{DOMAIN}:8080"
ACCESS, REFRESH = "latchwire-dev-shared", "latchwire-dev-refresh"
CSRF = "latchwire-dev-shared-csrf"
SHARED: dict[str, set[str]] = {"/auth/refresh": {"POST"}, "/auth/logout": {"POST", "DELETE"}}
CATALOGUE = f"services:\n  app: {{host: app.{DOMAIN}, upstream: 'http://127.0.0.1:1'}}\n"
FOREIGN = [
    "null", "http://evil.test", f"http://other.{DOMAIN}:8080", f"http://app.{DOMAIN}",
    f"http://app.{DOMAIN}:8081", f"https://app.{DOMAIN}:8080", f"http://APP.{DOMAIN}:8080",
    f"http://app.{DOMAIN}.:8080", f"http://app.{DOMAIN}:8080.evil.test", f"{APP}/", f"{APP}@evil.test",
    f"{APP},{OWN}", f"http://evil.test/{APP}", "*", "",
]  # fmt: skip


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def auth(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AuthWorkers]:
    """One auth worker whose login is for house.localhost, with a catalogue of one host."""
    directory = tmp_path_factory.mktemp("siblings")
    secrets_dir = make_secrets(directory / "secrets")
    catalogue = directory / "services.yaml"
    catalogue.write_text(CATALOGUE)
    nats, redis = make_nats(directory / "nats", secrets_dir), make_redis(directory / "redis")
    try:
        await start_in_thread(nats)
        await start_in_thread(redis)
        await nats.provision()
        own = {"url": OWN, "cookie_domain": DOMAIN, "catalogue": catalogue}
        accounts = f"sqlite:///{directory / 'accounts.db'}"
        async with running_workers(
            nats, redis, secrets_dir, doors=1, limit_address="1000/h", accounts_url=accounts, **own
        ) as workers:
            yield workers
    finally:
        nats.kill()
        redis.kill()


async def log_in(auth: AuthWorkers) -> dict[str, str]:
    """The cookies of a new session."""
    body = {"token": auth.token_of(await auth.ask()), "cookies": True}
    answer = await auth.call("POST", "/auth/link", body, headers={"Origin": OWN})
    assert answer.status == 200, await answer.text()
    return {name: morsel.value for name, morsel in answer.cookies.items()}


async def preflight(auth: AuthWorkers, path: str, method: str, origin: str) -> ClientResponse:
    """What a browser asks before a script's request."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return await auth.call(
        "OPTIONS", path, headers={**asked, "Access-Control-Request-Headers": "content-type"}
    )


def told(answer: ClientResponse) -> set[str]:
    """What the answer says to scripts of other origins."""
    return {n for n in answer.headers if n.lower().startswith("access-control-")}


@pytest.mark.parametrize("route", sorted(ROWS), ids=" ".join)
async def test_only_two_routes_are_open_to_pages_of_the_catalogue(
    auth: AuthWorkers, route: Route
) -> None:
    """Every route of auth is asked; all others say nothing, and a browser keeps their answers to itself."""
    method, path = route
    answer = await preflight(auth, path.replace("{", "").replace("}", ""), method, APP)

    if method in SHARED.get(path, set()):
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type, X-CSRF-Token"
        allowed = answer.headers["Access-Control-Allow-Methods"].split(", ")
        assert set(allowed) == SHARED[path]
        assert "Origin" in answer.headers["Vary"]
    else:
        assert answer.status in {404, 405}
        assert told(answer) == set()


@pytest.mark.parametrize("origin", FOREIGN)
async def test_no_other_origin_is_told_anything(auth: AuthWorkers, origin: str) -> None:
    """Another host, port, scheme or spelling: no preflight, no answer to read, no renewal, no end."""
    cookies = await log_in(auth)
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-site"}
    for path, methods in SHARED.items():
        for method in methods:
            asked = await preflight(auth, path, method, origin)
            assert (asked.status, told(asked)) == (405, set())
            answer = await auth.call(method, path, headers=headers, cookies=cookies)
            assert (answer.status, told(answer)) == (403, set())
            assert not {ACCESS, REFRESH} & {*answer.cookies}

    renewed = await auth.call("POST", "/auth/refresh", headers={"Origin": OWN}, cookies=cookies)
    assert renewed.status == 200


async def test_a_page_of_the_catalogue_renews_and_reads_nothing_secret(auth: AuthWorkers) -> None:
    """New cookies for the whole domain, named exactly; the body holds no token."""
    cookies = await log_in(auth)
    headers = {"Origin": APP, "Sec-Fetch-Site": "same-site"}
    answer = await auth.call("POST", "/auth/refresh", headers=headers, cookies=cookies)

    assert answer.status == 200
    assert answer.headers.getall("Access-Control-Allow-Origin") == [APP]
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "X-Latchwire-Reason" in answer.headers["Access-Control-Expose-Headers"]
    new = answer.cookies[ACCESS]
    assert new.value not in {"", cookies[ACCESS]}
    assert (new["domain"], new["path"], new["samesite"]) == (DOMAIN, "/", "Lax")
    assert answer.cookies[REFRESH]["domain"] == ""  # auth's own host alone
    assert not set(answer.cookies) - set(cookies)
    text = await answer.text()
    assert not any(morsel.value in text for morsel in answer.cookies.values())


async def test_only_our_own_pages_change_the_active_organisation(auth: AuthWorkers) -> None:
    """A sibling's page neither switches it, nor leaves it, nor learns where somebody is a member.

    Not with the CSRF cookie either, which every host of the domain can read.
    """
    cookies, own = await log_in(auth), {"Origin": OWN}
    made = await auth.call("POST", "/auth/orgs", {"name": "own"}, headers=own, cookies=cookies)
    org = (await made.json())["org"]
    sibling = {"Origin": APP, "Sec-Fetch-Site": "same-site", "X-CSRF-Token": cookies[CSRF]}
    for asked in (org, "", "01J00000000000000000000000"):
        answer = await auth.call(
            "POST", "/auth/refresh", {"org": asked}, headers=sibling, cookies=cookies
        )
        told = (answer.status, answer.headers.get("X-Latchwire-Reason"))
        assert told == (403, "csrf_failed"), asked
        assert not {ACCESS, REFRESH} & {*answer.cookies}

    renewed = await auth.call("POST", "/auth/refresh", headers=sibling, cookies=cookies)
    assert renewed.status == 200
    cookies |= {name: morsel.value for name, morsel in renewed.cookies.items()}
    ours = await auth.call("POST", "/auth/refresh", {"org": org}, headers=own, cookies=cookies)
    assert ours.status == 200


async def test_a_refusal_can_be_read_by_the_page_that_asked(auth: AuthWorkers) -> None:
    """Else its script could not tell "log in again" from a network that is down."""
    answer = await auth.call("POST", "/auth/refresh", headers={"Origin": APP})

    assert answer.status == 401
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert answer.headers["X-Latchwire-Reason"] == "no_credentials"


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_page_of_the_catalogue_logs_out(auth: AuthWorkers, method: str) -> None:
    """Everywhere: the session is over, not only the page's own view of it."""
    cookies = await log_in(auth)
    answer = await auth.call(method, "/auth/logout", headers={"Origin": APP}, cookies=cookies)
    again = await auth.call("POST", "/auth/refresh", headers={"Origin": OWN}, cookies=cookies)

    assert (answer.status, again.status) == (204, 401)
    assert answer.cookies[ACCESS]["domain"] == DOMAIN


async def test_a_button_on_another_host_logs_out_and_a_strangers_does_not(
    auth: AuthWorkers,
) -> None:
    """The form on a service's own page; the same form on a host that is not in the catalogue."""
    for origin, over in ((f"http://other.{DOMAIN}:8080", False), (APP, True)):
        cookies = await log_in(auth)
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-site", "Accept": "text/html"}
        await auth.call("POST", "/auth/form/logout", headers=headers, cookies=cookies, data={})
        again = await auth.call("POST", "/auth/refresh", headers={"Origin": OWN}, cookies=cookies)
        assert (again.status == 401) is over


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/auth/sessions"), ("POST", "/auth/form/sessions"), ("POST", "/auth/link")],
)
async def test_what_else_changes_something_is_for_our_own_pages(
    auth: AuthWorkers, method: str, path: str
) -> None:
    """A host of the catalogue is another origin: it ends no other session and begins none."""
    cookies = await log_in(auth)
    headers = {"Origin": APP, "Sec-Fetch-Site": "same-site"}
    body = {"token": "x", "cookies": True} if path == "/auth/link" else None
    answer = await auth.call(method, path, body, headers=headers, cookies=cookies)

    assert answer.status in {403, 200}
    renewed = await auth.call("POST", "/auth/refresh", headers={"Origin": OWN}, cookies=cookies)
    assert renewed.status == 200


async def test_the_way_back_goes_to_a_host_of_the_catalogue_and_nowhere_else(
    auth: AuthWorkers,
) -> None:
    """As it was asked for on the page of the login, by the API, and where a token is renewed."""
    navigation = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-site"}
    for next_, kept in [
        (f"{APP}/a?b=c", True),
        (f"http://other.{DOMAIN}:8080/", False),
        ("http://evil.test/", False),
    ]:
        cookies = await log_in(auth)
        page = await auth.call("GET", "/auth/login", params={"next": next_})
        assert (next_ in await page.text()) is kept
        asked = await auth.call("POST", "/auth/login", {"email": "ada@acme.com", "next": next_})
        assert asked.status == (202 if kept else 400)
        onwards = await auth.call(
            "GET", "/auth/continue", params={"next": next_}, headers=navigation, cookies=cookies
        )
        target = next_ if kept else "/auth/account"
        assert (onwards.status, onwards.headers["Location"]) == (303, target)


async def test_the_forms_of_the_login_may_end_on_the_domain_and_no_further(
    auth: AuthWorkers,
) -> None:
    """Browsers hold redirects after a form to the page's form-action; the rest of the policy is as it was."""
    page = await auth.call("GET", "/auth/login")
    policy = page.headers["Content-Security-Policy"].split("; ")

    assert f"form-action 'self' http://{DOMAIN}:8080 http://*.{DOMAIN}:8080" in policy
    assert "default-src 'none'" in policy


async def test_the_renewing_script_may_be_loaded_by_pages_of_the_same_site(
    auth: AuthWorkers,
) -> None:
    """Nothing else of auth may."""
    script = await auth.call("GET", "/auth/latchwire.js")
    page = await auth.call("GET", "/auth/login")

    assert script.headers["Cross-Origin-Resource-Policy"] == "same-site"
    assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"
