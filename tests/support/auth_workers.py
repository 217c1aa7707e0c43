"""Two auth processes' worth of auth and one revocation worker, in this loop, on real NATS and Redis."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aiohttp import ClientResponse, ClientSession, DummyCookieJar

from services.auth import wiring as auth_wiring
from services.auth.settings import AuthSettings
from services.revocation import wiring as revocation_wiring
from services.revocation.settings import RevocationSettings
from shared.bus import Bus
from shared.contract import (
    LOGIN_FAILED,
    LOGIN_REQUESTED,
    LOGIN_SUCCEEDED,
    TOKEN_REVOKED,
    USER_REGISTERED,
    USER_VERIFIED,
    Subject,
)
from shared.lifecycle import Runtime
from shared.links import link_token, login_code
from shared.secrets import load_symmetric
from tests.support.servers import ROOT, NatsServer, RedisServer, free_port
from tests.support.trust import vouched_for
from tests.support.waiting import eventually

ADA = "ada@acme.com"
URL = "http://localhost:8080"
ORIGIN = {"Origin": URL}
DRAIN_SECONDS = (
    0.02  # the projection waits for messages and is cancelled in the end, however long it is given
)


@dataclass
class AuthWorkers:
    """*doors* are the base addresses of the two; `url` (public) is neither."""

    doors: list[str]
    runtimes: list[Runtime]
    secrets_dir: Path
    http: ClientSession
    events: list[tuple[str, Any]] = field(default_factory=list)
    _heard: set[tuple[str, str | None]] = field(default_factory=set)

    def said(self, subject: Subject[Any]) -> list[Any]:
        """What was heard on *subject* until now, in order."""
        return [message for name, message in self.events if name == subject.name]

    async def hears(self, subject: Subject[Any], count: int) -> list[Any]:
        """The first *count* messages on *subject*, once they are there."""
        await eventually(lambda: len(self.said(subject)) >= count)
        return self.said(subject)

    async def listen(self, bus: Bus) -> None:
        """Write down every event of auth, as an operator hears it."""
        login = (LOGIN_REQUESTED, LOGIN_SUCCEEDED, LOGIN_FAILED, TOKEN_REVOKED)
        for subject in (*login, USER_REGISTERED, USER_VERIFIED):
            await bus.listen(subject, partial(self._hear, subject.name))

    async def _hear(self, name: str, message: Any) -> None:
        # Said again under its id (a PubAck came late) it is the same one: a stream stores it once.
        if message.id is None or (name, message.id) not in self._heard:
            self.events.append((name, message))
            self._heard.add((name, message.id))

    def token_of(self, login_id: str, email: str = ADA, purpose: str = "sign_in") -> str:
        """The token of the mail's link."""
        keys = load_symmetric(self.secrets_dir, "link")
        return link_token(keys.by_kid[keys.current], purpose, login_id, email)

    def code_of(self, login_id: str, email: str = ADA) -> str:
        """The code of the mail."""
        keys = load_symmetric(self.secrets_dir, "link")
        return login_code(keys.by_kid[keys.current], "sign_in", login_id, email)

    async def call(
        self, method: str, path: str, body: Any = None, *, door: int = 0, **options: Any
    ) -> ClientResponse:
        """One request, the answer's body already read; *cookies* goes into one Cookie header."""
        headers = dict(options.pop("headers", {}))
        if cookies := options.pop("cookies", None):
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        url = self.doors[door] + path
        options |= {"json": body} if body is not None else {}
        async with self.http.request(
            method, url, headers=headers, allow_redirects=False, **options
        ) as response:
            await response.read()
            return response

    async def ask(self, email: str = ADA, **options: Any) -> str:
        """Ask for a link; its login_id."""
        response = await self.call("POST", "/auth/login", {"email": email}, **options)
        assert response.status == 202, await response.text()
        login_id: str = (await response.json())["login_id"]
        return login_id

    async def sign_in(self, email: str = ADA, **options: Any) -> dict[str, Any]:
        """Ask, click, and get the tokens in the body."""
        token = self.token_of(await self.ask(email), email)
        response = await self.call("POST", "/auth/link", {"token": token}, **options)
        assert response.status == 200, await response.text()
        tokens: dict[str, Any] = await response.json()
        return tokens

    async def sign_in_with_cookies(self, email: str = ADA) -> dict[str, str]:
        """Ask, click, and get the cookies."""
        body = {"token": self.token_of(await self.ask(email), email), "cookies": True}
        response = await self.call("POST", "/auth/link", body, headers=ORIGIN)
        assert response.status == 200, await response.text()
        return {name: morsel.value for name, morsel in response.cookies.items()}


def bearer(token: str) -> dict[str, str]:
    """The header of a bearer token (or of a pair)."""
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def running_workers(
    nats: NatsServer,
    redis: RedisServer,
    secrets_dir: Path,
    doors: int = 2,
    revocation: Mapping[str, Any] = MappingProxyType({}),
    **changes: Any,
) -> AsyncIterator[AuthWorkers]:
    """Start everything, wait until the feed is fresh, and stop in order. *changes* are auth's settings,

    *revocation* those of the other worker.
    """
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        http = await stack.enter_async_context(ClientSession(cookie_jar=DummyCookieJar()))
        common = {"url": URL, "secrets_dir": secrets_dir, "nats_url": nats.url}
        common |= {"redis_url": redis.url, **_tables(secrets_dir)}
        worker = Runtime(tasks, stack)
        admin = f"127.0.0.1:{free_port()}"
        await revocation_wiring.start(
            RevocationSettings(**common, revocation_admin=admin, **revocation), worker
        )
        worker.started = True  # as the lifecycle says it
        await vouched_for(redis.url)  # before auth starts: it looks but once a second
        workers = AuthWorkers([], [worker], secrets_dir, http)
        await workers.listen(await stack.enter_async_context(nats.connect("operator")))
        for _ in range(doors):
            await _start_auth(workers, Runtime(tasks, stack), {**common, **changes})
        try:
            yield workers
        finally:
            for runtime in workers.runtimes:
                runtime.stop("test over")
                await runtime.drain(DRAIN_SECONDS)


def _tables(directory: Path) -> dict[str, Path]:
    """No providers, and the built-in roles: not whatever a developer keeps in the checkout."""
    providers = directory / "no-providers.yaml"
    providers.write_text("{}\n")
    tables = {"roles": ROOT / "deploy" / "roles.yaml", "providers": providers}
    return {**tables, "catalogue": directory / "no-services.yaml"}


async def _start_auth(workers: AuthWorkers, runtime: Runtime, values: dict[str, Any]) -> None:
    listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    values = {"allow": "@acme.com", "limit_network": "1000/1m"} | values
    settings = AuthSettings(**values, auth_listen=listen, auth_admin=admin)
    await auth_wiring.start(settings, runtime)
    runtime.started = True  # as the lifecycle says it of a worker
    workers.doors.append(f"http://{listen}")
    workers.runtimes.append(runtime)
    needed = {"feed", "nats", "store"}
    await eventually(lambda: not runtime.health.problems().keys() & needed, within=60)
