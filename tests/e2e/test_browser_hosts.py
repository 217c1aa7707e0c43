"""One login for several hosts, in real Chromium: auth., app. and api.house.localhost behind the gateway."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.cookies import Morsel
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
import pytest_asyncio
from playwright._impl._api_structures import SetCookieParam
from playwright.async_api import Browser, expect

from shared.clock import SystemClock
from shared.secrets import load_signing_key, signing_paths
from tests.support.chromium import Window, open_window, skip_without_chromium
from tests.support.servers import free_port
from tests.support.stack import ROOT, Stack, Up
from tests.support.tokens import SigningKey, sign
from tests.support.visitor import NAVIGATION, Here, token_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    skip_without_chromium(),
]

DOMAIN = "house.localhost"
ACCESS, CSRF, REFRESH = (
    "latchwire-dev-shared",
    "latchwire-dev-shared-csrf",
    "latchwire-dev-refresh",
)
EXAMPLE = ROOT / "examples" / "several_hosts" / "services.yaml"


@dataclass(frozen=True)
class House:
    """A running `up` with a cookie domain; `at` gives the address of a host of it."""

    stack: Stack
    front: int

    def at(self, name: str, path: str = "/demo") -> str:
        """*path* on the host *name* of the domain."""
        return f"http://{name}.{DOMAIN}:{self.front}{path}"

    def token(self, genuine: str, **changes: Any) -> str:
        """The access token *genuine* with other claims, signed by the installation's own key."""
        claims = jwt.decode(genuine, options={"verify_signature": False})
        path = signing_paths(Path(self.stack.run["secrets_dir"]))[-1]
        key = SigningKey(path.stem, "RS256", load_signing_key(path))
        return sign(claims | changes, key).decode()

    def expired(self, genuine: str) -> str:
        """The same token an hour ago."""
        now = SystemClock().now_ms() // 1000
        return self.token(
            genuine, iat=now - 3600, iat_ms=(now - 3600) * 1000, nbf=now - 3600, exp=now - 2700
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for all tests of this module."""
    state = tmp_path_factory.mktemp("house") / "state"
    state.mkdir()
    front, mail, demo = free_port(), free_port(), free_port()
    catalogue = EXAMPLE.read_text().replace(":8080", f":{front}").replace(":9100", f":{demo}")
    (state / "services.yaml").write_text(catalogue)
    doors = ("--port", str(front), "--mail-port", str(mail))
    settings = {"COOKIE_DOMAIN": DOMAIN, "LIMIT_NETWORK": "100000/5m", "SITE_NAME": "Acme"}
    up = Up.start(state, *doors, **{f"LATCHWIRE_{n}": v for n, v in settings.items()})
    try:
        up.wait_for("Ready after")
        yield House(Stack(up, up.run()), front)
        assert up.end() == 0, up.text
    finally:
        up.kill()


@pytest_asyncio.fixture(loop_scope="module")
async def window(chromium: Browser, house: House) -> AsyncIterator[Window]:
    """A browser of nobody's."""
    async with open_window(chromium, house.stack) as opened:
        yield opened


async def log_in_at(window: Window, house: House, url: str, email: str) -> None:
    """From a page of a service to the login and back to that page, by mail."""
    seen = len(await house.stack.inbox.mails_to(email))
    await window.page.goto(url)
    assert window.page.url.startswith(house.at("auth", "/auth/login?next="))
    await window.page.get_by_label("E-mail address").fill(email)
    await window.press("Send me a link")
    await window.open_link(email, count=seen + 1)
    await window.press("Continue")
    await expect(window.page.locator("#who")).to_have_text(email)


async def logged_in(window: Window, house: House, email: str) -> None:
    """The cookies of a login, put into the browser without its pages."""
    connector = aiohttp.TCPConnector(resolver=Here())
    async with aiohttp.ClientSession(connector=connector) as session:
        await session.post(house.at("auth", "/auth/login"), json={"email": email})
        proof = {"token": token_in(await house.stack.mail_to(email)), "cookies": True}
        own = {"Origin": house.at("auth", "")}
        async with session.post(house.at("auth", "/auth/link"), json=proof, headers=own) as answer:
            assert answer.status == 200, await answer.text()
            for name, morsel in answer.cookies.items():
                await window.context.add_cookies([_cookie(name, morsel)])


def _cookie(name: str, morsel: Morsel[str]) -> SetCookieParam:
    domain = f".{morsel['domain']}" if morsel["domain"] else f"auth.{DOMAIN}"
    return {
        "name": name,
        "value": morsel.value,
        "domain": domain,
        "path": morsel["path"],
        "httpOnly": bool(morsel["httponly"]),
        "sameSite": morsel["samesite"],
    }


async def replace_access(window: Window, make: Any) -> None:
    """Put what *make* makes of the access cookie in its place."""
    held = next(c for c in await window.context.cookies() if c.get("name") == ACCESS)
    await window.context.add_cookies(
        [
            {
                "name": ACCESS,
                "value": make(held["value"]),
                "domain": f".{DOMAIN}",
                "path": "/",
                "httpOnly": True,
                "sameSite": "Lax",
            }
        ]
    )


async def test_one_login_is_good_on_every_host_and_so_is_its_end(
    window: Window, house: House, email: str
) -> None:
    """From app. to the login at auth. and back to the very page; api. asks nothing; its end is the end."""
    wanted = house.at("app", "/demo/list?sort=a&page=2")
    await log_in_at(window, house, wanted, email)
    assert window.page.url == wanted

    await window.page.goto(house.at("api"))
    await expect(window.page.locator("#who")).to_have_text(email)
    await window.press("Log out")
    await expect(window.page.get_by_role("heading", name="You are signed out")).to_be_visible()

    await window.page.goto(house.at("app"))
    await expect(window.page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_a_login_for_another_site_ends_at_the_account(
    window: Window, house: House, email: str
) -> None:
    """A link to our login page with a foreign return address sends nobody there."""
    await logged_in(window, house, email)
    for foreign in ("http://evil.localhost:1/", f"http://{DOMAIN}.evil.test/", "//evil.test"):
        await window.page.goto(house.at("auth", f"/auth/continue?next={foreign}"))
        assert window.page.url == house.at("auth", "/auth/account")


async def test_a_page_on_another_host_renews_a_token_that_ran_out_on_the_way(
    window: Window, house: House, email: str
) -> None:
    """Over auth. and back, without a question, to the address that was typed."""
    await logged_in(window, house, email)
    await replace_access(window, house.expired)
    window.asked.clear()

    await window.page.goto(house.at("app", "/demo?x=1"))

    await expect(window.page.locator("#who")).to_have_text(email)
    assert window.page.url == house.at("app", "/demo?x=1")
    assert any("/auth/continue?next=http" in url for url in window.asked)


async def test_a_form_posted_with_a_token_that_ran_out_is_told_to_be_lost(
    window: Window, house: House, email: str
) -> None:
    """Not to the login and not in a circle: the person stays logged in, and the form is one click on."""
    await logged_in(window, house, email)
    await window.page.goto(house.at("app"))
    await replace_access(window, house.expired)
    await window.page.evaluate(
        "() => { const f = document.createElement('form'); f.method = 'post'; f.action = '/demo/save';"
        " document.body.append(f); f.submit(); }"
    )

    told = window.page.get_by_role("heading", name="What you sent is not saved")
    await expect(told).to_be_visible()
    await window.page.get_by_role("link", name="Open the page anew").click()
    await expect(window.page.locator("#who")).to_have_text(email)
    assert window.page.url == house.at("app", "/demo")


FETCH = """async ([url, times]) => Promise.all(Array.from({ length: times }, async () => {
  const answer = await latchwire.fetch(url, { credentials: "include" });
  return answer.status;
}))"""


@pytest.mark.parametrize("of", ["app", "api"])
async def test_a_script_on_one_host_renews_at_another(
    window: Window, house: House, email: str, of: str
) -> None:
    """The page is app.'s, the data app.'s or api.'s, the renewal auth.'s: once, whoever waits for it."""
    await logged_in(window, house, email)
    await window.page.goto(house.at("app"))
    await replace_access(window, house.expired)
    await window.page.add_script_tag(url=house.at("auth", "/auth/latchwire.js"))
    window.asked.clear()

    answers = await window.page.evaluate(FETCH, [house.at(of, "/demo/things"), 3])

    assert answers == [200, 200, 200]
    renewals = [url for url in window.asked if url == house.at("auth", "/auth/refresh")]
    assert len(renewals) == 1


async def test_a_person_who_may_not_reads_so_and_is_not_sent_round(
    window: Window, house: House, email: str
) -> None:
    """403 with a page of the site's own, two ways on, and nothing from elsewhere in it."""
    await logged_in(window, house, email)
    answer = await window.page.goto(house.at("closed"))

    assert answer is not None
    assert (answer.status, window.page.url) == (403, house.at("closed"))
    await expect(window.page.get_by_role("heading", name="This is not for you")).to_be_visible()
    await window.picture("15-refused")
    assert window.complaints == []
    background = await window.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(246, 245, 242)"  # its one style is let in by its hash
    await window.page.get_by_role("link", name="Log in as somebody else").click()
    await expect(window.page.get_by_role("heading", name="Log in")).to_be_visible()
    await expect(window.page.get_by_text(f"You are logged in as {email}.")).to_be_visible()
    somebody = f"else-{email}"
    await window.page.get_by_label("E-mail address").fill(somebody)
    await window.press("Send me a link")
    await window.open_link(somebody)
    await window.press("Continue")
    await expect(window.page.get_by_role("heading", name="This is not for you")).to_be_visible()
    assert window.page.url == house.at("closed")  # the way back was kept
    await window.page.goto(house.at("closed"))
    await window.page.get_by_role("link", name="Your account").click()
    await expect(window.page.get_by_text(somebody).first).to_be_visible()


async def test_a_browser_that_lost_its_access_cookie_is_renewed_without_a_question(
    window: Window, house: House, email: str
) -> None:
    """The edge sees nobody; the login form sees the session, and leads back to the page with new cookies."""
    await logged_in(window, house, email)
    await window.context.clear_cookies(name=ACCESS)
    window.asked.clear()

    await window.page.goto(house.at("app", "/demo?x=1"))

    await expect(window.page.locator("#who")).to_have_text(email)
    assert window.page.url == house.at("app", "/demo?x=1")
    ways = [way for way in ("/auth/login", "/auth/continue") if any(way in u for u in window.asked)]
    assert ways == ["/auth/login", "/auth/continue"]


async def test_a_login_that_is_too_old_leads_to_the_login_and_back(
    window: Window, house: House, email: str
) -> None:
    """Never to renewing, which would bring it back as old as it went."""
    await logged_in(window, house, email)
    long_ago = SystemClock().now_ms() // 1000 - 3600
    await replace_access(window, lambda token: house.token(token, auth_time=long_ago))
    window.asked.clear()

    await window.page.goto(house.at("careful"))
    await expect(window.page.get_by_text(f"You are logged in as {email}.")).to_be_visible()
    assert await window.page.get_by_role("link", name="Go on").count() == 0
    await log_in_at(window, house, house.at("careful"), email)

    assert window.page.url == house.at("careful")
    assert not any("/auth/continue" in url for url in window.asked)
    window.asked.clear()
    await window.page.goto(house.at("careful"))
    await expect(window.page.locator("#who")).to_have_text(email)
    assert not any(
        "/auth/login" in url for url in window.asked
    )  # once: the new login is young enough


TRY = """async ([url, init]) => {
  try { const answer = await fetch(url, { ...init, credentials: "include" }); return answer.type; }
  catch (error) { return error.name; }
}"""


async def test_a_sibling_that_is_not_in_the_catalogue_gets_nothing(
    window: Window, house: House, email: str
) -> None:
    """Same site, so the cookies travel; but it reads no answer, renews nothing and logs nobody out."""
    await logged_in(window, house, email)
    await window.page.goto(
        house.at("stranger", "/")
    )  # the gateway's own 404: a page of that origin
    before = await _cookies(window)
    for path, init in [
        ("/auth/refresh", {"method": "POST", "headers": {"Content-Type": "application/json"}}),
        ("/auth/refresh", {"method": "POST", "mode": "no-cors"}),
        ("/auth/logout", {"method": "POST", "mode": "no-cors"}),
        ("/auth/logout", {"method": "DELETE"}),
        ("/auth/me", {}),
        ("/auth/sessions", {"method": "DELETE"}),
    ]:
        seen = await window.page.evaluate(TRY, [house.at("auth", path), init])
        assert seen in {"TypeError", "opaque"}, path
    assert await _cookies(window) == before

    await window.page.goto(house.at("app"))
    await expect(window.page.locator("#who")).to_have_text(email)


async def test_a_service_of_the_catalogue_is_told_nothing_about_the_person_by_auth(
    window: Window, house: House, email: str
) -> None:
    """Its pages may renew and log out; who somebody is, its own server hears from the gateway."""
    await logged_in(window, house, email)
    await window.page.goto(house.at("api", "/"))  # no page of the service's, so without its policy
    for path in ("/auth/me", "/auth/sessions"):
        assert "TypeError" == await window.page.evaluate(TRY, [house.at("auth", path), {}])
    ended = await window.page.evaluate(
        TRY, [house.at("auth", "/auth/logout"), {"method": "DELETE"}]
    )

    assert ended == "cors"
    assert {ACCESS, REFRESH}.isdisjoint(await _cookies(window))


async def _cookies(window: Window) -> dict[str, str]:
    return {c["name"]: c["value"] for c in await window.context.cookies()}


# Browsers that do not keep cookies as they should.


class Forgetful:
    """Sends a fixed set of cookies, whatever it is given."""

    def __init__(self, cookies: dict[str, str]) -> None:
        self.cookies = cookies

    def take(self, host: str, answer: aiohttp.ClientResponse) -> None:
        """Nothing is kept."""

    def of(self, host: str) -> dict[str, str]:
        """What is sent to *host*."""
        return self.cookies


class HostOnly(Forgetful):
    """Ignores Domain: what auth. sets is never sent to app."""

    def __init__(self, cookies: dict[str, str]) -> None:
        super().__init__(cookies)
        self.kept: dict[str, dict[str, str]] = {f"auth.{DOMAIN}": dict(cookies)}

    def take(self, host: str, answer: aiohttp.ClientResponse) -> None:
        self.kept.setdefault(host, {}).update({n: m.value for n, m in answer.cookies.items()})

    def of(self, host: str) -> dict[str, str]:
        return self.kept.get(host, {})


class Stuck(HostOnly):
    """Keeps everything but a new access token: the old one stays, on every host."""

    def __init__(self, cookies: dict[str, str]) -> None:
        super().__init__(cookies)
        self.access = cookies[ACCESS]

    def of(self, host: str) -> dict[str, str]:
        return {**super().of(host), ACCESS: self.access}


async def rest_of(house: House, jar: Forgetful, url: str) -> tuple[int, str, int]:
    """Follow redirects and the pages that go on by themselves: status and text of the last, and how many."""
    connector = aiohttp.TCPConnector(resolver=Here())
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        for steps in range(40):
            host = re.sub(r"^http://([^:/]+).*", r"\1", url)
            cookies = "; ".join(f"{n}={v}" for n, v in jar.of(host).items() if v)
            headers = {**NAVIGATION, "Sec-Fetch-Site": "same-site", "Cookie": cookies}
            async with session.get(url, headers=headers, allow_redirects=False) as answer:
                text = await answer.text()
                jar.take(host, answer)
                onwards = answer.headers.get("Location") or _refreshes_to(text)
                if not onwards:
                    return answer.status, text, steps
                url = onwards if "://" in onwards else house.at("auth", onwards)
    raise AssertionError(f"sent round and round, last to {url}")


def _refreshes_to(text: str) -> str:
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', text)
    return found[1].replace("&amp;", "&") if found else ""


BROWSERS = {
    "it has no cookies and keeps none": (Forgetful, False, 200, "Log in"),
    "it keeps cookies for one host only": (HostOnly, True, 200, "You are logged in as"),
    "it never replaces the access token": (Stuck, True, 403, "did not keep our cookie"),
}


@pytest.mark.parametrize("how", BROWSERS)
async def test_no_browser_is_sent_round_for_ever(
    window: Window, house: House, email: str, how: str
) -> None:
    """Whatever it does with cookies, after a few steps it shows a page that says what to do."""
    make, carries, status, said = BROWSERS[how]
    cookies: dict[str, str] = {}
    if carries:
        await logged_in(window, house, email)
        await replace_access(window, house.expired)
        cookies = await _cookies(window)

    seen, text, steps = await rest_of(house, make(cookies), house.at("app"))

    assert seen == status, text
    assert re.search(said, text), text
    assert steps <= 20, (how, steps)


async def test_two_cookies_of_one_name_end_at_a_page(
    window: Window, house: House, email: str
) -> None:
    """A sibling planted a second one: refused with a page, and not sent from one login to the next."""
    await logged_in(window, house, email)
    twin = {"name": ACCESS, "value": "planted", "domain": f".{DOMAIN}", "path": "/demo"}
    await window.context.add_cookies([twin])  # type: ignore[list-item]
    answer = await window.page.goto(house.at("app"))

    assert answer is not None
    assert (answer.status, window.page.url) == (403, house.at("app"))
    await expect(window.page.get_by_role("heading", name="This is not for you")).to_be_visible()
