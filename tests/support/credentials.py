"""Everything that a person holds of one session, and what each part of the house makes of it."""

import json
from dataclasses import dataclass, field
from typing import Any

from latchwire.claims import Claims
from services.auth.domain.session import notice_id
from tests.support.auth_workers import ORIGIN, bearer
from tests.support.house import SHOP, House, basic

ACCESS, REFRESH, CSRF = "latchwire-dev", "latchwire-dev-refresh", "latchwire-dev-csrf"
LOGIN = "latchwire-dev-login"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
BROWSER = "n" * 43  # what tells this browser apart; any other value is another browser
ADDRESSES = (f"path{n}@acme.com" for n in range(10_000))


@dataclass
class Held:
    """One session of *email* with all that was ever given out for it, oldest first.

    *cookies* are the browser's now. *client* is the confidential client that opened it, "" for none.
    """

    email: str
    sid: str
    login: dict[str, str] = field(repr=False)  # the link's token, login_id and code that opened it
    access: list[str] = field(repr=False)
    refresh: list[str] = field(repr=False)
    cookies: dict[str, str] = field(default_factory=dict, repr=False)
    unopened: list[str] = field(default_factory=list, repr=False)
    notice: str = field(default="", repr=False)
    client: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """How its client proves itself."""
        return basic(self.client) if self.client else {}


def sid_of(house: House, token: str) -> str:
    """Whose token it is; it must count."""
    claims = house.sdk.verify(token)
    assert isinstance(claims, Claims), claims
    return claims.sid


async def sign_in(house: House, email: str = "", *, renewals: int = 1) -> Held:
    """A browser's session: cookies, renewed so often, so that there is a predecessor of each."""
    auth, email = house.auth, email or next(ADDRESSES)
    login_id = await auth.ask(email)
    login = {"token": auth.token_of(login_id, email), "login_id": login_id}
    login["code"] = auth.code_of(login_id, email)
    body = {"token": login["token"], "cookies": True}
    answer = await auth.call("POST", "/auth/link", body, headers=ORIGIN)
    assert answer.status == 200, await answer.text()
    cookies = {name: morsel.value for name, morsel in answer.cookies.items()}
    sid = sid_of(house, cookies[ACCESS])
    held = Held(email, sid, login, [cookies[ACCESS]], [cookies[REFRESH]], cookies)
    held.notice = auth.token_of(notice_id(sid, "new_browser"), email, "notice")
    for _ in range(renewals):
        await renew(house, held)
    held.unopened = [auth.token_of(await auth.ask(email), email)]
    held.cookies[LOGIN] = BROWSER
    return held


async def renew(house: House, held: Held) -> None:
    """One refresh by cookie."""
    answer = await house.auth.call("POST", "/auth/refresh", headers=ORIGIN, cookies=held.cookies)
    assert answer.status == 200, await answer.text()
    held.cookies |= {name: morsel.value for name, morsel in answer.cookies.items()}
    held.access.append(held.cookies[ACCESS])
    held.refresh.append(held.cookies[REFRESH])


async def sign_in_through(house: House, client: str) -> Held:
    """A session that a confidential client opened: tokens in a body."""
    email = next(ADDRESSES)
    tokens = await house.auth.sign_in(email, headers=basic(client))
    sid = sid_of(house, tokens["access_token"])
    return Held(email, sid, {}, [tokens["access_token"]], [tokens["refresh_token"]], client=client)


@dataclass
class Replay:
    """Shows every credential to everybody; `accepted` are those that still did something."""

    house: House
    held: Held
    accepted: list[str] = field(default_factory=list)

    async def all(self, *, links: bool = True) -> list[str]:
        """Where anything was let in. *links*: also the unopened ones."""
        await self._access_tokens()
        await self._browser()
        await self._refresh_tokens()
        await self._login()
        if links:
            for token in self.held.unopened:
                await self._link("an unopened link", {"token": token})
        return self.accepted

    async def _access_tokens(self) -> None:
        house, call = self.house, self.house.auth.call
        for n, token in enumerate(self.held.access):
            name = f"access token {n}"
            self._note(f"{name} at the edge", await house.edge_accepts(token=token))
            self._note(f"{name} as cookie at the edge", await house.edge_accepts(cookie=token))
            self._note(f"{name} at the SDK", house.sdk_accepts(token))
            for path in ("/auth/me", "/auth/sessions"):
                by_bearer = await call("GET", path, headers=bearer(token))
                by_cookie = await call("GET", path, cookies={ACCESS: token})
                self._note(f"{name} on {path}", by_bearer.status != 401)
                self._note(f"{name} as cookie on {path}", by_cookie.status != 401)
            self._note(f"{name} introspected", await self._is_active(token))

    async def _refresh_tokens(self) -> None:
        for n, token in enumerate(self.held.refresh):
            name, body = f"refresh token {n}", {"refresh_token": token}
            self._note(f"{name} introspected", await self._is_active(token))
            answer = await self.house.auth.call(
                "POST", "/auth/refresh", body, headers=self.held.headers
            )
            self._note(name, answer.status != 401)

    async def _browser(self) -> None:
        """The cookies together, with the CSRF value where it could help."""
        if not self.held.cookies:
            return
        cookies, call = self.held.cookies, self.house.auth.call
        csrf = {"X-CSRF-Token": cookies[CSRF], "Sec-Fetch-Site": "cross-site"}
        answer = await call("POST", "/auth/refresh", headers=csrf, cookies=cookies)
        self._note("refresh cookie", answer.status != 401)
        answer = await call("DELETE", "/auth/sessions", headers=csrf, cookies=cookies)
        self._note("CSRF value", answer.status != 401)
        answer = await call("GET", "/auth/continue?next=/x", headers=SAME_ORIGIN, cookies=cookies)
        self._note("navigation", answer.headers.get("Location") != "/auth/login?next=%2Fx&again=1")
        answer = await call("GET", "/auth/account", headers=SAME_ORIGIN, cookies=cookies)
        self._note("account page", answer.status != 303)

    async def _login(self) -> None:
        """What opened the session opens no other, and its notice is no way in."""
        if self.held.login:
            login_id, code = self.held.login["login_id"], self.held.login["code"]
            await self._link("the link", {"token": self.held.login["token"]})
            await self._link("the code", {"login_id": login_id, "code": code})
            await self._link("the notice", {"token": self.held.notice})

    async def _link(self, name: str, body: dict[str, str]) -> None:
        browser = {ACCESS: self.held.access[-1], REFRESH: self.held.refresh[-1]}
        for cookies in ({}, browser):
            answer = await self.house.auth.call(
                "POST", "/auth/link", body, headers=ORIGIN, cookies=cookies
            )
            self._note(name, answer.status != 410)

    async def _is_active(self, token: str) -> bool:
        headers = self.held.headers or basic(SHOP)
        answer = await self.house.auth.call(
            "POST", "/auth/introspect", data={"token": token}, headers=headers
        )
        told: dict[str, Any] = json.loads(await answer.text())
        assert answer.status == 200, told
        return bool(told["active"])

    def _note(self, what: str, accepted: bool) -> None:
        if accepted:
            self.accepted.append(what)


async def lives(house: House, held: Held) -> list[str]:
    """What does not work of a session that must be untouched; it is renewed by this."""
    me = await house.auth.call("GET", "/auth/me", headers=bearer(held.access[-1]))
    wrong = {
        "edge": not await house.edge_accepts(token=held.access[-1]),
        "SDK": not house.sdk_accepts(held.access[-1]),
        "auth": me.status != 200,
    }
    if not any(wrong.values()):
        await renew(house, held)
    return [name for name, is_wrong in wrong.items() if is_wrong]
