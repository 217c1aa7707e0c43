"""The matrix of cross-site requests: every unsafe route that a cookie can carry, by what a browser says.

Sec-Fetch-Site x Origin x token, for each of them: same-origin or none, else our very origin, else the right
token, else 403 and nothing happens. The cookies here are genuine, but of a session that is long over: what is
let through finds nobody signed in, so that no cell of the table changes anything for the next.
"""

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from services.auth.domain.csrf import SAFE_METHODS
from services.auth.domain.session import csrf_claim
from services.auth.http.form_tokens import FormTokens
from services.auth.http.policy import ROWS, Route
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.secrets import load_signing_key, load_symmetric, signing_paths
from tests.support.auth_workers import URL, AuthWorkers, bearer, running_workers
from tests.support.servers import NatsServer, RedisServer
from tests.support.tokens import SigningKey, make_claims, sign

SITES = (None, "same-origin", "none", "same-site", "cross-site")
ORIGINS = (None, URL, "null", "http://evil.localhost:8080")
TOKENS = ("", "right", "wrong")
UNSAFE = {route: policy for route, policy in ROWS.items() if route[0] not in SAFE_METHODS}
BY_COOKIE = sorted(route for route, policy in UNSAFE.items() if policy.cross_site == "guarded")
FORMS = sorted(route for route, policy in UNSAFE.items() if policy.cross_site == "form")
# Bodies that are right in form, so that the question is reached, and lead nowhere.
BODIES: dict[Route, Any] = {
    ("POST", "/auth/login"): {"email": "nobody"},
    ("POST", "/auth/link"): {"token": "x"},
    ("POST", "/auth/link/inspect"): {"token": "x"},
    ("POST", "/auth/link/cancel"): {"token": "x"},
    ("POST", "/auth/register"): {"email": "nobody", "password": "x"},
    ("POST", "/auth/register/resend"): {"email": "nobody"},
    ("POST", "/auth/password/forgot"): {"email": "nobody"},
    ("POST", "/auth/password/reset"): {"token": "x", "password": "x"},
}
# What would put a session into the browser is asked without one too (login CSRF).
SETS_COOKIES: dict[Route, Any] = {
    ("POST", "/auth/login"): {"email": "a@acme.com", "password": "x", "cookies": True},
    ("POST", "/auth/link"): {"token": "x", "cookies": True},
}
OUT_OF_DATE = "This page is out of date"


def allowed(site: str | None, origin: str | None, token: str) -> bool:
    """DESIGN section 6."""
    return site in {"same-origin", "none"} or origin == URL or token == "right"


def form_allowed(site: str | None, origin: str | None, token: str) -> bool:
    """A form of ours has its token, and no browser that says whence it comes says elsewhere."""
    return token == "right" and (
        site in {"same-origin", "none"}
        or origin == URL
        or (site is None and origin in {None, "null"})
    )


def headers_of(site: str | None, origin: str | None) -> dict[str, str]:
    """What the browser says."""
    said = {"Sec-Fetch-Site": site, "Origin": origin}
    return {name: value for name, value in said.items() if value is not None}


@pytest.fixture
async def auth(
    nats_server: NatsServer, redis_server: RedisServer, secrets_dir: Path, tmp_path: Path
) -> AsyncIterator[AuthWorkers]:
    """One house for the whole table."""
    url = f"sqlite:///{tmp_path / 'accounts.db'}"
    async with running_workers(
        nats_server, redis_server, secrets_dir, doors=1, accounts_url=url, limit_network="100000/1m"
    ) as workers:
        yield workers


def expired(secrets_dir: Path, **claims: Any) -> str:
    """A genuine access token of an hour ago."""
    path = signing_paths(secrets_dir)[-1]
    key = SigningKey(path.stem, "RS256", load_signing_key(path))
    an_hour_ago = SystemClock().now_ms() - 3_600_000
    return sign(make_claims(now_ms=an_hour_ago, iss=URL, **claims), key).decode()


async def test_no_other_site_can_use_a_persons_cookies(auth: AuthWorkers) -> None:
    """Every cell of the table, for the JSON routes and for the forms; and what carries no cookie at all."""
    ours = expired(auth.secrets_dir, csrf=csrf_claim("right"), sid=SystemIds().ulid(1))
    wrong = await check_json(auth, ours) + await check_forms(auth, ours)
    assert wrong == []


async def check_json(auth: AuthWorkers, ours: str) -> list[str]:
    """Cells that are not as the rule has it."""
    wrong = []
    for route, site, origin, token in product(BY_COOKIE, SITES, ORIGINS, TOKENS):
        headers = headers_of(site, origin) | ({"X-CSRF-Token": token} if token else {})
        answer = await ask(auth, route, headers, cookies={"latchwire-dev": ours})
        if was_refused(answer) == allowed(site, origin, token):
            wrong.append(f"{route} {site} {origin} {token!r}: {answer.status}")
    for route in BY_COOKIE:  # a bearer is sent by nobody's browser for anybody else
        headers = headers_of("cross-site", "http://evil.localhost:8080") | bearer(ours)
        if was_refused(await ask(auth, route, headers)):
            wrong.append(f"{route} with a bearer")
    for (route, body), site in product(SETS_COOKIES.items(), SITES):
        answer = await auth.call(*route, body, headers=headers_of(site, None))
        if was_refused(answer) == allowed(site, None, ""):
            wrong.append(f"{route} would set cookies: {site} {answer.status}")
    return wrong


async def check_forms(auth: AuthWorkers, ours: str) -> list[str]:
    """The same for the pages' forms."""
    nonce, keys = SystemIds().secret(), FormTokens(load_symmetric(auth.secrets_dir, "csrf"))
    cookies = {"latchwire-dev": ours, "latchwire-dev-login": nonce}
    wrong = []
    for route, site, origin, token in product(FORMS, SITES, ORIGINS, ("right", "wrong")):
        form = route[1].rpartition("/")[2]
        tokens = {"right": keys.issue(form, nonce), "wrong": keys.issue("other", nonce)}
        answer = await auth.call(
            "POST",
            route[1],
            data={"form_token": tokens[token]},
            headers=headers_of(site, origin),
            cookies=cookies,
        )
        refused = answer.status == 403 and OUT_OF_DATE in await answer.text()
        expected = form_allowed(site, origin, token)
        if form == "logout":  # any page of this very origin may have the button
            expected |= site in {"same-origin", "none"} or origin == URL
        if refused == expected:
            wrong.append(f"{route} {site} {origin} {token!r}: {answer.status}")
    return wrong


async def ask(
    auth: AuthWorkers, route: Route, headers: dict[str, str], **options: Any
) -> ClientResponse:
    """One request of the table."""
    path = route[1].replace("{", "").replace("}", "")
    return await auth.call(route[0], path, BODIES.get(route), headers=headers, **options)


def was_refused(answer: ClientResponse) -> bool:
    """For where it came from."""
    return answer.headers.get("X-Latchwire-Reason") == "csrf_failed"
