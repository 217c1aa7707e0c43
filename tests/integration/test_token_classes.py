"""The matrix of token classes: every secret we hand out, shown at every door that takes one.

Only the diagonal is accepted. Everything else is refused in the door's own words, nothing of it is used up, and
no door fails on it: afterwards each of them is shown its own and works.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import jwt
import pytest
from aiohttp import ClientResponse

from latchwire.assertions import Assertion, AssertionVerifier
from latchwire.keys import KeyRing
from latchwire.tokens import Refused, TokenPolicy, verify_access_token
from services.auth.adapters.redis_handshakes import RedisHandshakes
from services.auth.adapters.redis_scripts import Scripts
from services.auth.domain.exchange import Budget
from services.auth.domain.limits import Rate
from services.auth.domain.provider import Handshake
from services.auth.domain.service_tokens import MANAGE
from services.auth.http.form_tokens import FormTokens
from services.auth.http.page_forms import FORM
from shared.bus import Bus
from shared.clock import SystemClock
from shared.contract import LOGIN_REQUESTED
from shared.edge_keys import ring_of
from shared.ids import SystemIds
from shared.links import login_code
from shared.redis import connect_redis
from shared.secrets import (
    load_blocklist_key,
    load_signing_key,
    load_symmetric,
    signing_paths,
)
from tests.support.assertions import assert_, members
from tests.support.auth_workers import ORIGIN, URL, AuthWorkers, bearer, running_workers
from tests.support.edge import EDGE_KEY
from tests.support.house import SHOP, basic, write_clients
from tests.support.people import Person, signed_in
from tests.support.servers import NatsServer, RedisServer
from tests.support.service_tokens import kept_token
from tests.support.tokens import NOW_MS

PASSWORD = "a long enough one of hers"
OK = range(200, 300)
SERVICE = "stock"
MANY = Budget("x", Rate(100_000, 1_000))
Door = Callable[[str], Awaitable[bool]]

# door -> what it accepts.
MATRIX: dict[str, set[str]] = {
    "bearer": {"access"},
    "access cookie": {"access"},
    # By signature: an opaque token is none. `test_edge_service_tokens` has what an edge does with those.
    "an edge's reading": {"access", "service access"},
    # By an edge's key, for the one service that it names; no door of auth's knows that key.
    "a service's reading": {"assertion"},
    "refresh body": {"refresh"},
    "refresh cookie": {"refresh"},
    # Both prove an address and open a session; which of the two it is stands in the MAC.
    "link": {"sign-in link", "verification link"},
    # The one door of every mail's link: looking consumes nothing.
    "inspect": {"sign-in link", "verification link", "reset link", "invitation", "notice"},
    "code": {"sign-in code", "verification code"},
    "reset": {"reset link"},
    "reset code": {"reset code"},
    "invitation": {"invitation"},
    "notice": {"notice"},
    "provider's callback": {"provider state"},
    "introspection": {"access", "refresh", "service token", "service access"},
    # The one is its own credential, the other what it is turned into: at the edge both come as a bearer.
    "service bearer": {"service token", "service access"},
    "service's secret": {"service token"},
    "client secret": {"client secret"},
    "form token": {"form token"},
    "csrf header": {"csrf token"},
    "session handle": {"session handle"},
    "pre-login cookie": {"pre-login value"},
}

# No door of ours takes these.
DECOYS = {"JWT", "logout+jwt", "secevent+jwt", "a name", "nothing", "half"}
DECOYS |= {"link as verification", "link as invitation"}
DECOYS |= {"sign-in code as reset", "verification code as sign-in", "reset code as verification"}
# Whose attempt a code is shown with: where it opens something, and at every other door of codes too.
CODES = {
    "sign-in code": "sign-in",
    "sign-in code as reset": "sign-in",
    "verification code": "code of verification",
    "verification code as sign-in": "code of verification",
    "reset code": "reset",
    "reset code as verification": "reset",
}


@dataclass
class Bag:
    """One living secret of each class, and what goes with it."""

    site: AuthWorkers
    ada: Person
    secrets: dict[str, str]
    login_ids: dict[str, str]
    cookies: dict[str, str]
    handshakes: RedisHandshakes


@pytest.fixture
async def bag(
    nats_server: NatsServer, redis_server: RedisServer, secrets_dir: Path, tmp_path: Path
) -> AsyncIterator[Bag]:
    """Ada has one of each."""
    write_clients(secrets_dir)
    url = f"sqlite:///{tmp_path / 'accounts.db'}"
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(
            running_workers(
                nats_server, redis_server, secrets_dir, doors=1, accounts_url=url,
                limit_network="100000/1m", limit_address="1000/h",
            )
        )  # fmt: skip
        redis = await stack.enter_async_context(connect_redis(redis_server.url))
        scripts = Scripts(redis, load_blocklist_key(secrets_dir), SystemClock())
        operator = await stack.enter_async_context(nats_server.connect("operator"))
        made = await service_tokens(site, operator)
        yield await fill(site, RedisHandshakes(scripts), secrets_dir, made)


async def fill(
    site: AuthWorkers, handshakes: RedisHandshakes, secrets_dir: Path, made: dict[str, str]
) -> Bag:
    """One of each, all of them living at once."""
    ada = await signed_in(site, "ada")
    cookies = await site.sign_in_with_cookies(ada.email)
    tokens = await site.sign_in(ada.email, headers={"User-Agent": "Mozilla/5.0 Firefox/130.0"})
    await site.hears(LOGIN_REQUESTED, 4)
    notice = next(e for e in site.said(LOGIN_REQUESTED) if e.purpose == "notice")
    register = {"email": "new@acme.com", "password": PASSWORD}
    eve = {"email": "eve@acme.com", "password": PASSWORD}
    bob = await signed_in(site, "bob")
    invitation = await invited(bob, ada.email)
    login_ids = {
        "link": await site.ask(ada.email),
        "sign-in": await site.ask(bob.email),  # of one address, one that works voids the others
        "verification": await started(site, "/auth/register", register),
        "code of verification": await started(site, "/auth/register", eve),
        "link of reset": await started(site, "/auth/password/forgot", {"email": ada.email}),
        "reset": await started(site, "/auth/password/forgot", {"email": bob.email}),
        "notice": notice.login_id,
    }
    nonce, state = cookies_nonce(), SystemIds().secret()
    handshake = Handshake("acme", "b", "nonce", "verifier")
    assert await handshakes.open(state, handshake, (MANY, MANY, MANY)) is None
    listed = await (await site.call("GET", "/auth/sessions", headers=bearer(ada.access))).json()
    handle = next(s["handle"] for s in listed["sessions"] if not s["current"])
    keys = load_symmetric(secrets_dir, "link")
    code = partial(login_code, keys.by_kid[keys.current])
    signing, proving = (login_ids[name] for name in ("sign-in", "code of verification"))
    secrets = {
        "access": tokens["access_token"],
        "refresh": tokens["refresh_token"],
        "sign-in link": site.token_of(login_ids["link"]),
        "verification link": site.token_of(
            login_ids["verification"], "new@acme.com", "verify_email"
        ),
        "reset link": site.token_of(login_ids["link of reset"], purpose="reset_password"),
        "invitation": site.token_of(invitation, purpose="invitation"),
        "notice": site.token_of(notice.login_id, purpose="notice"),
        "sign-in code": code("sign_in", signing, bob.email),
        "verification code": code("verify_email", proving, eve["email"]),
        "reset code": code("reset_password", login_ids["reset"], bob.email),
        "provider state": state,
        "client secret": f"s3cret-{SHOP}",
        "form token": FormTokens(load_symmetric(secrets_dir, "csrf")).issue("inspect", nonce),
        "csrf token": cookies["latchwire-dev-csrf"],
        "session handle": handle,
        "pre-login value": nonce,
        "assertion": assert_(members(iss=URL, aud="latchwire")).decode(),
        **made,
        **signed_for_others(secrets_dir),
        # The right attempt and address, under the name of another purpose.
        "link as verification": site.token_of(login_ids["link"], purpose="verify_email"),
        "link as invitation": site.token_of(login_ids["link"], purpose="invitation"),
        "sign-in code as reset": code("reset_password", signing, bob.email),
        "verification code as sign-in": code("sign_in", proving, eve["email"]),
        "reset code as verification": code("verify_email", login_ids["reset"], bob.email),
    }
    return Bag(site, ada, secrets, login_ids, cookies, handshakes)


async def service_tokens(site: AuthWorkers, operator: Bus) -> dict[str, str]:
    """A service's token that may manage tokens, and the access token made of it."""
    token = await kept_token(operator, SERVICE, MANAGE)
    form = {"grant_type": "client_credentials"}
    pair = b64encode(f"{SERVICE}:{token}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}"}
    answer = await site.call("POST", "/auth/token", data=form, headers=headers)
    return {"service token": token, "service access": (await answer.json())["access_token"]}


def cookies_nonce() -> str:
    """A browser's pre-login value."""
    return SystemIds().secret()


def signed_for_others(secrets_dir: Path) -> dict[str, str]:
    """What the same key could have signed for another purpose; and what names something, but proves nothing."""
    path = signing_paths(secrets_dir)[-1]
    now = SystemClock().now_ms() // 1000
    claims = {"iss": URL, "aud": "latchwire", "sub": "ada", "iat": now, "exp": now + 600}
    others = ("JWT", "logout+jwt", "secevent+jwt")
    signed = {
        kind: jwt.encode(claims, load_signing_key(path), "RS256", {"typ": kind, "kid": path.stem})
        for kind in others
    }
    return signed | {
        "a name": SystemIds().ulid(1),
        "nothing": "",
        "half": "eyJhbGciOiJub25lIn0.e30.",
    }


async def invited(host: Person, email: str) -> str:
    """The id of an invitation into an organisation of *host*."""
    org = (await (await host.call("POST", "/auth/orgs", {"name": "Acme"})).json())["org"]
    body = {"email": email, "roles": ["member"]}
    answer = await host.call("POST", f"/auth/orgs/{org}/invitations", body)
    assert answer.status == 201, await answer.text()
    return str((await answer.json())["id"])


async def started(site: AuthWorkers, path: str, body: dict[str, str]) -> str:
    """The login_id of a mail that was asked for."""
    answer = await site.call("POST", path, body)
    assert answer.status == 202, await answer.text()
    return str((await answer.json())["login_id"])


class Doors:
    """Every door, as a question: is this accepted?"""

    def __init__(self, bag: Bag) -> None:
        self.bag, self.site = bag, bag.site
        ring = (bag.site.secrets_dir / "jwks.json").read_text("ascii")
        self._ring = KeyRing.from_jwks(ring)
        self.all: dict[str, Door] = {
            "bearer": self.bearer,
            "access cookie": self.access_cookie,
            "an edge's reading": self.edge,
            "a service's reading": self.asserted,
            "refresh body": lambda s: self.post("/auth/refresh", {"refresh_token": s}),
            "refresh cookie": self.refresh_cookie,
            "link": lambda s: self.post("/auth/link", {"token": s}),
            "inspect": lambda s: self.post("/auth/link/inspect", {"token": s}),
            "code": lambda s: self.code("/auth/link", s),
            "reset": lambda s: self.post(
                "/auth/password/reset", {"token": s, "password": PASSWORD}
            ),
            "reset code": lambda s: self.code("/auth/password/reset", s, password=PASSWORD),
            "invitation": self.invitation,
            "notice": lambda s: self.form("notice", {"token": s}, "/auth/session-ended"),
            "provider's callback": self.callback,
            "introspection": self.introspection,
            "service bearer": self.service_bearer,
            "service's secret": self.service_secret,
            "client secret": self.client_secret,
            "form token": self.form_token,
            "csrf header": self.csrf_header,
            "session handle": self.session_handle,
            "pre-login cookie": self.pre_login,
        }

    async def post(self, path: str, body: dict[str, str]) -> bool:
        return good(await self.site.call("POST", path, body))

    async def bearer(self, secret: str) -> bool:
        return good(await self.site.call("GET", "/auth/me", headers=bearer(secret)))

    async def access_cookie(self, secret: str) -> bool:
        cookies = {"latchwire-dev": secret}
        return good(await self.site.call("GET", "/auth/me", cookies=cookies))

    async def asserted(self, secret: str) -> bool:
        edges = ring_of([EDGE_KEY.public])
        verifier = AssertionVerifier(edges, URL, "latchwire", now_ms=lambda: NOW_MS)
        return isinstance(verifier.verify(secret), Assertion)

    async def edge(self, secret: str) -> bool:
        policy = TokenPolicy(issuer=URL, audience="latchwire")
        now_ms = SystemClock().now_ms()
        result = verify_access_token(secret.encode(), self._ring, policy, now_ms=now_ms)
        return not isinstance(result, Refused)

    async def refresh_cookie(self, secret: str) -> bool:
        cookies = {"latchwire-dev": self.bag.secrets["access"], "latchwire-dev-refresh": secret}
        return good(await self.site.call("POST", "/auth/refresh", headers=ORIGIN, cookies=cookies))

    async def code(self, path: str, secret: str, **more: str) -> bool:
        """With the attempt the code is of; what is of none, with a new one: five wrong ones kill an attempt."""
        kind = next((kind for kind in CODES if self.bag.secrets[kind] == secret), "")
        if kind:
            login_id = self.bag.login_ids[CODES[kind]]
        else:
            start = "/auth/password/forgot" if more else "/auth/login"
            login_id = await started(self.site, start, {"email": self.bag.ada.email})
        return await self.post(path, {"login_id": login_id, "code": secret, **more})

    async def invitation(self, secret: str) -> bool:
        return good(await self.bag.ada.call("POST", "/auth/invitations/accept", {"token": secret}))

    async def form(self, name: str, fields: dict[str, str], to: str) -> bool:
        nonce = cookies_nonce()
        token = FormTokens(load_symmetric(self.site.secrets_dir, "csrf")).issue(name, nonce)
        answer = await self.site.call(
            "POST",
            f"/auth/form/{name}",
            data={"form_token": token, **fields},
            headers={**ORIGIN, "Content-Type": FORM},
            cookies={"latchwire-dev-login": nonce},
        )
        assert answer.status < 500
        return answer.headers.get("Location") == to

    async def callback(self, secret: str) -> bool:
        return await self.bag.handshakes.take(secret, "b") is not None

    async def introspection(self, secret: str) -> bool:
        answer = await self.site.call(
            "POST", "/auth/introspect", data={"token": secret or "x"}, headers=basic(SHOP)
        )
        return bool((await answer.json())["active"])

    async def service_bearer(self, secret: str) -> bool:
        return good(await self.site.call("GET", "/auth/service-tokens", headers=bearer(secret)))

    async def service_secret(self, secret: str) -> bool:
        pair = b64encode(f"{SERVICE}:{secret}".encode()).decode()
        form = {"grant_type": "client_credentials"}
        headers = {"Authorization": f"Basic {pair}"}
        return good(await self.site.call("POST", "/auth/token", data=form, headers=headers))

    async def client_secret(self, secret: str) -> bool:
        pair = b64encode(f"{SHOP}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
        return good(
            await self.site.call("POST", "/auth/introspect", data={"token": "x"}, headers=headers)
        )

    async def form_token(self, secret: str) -> bool:
        cookies = {"latchwire-dev-login": self.bag.secrets["pre-login value"]}
        answer = await self.site.call(
            "POST", "/auth/form/inspect", data={"form_token": secret}, cookies=cookies
        )
        return good(answer, but=410) if answer.status == 410 else good(answer)

    async def csrf_header(self, secret: str) -> bool:
        headers = {"X-CSRF-Token": secret}
        path = "/auth/sessions/none"
        answer = await self.site.call("DELETE", path, headers=headers, cookies=self.bag.cookies)
        return good(answer, but=404)

    async def session_handle(self, secret: str) -> bool:
        path = f"/auth/sessions/{quote(secret, safe='') or 'x'}"
        return good(await self.bag.ada.call("DELETE", path))

    async def pre_login(self, secret: str) -> bool:
        cookies = {"latchwire-dev-login": secret}
        answer = await self.site.call(
            "POST",
            "/auth/form/inspect",
            data={"form_token": self.bag.secrets["form token"]},
            cookies=cookies,
        )
        return good(answer, but=410) if answer.status == 410 else good(answer)


def good(answer: ClientResponse, but: int = 0) -> bool:
    """Accepted; *but* is the status of what was let through to find nothing."""
    assert answer.status < 500, answer.url
    return answer.status in OK or answer.status == but


# The last ones use up or end what the others need.
LATE = ("link", "code", "reset code", "invitation", "session handle", "notice", "reset")


async def test_only_the_diagonal_is_accepted(bag: Bag) -> None:
    """First everything that is wrong, everywhere; then every door its own."""
    doors = Doors(bag)
    assert doors.all.keys() == MATRIX.keys()
    assert bag.secrets.keys() == set().union(DECOYS, *MATRIX.values())
    for door, ask in doors.all.items():
        others = [kind for kind in bag.secrets if kind not in MATRIX[door]]
        taken = await asyncio.gather(*(ask(bag.secrets[kind]) for kind in others))
        assert [kind for kind, took in zip(others, taken, strict=True) if took] == [], door
    order = [door for door in doors.all if door not in LATE] + list(LATE)
    for door in order:
        for kind in sorted(MATRIX[door]):
            assert await doors.all[door](bag.secrets[kind]), f"{door} refuses {kind}"
