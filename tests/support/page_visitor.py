"""A browser without scripts: cookies, pages and forms, one step at a time, no redirect followed."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from aiohttp import ClientSession, CookieJar
from multidict import CIMultiDictProxy

from tests.support.html import Form, Page, parse_page

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"
_networks = itertools.count()
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: CIMultiDictProxy[str]
    body: str

    @property
    def page(self) -> Page:
        """The body as a page."""
        assert self.headers["Content-Type"] == "text/html; charset=utf-8"
        return parse_page(self.body)

    @property
    def location(self) -> str:
        """Where a 303 leads."""
        assert self.status == 303, (self.status, self.body)
        return self.headers["Location"]

    @property
    def login_id(self) -> str:
        """The attempt's id in the address of the page "Check your mail"."""
        return parse_qs(urlsplit(self.location).query)["id"][0]


@dataclass(frozen=True)
class Visitor:
    """One browser."""

    session: ClientSession
    url: str
    address: str

    async def get(self, path: str, headers: Mapping[str, str] = SAME_ORIGIN) -> Answer:
        """Navigate to *path*."""
        return await self._send("GET", path, headers)

    async def submit(
        self, form: Form, *, headers: Mapping[str, str] = SAME_ORIGIN, **typed: str
    ) -> Answer:
        """Send *form* with what was *typed*."""
        assert form.method == "post"
        return await self._send("POST", form.action, headers, {**form.fields, **typed})

    async def ask(self, email: str, next_: str = "") -> Answer:
        """Ask for a link as a person does."""
        page = (await self.get(f"/auth/login?next={next_}")).page
        return await self.submit(page.form("/auth/form/login"), email=email)

    async def open_link(self, login_id: str, token: str) -> Answer:
        """What the link's page does: post the token from the fragment."""
        page = (await self.get(f"/auth/link?id={login_id}")).page
        return await self.submit(page.form("/auth/form/inspect"), token=token)

    def cookie(self, name: str) -> str:
        """The value of a cookie, "" when there is none; its path is not looked at."""
        return next((c.value for c in self.session.cookie_jar if c.key == name), "")

    async def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: Mapping[str, str] | None = None,
    ) -> Answer:
        async with self.session.request(
            method, self.url + path, headers=headers, data=data, allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers, await response.text())


@asynccontextmanager
async def visiting(url: str, user_agent: str = FIREFOX) -> AsyncIterator[Visitor]:
    """A fresh browser on its way to *url*, in a network of its own behind our proxy."""
    high, low = divmod(next(_networks), 256)
    address = f"10.{high}.{low}.9"
    headers = {"User-Agent": user_agent, "Accept": "text/html", "X-Forwarded-For": address}
    async with ClientSession(cookie_jar=CookieJar(unsafe=True), headers=headers) as session:
        yield Visitor(session, url, address)
