"""Somebody who uses the product over HTTP: as an API client with a bearer token, or as a browser with forms."""

import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "none",
}
_LINK = re.compile(r"https?://\S+/auth/link\?\S*#(\S+)")
# On a line of its own: a link's token may happen to have such a word in it.
_CODE = re.compile(r"^\s*([0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4})\s*$", re.MULTILINE)
_FIELD = re.compile(r'<input[^>]*\bname="([^"]+)"[^>]*>')
_VALUE = re.compile(r'\bvalue="([^"]*)"')


def token_in(mail: dict[str, Any]) -> str:
    """The link token of a mail."""
    found = _LINK.search(mail["text"])
    assert found, mail["text"]
    return found[1]


def code_in(mail: Mapping[str, Any]) -> str:
    """The code of a mail."""
    assert has_code(mail), mail["text"]
    return _CODE.findall(mail["text"])[0]  # type: ignore[no-any-return]


def has_code(mail: Mapping[str, Any]) -> bool:
    """Whether a mail has one; a notice has none."""
    return _CODE.search(mail["text"]) is not None


@dataclass(frozen=True)
class Page:
    """An answer a browser shows: where it ended up, the status, the text, the headers."""

    url: str
    status: int
    text: str
    headers: dict[str, str]

    def fields(self, action: str) -> dict[str, str]:
        """The named fields of the form that posts to *action*."""
        form = self.text.partition(f'action="{action}"')[2].partition("</form>")[0]
        assert form, f"no form to {action} on {self.url}:\n{self.text}"
        found = {}
        for tag in _FIELD.finditer(form):
            value = _VALUE.search(tag[0])
            found[tag[1]] = unescape(value[1]) if value else ""
        return found


class Browser:
    """Cookies, navigations and form posts with the headers a browser sends; no scripts."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def open(self, path: str) -> Page:
        """Type an address."""
        async with self.session.get(self.url + path, headers=NAVIGATION) as answer:
            return await _page(answer)

    async def submit(self, page: Page, action: str, **typed: str) -> Page:
        """Fill in and send the form of *page* that posts to *action*."""
        fields = {**page.fields(action), **typed}
        headers = {**NAVIGATION, "Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        target = urljoin(page.url, action)
        async with self.session.post(target, data=fields, headers=headers) as answer:
            return await _page(answer)

    def cookies(self) -> dict[str, str]:
        """What it holds for the front door, those of /auth included."""
        return {cookie.key: cookie.value for cookie in self.session.cookie_jar}


class Here(AbstractResolver):
    """Every name is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


@asynccontextmanager
async def open_browser(url: str) -> AsyncIterator[Browser]:
    """A browser that has never been here, takes any certificate and finds every host here."""
    jar = aiohttp.CookieJar(unsafe=True, quote_cookie=False)
    connector = aiohttp.TCPConnector(ssl=False, resolver=Here())
    async with aiohttp.ClientSession(cookie_jar=jar, connector=connector) as session:
        yield Browser(session, url)


class Client:
    """An API client without cookies."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def post(self, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """POST JSON; the status and the decoded answer."""
        return await self.call("POST", path, body, token)

    async def get(self, path: str, token: str = "") -> tuple[int, Any]:
        """GET; the status and the decoded answer."""
        return await self.call("GET", path, None, token)

    async def call(self, method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        """Any request; the answer as JSON when it is, else its headers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.request(
            method, self.url + path, json=body, headers=headers, allow_redirects=False
        ) as answer:
            if "json" in answer.content_type:
                return answer.status, await answer.json(content_type=None)
            return answer.status, dict(answer.headers)


@asynccontextmanager
async def open_client(url: str) -> AsyncIterator[Client]:
    """An API client that takes any certificate."""
    connector, jar = aiohttp.TCPConnector(ssl=False, resolver=Here()), aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        yield Client(session, url)


async def log_in(client: Client, inbox: Any, address: str) -> dict[str, Any]:
    """Ask, read the mail, exchange; the tokens."""
    before = len(await inbox.mails_to(address))
    status, answer = await client.post("/auth/login", {"email": address})
    assert status == 202, answer
    mail = await inbox.mail_to(address, count=before + 1)
    status, tokens = await client.post("/auth/link", {"token": token_in(mail)})
    assert status == 200, tokens
    assert isinstance(tokens, dict)
    return tokens


async def _page(answer: aiohttp.ClientResponse) -> Page:
    return Page(str(answer.url), answer.status, await answer.text(), dict(answer.headers))


def path_of(page: Page) -> str:
    """Where the browser is."""
    return urlsplit(page.url).path
