"""A server-side web application that signs people in by a link and calls the API for them.

The browser talks to this server only. This server asks auth for the link, receives the link on its own page,
exchanges it, keeps both tokens in HttpOnly cookies of its own, and calls the API through the gateway with
``Authorization: Bearer``. It is a *confidential client*: it proves who it is by HTTP Basic, and may therefore
say on whose behalf it asks.
"""

import contextlib
import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

SESSION_SECONDS = 7 * 86_400  # as long as auth lets a session live
ACCESS, REFRESH, ASKED = "app_access", "app_refresh", "app_asked"
JSON = "application/json"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the link's token is in the address of one page
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Config:
    """*url* is where people reach this application, *gateway* where auth and the API are."""

    client_secret: str
    client_id: str = "web_app"
    url: str = "http://localhost:3000"
    gateway: str = "http://localhost:8080"


class UnavailableError(Exception):
    """Auth or the API cannot answer now. No reason to log anybody out."""


class Gateway:
    """Auth and the API, as this server sees them. None means "no": spent, expired, ended."""

    def __init__(self, config: Config, http: aiohttp.ClientSession) -> None:
        self._url, self._http = config.gateway, http
        basic = aiohttp.encode_basic_auth(config.client_id, config.client_secret)
        self._basic = {"Authorization": basic}

    async def ask(self, email: str, person: dict[str, str]) -> Any:
        """Ask for a link; None for what is no e-mail address."""
        return await self._post("/auth/login", {"email": email, "client": person})

    async def inspect(self, token: str) -> Any:
        """Who asked for the link, from where and when. Consumes nothing."""
        return await self._post("/auth/link/inspect", {"token": token})

    async def exchange(self, proof: dict[str, str], person: dict[str, str]) -> Any:
        """Tokens for a link, or for an attempt's id and the code from the mail; once."""
        return await self._post("/auth/link", {**proof, "client": person})

    async def renew(self, refresh: str) -> Any:
        """The next pair. Asked again within 10 s (two tabs, a lost answer) it is the same one."""
        body = {"refresh_token": refresh}
        with contextlib.suppress(UnavailableError):
            return await self._post("/auth/refresh", body)
        return await self._post("/auth/refresh", body)

    async def end(self, refresh: str) -> None:
        """End the session everywhere; its access tokens are refused from now on."""
        await self._post("/auth/logout", {"refresh_token": refresh})

    async def get(self, path: str, access: str) -> tuple[int, str, Any]:
        """GET *path* of the API: status, why it was refused, body."""
        headers = {"Authorization": f"Bearer {access}", "Accept": JSON}
        return await self._request("GET", path, headers=headers)

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        status, _, answer = await self._request("POST", path, json=body, headers=self._basic)
        return answer if status < 300 else None

    async def _request(self, method: str, path: str, **options: Any) -> tuple[int, str, Any]:
        try:
            async with self._http.request(
                method, self._url + path, allow_redirects=False, **options
            ) as response:
                status, why = response.status, response.headers.get("X-Latchwire-Reason", "")
                answer = await response.json() if response.content_type == JSON else None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise UnavailableError(path) from error
        if status >= 500 or status == 429 or why == "invalid_client":  # ours to mend
            raise UnavailableError(f"{path}: {status} {why}")
        return status, why, answer


GATEWAY = web.AppKey("GATEWAY", Gateway)
CONFIG = web.AppKey("CONFIG", Config)
RENEWED = web.RequestKey("RENEWED", object)


async def home(request: web.Request) -> web.Response:
    """Who the API says this is, or a form to sign in with."""
    access, refresh = request.cookies.get(ACCESS, ""), request.cookies.get(REFRESH, "")
    if not refresh:
        return _page("Sign in", _ASK)
    status, why, answer = await request.app[GATEWAY].get("/demo", access)
    if status == 401 and why == "token_expired":
        tokens = request[RENEWED] = await request.app[GATEWAY].renew(refresh)
        if tokens:
            status, why, answer = await request.app[GATEWAY].get("/demo", tokens["access_token"])
    if status == 401:  # revoked, or the session is over
        return _forget(_page("Sign in", "<p>You have been signed out.</p>" + _ASK))
    said = escape(answer["X-User-Email"]) if status == 200 else f"refused here: {status}"
    return _page("Hello", f"<p>You are <b>{said}</b>.</p>{_LOG_OUT}")


async def ask(request: web.Request) -> web.Response:
    """Ask for a link; the same page for every address."""
    email = str((await request.post()).get("email", ""))
    answer = await request.app[GATEWAY].ask(email, _person(request))
    if answer is None:
        return _page("Sign in", "<p>That is not an e-mail address.</p>" + _ASK, 400)
    page = _page("Check your mail", f"<p>If {escape(email)} may sign in, look there.</p>{_CODE}")
    _set(request, page, ASKED, answer["login_id"], answer["expires_in"])
    return page


async def confirm(request: web.Request) -> web.Response:
    """Where the mail's link leads. Mail scanners open it too: nothing happens before the button."""
    token = request.query.get("token", "")
    view = await request.app[GATEWAY].inspect(token)
    if view is None and request.cookies.get(REFRESH):
        return _go_home()  # a second click, in the browser that is signed in
    if view is None:
        return _page("This link no longer works", _ASK, 410)
    who = f"<p>You are signing in as <b>{escape(view['email'])}</b>.</p>"
    if view["login_id"] != request.cookies.get(ASKED):
        where = escape("{user_agent}, network {network}".format(**view["client"]))
        who = f"<p>Was this you? Another browser asked for this link: {where}.</p>" + who
    return _page("Sign in", who + _BUTTON.format(token=escape(token)))


async def sign_in(request: web.Request) -> web.Response:
    """Exchange the link, or the code in the browser that asked, for the person's tokens."""
    proof = {k: str(v) for k, v in (await request.post()).items() if k in {"token", "code"}}
    if "code" in proof:
        proof["login_id"] = request.cookies.get(ASKED, "")
    tokens = await request.app[GATEWAY].exchange(proof, _person(request))
    if tokens is None:
        return _page("This no longer works", _ASK, 410)
    return _remember(request, _go_home(), tokens)


async def log_out(request: web.Request) -> web.Response:
    """End the session at auth first, then forget it here."""
    if refresh := request.cookies.get(REFRESH):
        await request.app[GATEWAY].end(refresh)
    return _forget(_go_home())


_ASK = (
    '<form method="post" action="/ask"><label>E-mail <input name="email" type="email" required'
    ' autocomplete="email"></label> <button>Send me a link</button></form>'
)
_CODE = (
    '<form method="post" action="/login"><label>Or the code in it <input name="code" required'
    ' autocomplete="one-time-code"></label> <button>Sign in</button></form>'
)
_BUTTON = (
    '<form method="post" action="/login"><input type="hidden" name="token" value="{token}">'
    "<button>Sign in</button></form>"
)
_LOG_OUT = '<form method="post" action="/logout"><button>Log out</button></form>'


@web.middleware
async def guard(request: web.Request, handler: Any) -> web.Response:
    """Forms count only from our own pages (CSRF); a part that is away costs nobody the session."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    own = site in {"same-origin", "none"} if site else origin == request.app[CONFIG].url
    if request.method not in {"GET", "HEAD"} and not own:
        return _page("This did not come from our own page", "", 403)
    try:
        response = await handler(request)
    except UnavailableError:
        response = _page("Please try again in a moment", "", 503)
    # Whatever else went wrong, a renewed pair reaches the browser: the old one counts as stolen soon.
    return _remember(request, response, request[RENEWED]) if request.get(RENEWED) else response


def _person(request: web.Request) -> dict[str, str]:
    # Behind a proxy of your own, take the address that proxy vouches for instead.
    agent = request.headers.get("User-Agent", "")[:1024]
    return {"address": request.remote or "", "user_agent": agent}


def _page(title: str, body: str, status: int = 200) -> web.Response:
    text = f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1>{body}</html>'
    return web.Response(text=text, content_type="text/html", status=status, headers=HEADERS)


def _go_home() -> web.Response:
    return web.Response(status=303, headers={**HEADERS, "Location": "/"})


def _set(request: web.Request, response: web.Response, name: str, value: str, age: int) -> None:
    secure = request.app[CONFIG].url.startswith("https://")
    response.set_cookie(name, value, max_age=age, httponly=True, samesite="Lax", secure=secure)


def _remember(request: web.Request, response: web.Response, tokens: Any) -> web.Response:
    _set(request, response, ACCESS, tokens["access_token"], SESSION_SECONDS)
    _set(request, response, REFRESH, tokens["refresh_token"], SESSION_SECONDS)
    return response


def _forget(response: web.Response) -> web.Response:
    response.del_cookie(ACCESS)
    response.del_cookie(REFRESH)
    return response


def make_app(config: Config) -> web.Application:
    """The application; the client session lives as long as it does."""

    async def gateway(app: web.Application) -> Any:
        # No cookie jar: one shared by all people would mix their sessions.
        jar, timeout = aiohttp.DummyCookieJar(), aiohttp.ClientTimeout(total=4)
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as http:
            app[GATEWAY] = Gateway(config, http)
            yield

    app = web.Application(middlewares=[guard])
    app[CONFIG] = config
    app.cleanup_ctx.append(gateway)
    app.add_routes([web.get("/", home), web.post("/ask", ask), web.get("/login", confirm)])
    app.add_routes([web.post("/login", sign_in), web.post("/logout", log_out)])
    return app


if __name__ == "__main__":
    secret = Path(os.environ["CLIENT_SECRET_FILE"]).read_text("ascii").strip()
    names = ("client_id", "url", "gateway")
    given = {name: os.environ[name.upper()] for name in names if name.upper() in os.environ}
    port = int(os.environ.get("PORT", "3000"))
    # No access log: it would keep the links' tokens, which are in the query.
    web.run_app(make_app(Config(secret, **given)), host="127.0.0.1", port=port, access_log=None)
