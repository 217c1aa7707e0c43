"""The owner's shape: examples/web_app against the whole product, as a browser meets it."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
import yarl

from latchwire._strict import decode_base64url
from shared.secrets import load_signing_key, signing_paths
from tests.support.servers import free_port
from tests.support.stack import ROOT, Stack, start_stack
from tests.support.waiting import eventually

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
ACCESS, REFRESH = "app_access", "app_refresh"


@dataclass(frozen=True)
class Site:
    """The running example at *url*, and the product behind it."""

    url: str
    stack: Stack


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The product with its links leading to the example, and the example itself."""
    root = tmp_path_factory.mktemp("web-app")
    port = free_port()
    secret = _register(root / "state", "web_app")
    stack = start_stack(
        root / "state",
        LATCHWIRE_LINK_URL=f"http://localhost:{port}/login?token={{token}}",
        LATCHWIRE_LIMIT_NETWORK="100000/5m",
    )
    try:
        with run_example(root, stack, port, secret):
            yield Site(f"http://localhost:{port}", stack)
    finally:
        stack.up.end()
        stack.up.kill()


def _register(state: Path, client_id: str) -> str:
    """The example's command, before the first start: the secret."""
    (state / "secrets").mkdir(parents=True, mode=0o700)
    command = [ROOT / "latchwire", "--context", state, "clients", "add", client_id]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@contextmanager
def run_example(root: Path, stack: Stack, port: int, secret: str) -> Iterator[None]:
    """The example as its README starts it."""
    file = root / f"secret-{port}"
    file.write_text(secret + "\n")
    settings = {
        "CLIENT_SECRET_FILE": str(file),
        "URL": f"http://localhost:{port}",
        "GATEWAY": stack.url,
        "PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, ROOT / "examples" / "web_app" / "app.py"],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


class Browser:
    """A browser: a cookie jar, its own User-Agent, forms posted from the page's own origin."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http, self.url = http, url

    async def open(self, path: str) -> tuple[int, str]:
        """GET *path* and follow redirects: status and text."""
        async with self._http.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def send(self, path: str, origin: str = "", **form: str) -> tuple[int, str]:
        """POST a form and follow redirects: status and text."""
        headers = {"Origin": origin or self.url}
        async with self._http.post(self.url + path, data=form, headers=headers) as answer:
            return answer.status, await answer.text()

    def cookie(self, name: str) -> Any:
        """The cookie *name* with its attributes; None when there is none."""
        return self._http.cookie_jar.filter_cookies(yarl.URL(self.url)).get(name)

    def stored(self, name: str) -> Any:
        """The cookie as the server set it."""
        return next(cookie for cookie in self._http.cookie_jar if cookie.key == name)

    def put(self, name: str, value: str) -> None:
        """Replace the value of a cookie."""
        self._http.cookie_jar.update_cookies({name: value}, yarl.URL(self.url))


@asynccontextmanager
async def browser(site: Site, agent: str = FIREFOX) -> AsyncIterator[Browser]:
    """A fresh browser on the site, which is up."""
    async with aiohttp.ClientSession(headers={"User-Agent": agent}) as http:
        fresh = Browser(http, site.url)

        async def answers() -> bool:
            try:
                return (await fresh.open("/"))[0] == 200
            except aiohttp.ClientConnectionError:
                return False

        await eventually(answers, within=60)
        yield fresh


async def ask_link(site: Site, page: Browser, email: str, *, count: int = 1) -> str:
    """Ask for a link and find it in the mail: the token."""
    assert (await page.send("/ask", email=email))[0] == 200
    mail = await site.stack.mail_to(email, count=count)
    link = next(word for word in mail["text"].split() if word.startswith(site.url))
    return parse_qs(urlsplit(link).query)["token"][0]


async def sign_in(site: Site, page: Browser, email: str) -> str:
    """Sign in by the link; the token, spent."""
    token = await ask_link(site, page, email)
    status, text = await page.send("/login", token=token)
    assert (status, email in text) == (200, True), text
    return token


async def ask_api(site: Site, access: str) -> tuple[int, str]:
    """Call the API as anybody who has *access* would."""
    headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{site.stack.url}/demo", headers=headers) as answer,
    ):
        return answer.status, answer.headers.get("X-Latchwire-Reason", "")


async def test_a_person_signs_in_by_the_link_and_the_api_knows_who_they_are(site: Site) -> None:
    """Ask, open the link as often as a scanner likes, press the button, be known to the API."""
    async with browser(site) as page:
        token = await ask_link(site, page, "ada@example.com")

        looks = [await page.open(f"/login?token={token}") for _ in range(3)]
        status, text = await page.send("/login", token=token)

        assert [200] * 3 == [look[0] for look in looks]
        assert all("You are signing in as <b>ada@example.com</b>" in look[1] for look in looks)
        assert all("Was this you?" not in look[1] for look in looks)
        assert (status, "You are <b>ada@example.com</b>" in text) == (200, True)


async def test_tokens_stay_in_http_only_cookies_and_out_of_the_pages(site: Site) -> None:
    """No script and no page of the application ever sees a token."""
    async with browser(site) as page:
        await sign_in(site, page, "cookies@example.com")

        _, text = await page.open("/")

        for name in (ACCESS, REFRESH):
            cookie = page.stored(name)
            assert (True, "Lax") == (cookie["httponly"], cookie["samesite"])
            assert cookie.value not in text


async def test_another_browser_sees_who_asked_before_it_signs_in(site: Site) -> None:
    """A link opened elsewhere names the browser of the person, not that of the application's server."""
    async with browser(site, FIREFOX) as asked, browser(site, CHROME) as opened:
        token = await ask_link(site, asked, "elsewhere@example.com")

        _, text = await opened.open(f"/login?token={token}")

        assert "Was this you?" in text
        assert "Firefox on Linux, network 127.0.0.0/24" in text


async def test_the_code_from_the_mail_signs_in_the_browser_that_asked(site: Site) -> None:
    """The code works where the link was asked for, and nowhere else."""
    email = "code@example.com"
    async with browser(site) as page, browser(site) as stranger:
        await ask_link(site, page, email)
        mail = await site.stack.mail_to(email)
        code = next(w for w in mail["text"].split() if len(w) == 9 and w[4] == "-")

        refused, _ = await stranger.send("/login", code=code)
        status, text = await page.send("/login", code=code)

        assert (410, 200) == (refused, status)
        assert email in text


async def test_a_spent_link_leads_home_in_its_browser_and_nowhere_in_another(site: Site) -> None:
    """The second click does no harm and opens nothing."""
    async with browser(site) as page, browser(site) as other:
        token = await sign_in(site, page, "second@example.com")

        _, own = await page.open(f"/login?token={token}")
        status, elsewhere = await other.open(f"/login?token={token}")
        replayed, _ = await other.send("/login", token=token)

        assert "You are <b>second@example.com</b>" in own
        assert (410, 410) == (status, replayed)
        assert "second@example.com" not in elsewhere


async def test_an_expired_access_token_is_renewed_without_the_person_noticing(site: Site) -> None:
    """401 token_expired: the server renews, calls again and hands over the new pair."""
    async with browser(site) as page:
        await sign_in(site, page, "expired@example.com")
        before = page.cookie(REFRESH).value
        page.put(ACCESS, make_expired(site, page.cookie(ACCESS).value))
        assert (401, "token_expired") == await ask_api(site, page.cookie(ACCESS).value)

        status, text = await page.open("/")

        assert (200, True) == (status, "You are <b>expired@example.com</b>" in text)
        assert before != page.cookie(REFRESH).value
        assert (200, "") == await ask_api(site, page.cookie(ACCESS).value)


async def test_after_log_out_the_very_token_that_worked_is_refused_by_the_gateway(
    site: Site,
) -> None:
    """Logging out here is logging out everywhere, also for who copied the token."""
    async with browser(site) as page:
        await sign_in(site, page, "out@example.com")
        copied = page.cookie(ACCESS).value
        worked = await ask_api(site, copied)

        status, text = await page.send("/logout")

        async def refused() -> bool:
            return await ask_api(site, copied) == (401, "token_revoked")

        assert (200, "") == worked
        assert (200, True) == (status, "Send me a link" in text)
        await eventually(refused)
        assert page.cookie(ACCESS) is page.cookie(REFRESH) is None


async def test_a_session_ended_elsewhere_is_over_here_too(site: Site) -> None:
    """Sign out everywhere at auth: the next page says so and forgets the tokens."""
    async with browser(site) as page:
        await sign_in(site, page, "everywhere@example.com")
        await end_all_sessions(site, page.cookie(ACCESS).value)

        async def signed_out() -> bool:
            return "You have been signed out." in (await page.open("/"))[1]

        await eventually(signed_out)
        assert page.cookie(REFRESH) is None


async def test_a_form_from_another_site_does_nothing(site: Site) -> None:
    """Cross-site posts are refused and the person stays signed in."""
    async with browser(site) as page:
        await sign_in(site, page, "csrf@example.com")

        status, _ = await page.send("/logout", origin="https://evil.example")
        _, text = await page.open("/")

        assert 403 == status
        assert "csrf@example.com" in text


async def test_a_wrong_client_secret_is_said_to_nobody_and_signs_nobody_in(
    site: Site, tmp_path: Path
) -> None:
    """The operator's mistake shows as "try again", not as an error page or a sign-in."""
    port = free_port()
    with run_example(tmp_path, site.stack, port, "wrong"):
        async with browser(Site(f"http://localhost:{port}", site.stack)) as page:
            status, text = await page.send("/ask", email="nobody@example.com")

    assert (503, True) == (status, "Please try again" in text)
    assert [] == await site.stack.inbox.mails_to("nobody@example.com")


def make_expired(site: Site, access: str) -> str:
    """The same token as it would have been an hour ago, signed by the installation's own key."""
    claims = json.loads(decode_base64url(access.split(".")[1].encode()) or b"")
    for name in ("iat", "exp", "auth_time"):
        claims[name] -= 3600
    for name in ("iat_ms", "sst"):
        claims[name] -= 3_600_000
    path = signing_paths(Path(site.stack.run["secrets_dir"]))[-1]
    headers = {"typ": "at+jwt", "kid": path.stem}
    return jwt.encode(claims, load_signing_key(path), algorithm="RS256", headers=headers)


async def end_all_sessions(site: Site, access: str) -> None:
    """Sign out everywhere, at auth itself."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {access}"}) as http,
        http.delete(f"{site.stack.url}/auth/sessions") as answer,
    ):
        assert answer.status == 204
