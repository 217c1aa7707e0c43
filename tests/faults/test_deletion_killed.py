"""kill -9 of auth in the middle of a deletion: answered or not, it is finished by the next process.

Five people, each deleted up to another step when the process dies. Nothing begun is lost, no session of theirs
lives on, ``user.deleted`` and the goodbye are each in their stream once, and the service is asked until it is
done.
"""

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from latchwire.connect import connect
from latchwire.deletions import Erasure, Outcome, UserFact, hear_users, serve_deletions
from shared.bus import Bus
from shared.contract import OP_DELETIONS_LIST, TOKEN_REVOKED
from shared.messages import DeletionRow, ListDeletions, TokenRevoked
from tests.support.auth_site import AuthSite, running_auth
from tests.support.servers import Server, start_in_thread
from tests.support.waiting import eventually

SHOP = "service-shop"


@dataclass
class Shop:
    """A service that is asked, and waits for *go* before it answers."""

    asked: list[Erasure] = field(default_factory=list)
    heard: set[tuple[str, str]] = field(default_factory=set)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def erase(self, erasure: Erasure) -> Outcome:
        self.asked.append(erasure)
        await self.go.wait()
        return "done"

    async def hear(self, fact: UserFact) -> None:
        self.heard.add((fact.sub, fact.fact))


@dataclass
class Scene:
    """Everything a step needs to wait for its instant."""

    site: AuthSite
    operator: Bus
    http: ClientSession
    shop: Shop
    revoked: list[TokenRevoked] = field(default_factory=list)

    @property
    def auth(self) -> Server:
        return self.site.workers[1]

    async def sign_in(self, email: str) -> dict[str, Any]:
        """By a link."""
        asked = await self._call("POST", "/auth/login", json={"email": email})
        token = self.site.token_of(asked["login_id"], email)
        return await self._call("POST", "/auth/link", json={"token": token})

    async def delete(self, token: str) -> int:
        """The answer's status; 0 when the process died over it."""
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self.http.delete(f"{self.site.url}/auth/me", headers=headers) as answer:
                return answer.status
        except ClientError:
            return 0

    async def me(self, token: str) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.get(f"{self.site.url}/auth/me", headers=headers) as answer:
            return answer.status, await answer.json()

    async def renews(self, token: str) -> bool:
        body = {"refresh_token": token}
        async with self.http.post(f"{self.site.url}/auth/refresh", json=body) as answer:
            assert answer.status in {200, 401}
            return answer.status == 200

    async def ledger(self) -> list[DeletionRow]:
        page = await self.operator.ask(OP_DELETIONS_LIST, ListDeletions(all=True))
        return list(page.deletions)

    async def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        async def answered() -> dict[str, Any] | None:
            async with self.http.request(method, f"{self.site.url}{path}", **options) as answer:
                if answer.status == 503:  # its door opens before it knows whom to let in
                    return None
                assert answer.ok, await answer.text()
                body: dict[str, Any] = await answer.json()
                return body

        found = await eventually(answered)
        assert found is not None
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[AuthSite]:
    """Auth with accounts as a process."""
    services = {"LATCHWIRE_DELETION_SERVICES": "shop"}
    with running_auth(tmp_path, accounts=True, settings=services) as site:
        yield site


@pytest.fixture
async def scene(site: AuthSite) -> AsyncIterator[Scene]:
    """With an operator who listens and a shop that erases."""
    shop = Shop()
    shop.go.set()
    async with (
        site.nats.connect("operator") as operator,
        ClientSession() as http,
        connect(site.nats.url, name=SHOP, nkey_seed=site.nats.seed(SHOP)) as client,
        hear_users(client, shop.hear),
        serve_deletions(client, "shop", shop.erase, answer_within=60.0),
    ):
        scene = Scene(site, operator, http, shop)

        async def hear(event: TokenRevoked) -> None:
            scene.revoked.append(event)

        await operator.listen(TOKEN_REVOKED, hear)
        yield scene


Step = Callable[["Scene", str, str], Awaitable[None]]


async def asked_the_shop(scene: Scene, token: str, sub: str) -> None:
    """The shop is at it, and whoever asked is gone before its answer."""
    scene.shop.go.clear()
    await killed_when(scene, token, lambda: bool(scene.shop.asked))
    scene.shop.go.set()


async def committed_only(scene: Scene, token: str, sub: str) -> None:
    """Redis hangs: the rows are written, and nothing else."""
    scene.site.redis.signal(signal.SIGSTOP)
    try:
        await killed_when(scene, token, lambda: is_gone(scene.site, sub))
    finally:
        scene.site.redis.signal(signal.SIGCONT)


async def ended_but_untold(scene: Scene, token: str, sub: str) -> None:
    """NATS hangs: nobody can be told."""
    scene.site.nats.signal(signal.SIGSTOP)
    try:
        await killed_when(scene, token, lambda: is_gone(scene.site, sub))
    finally:
        scene.site.nats.signal(signal.SIGCONT)


async def told_of_the_end(scene: Scene, token: str, sub: str) -> None:
    """The instant the revocation is heard."""
    await killed_when(scene, token, lambda: any(event.sub == sub for event in scene.revoked))


async def told_of_the_deletion(scene: Scene, token: str, sub: str) -> None:
    """The instant a service hears ``user.deleted``."""
    await killed_when(scene, token, lambda: (sub, "deleted") in scene.shop.heard)


STEPS: tuple[Step, ...] = (
    asked_the_shop,  # first: it is asked again after ten seconds, while the others go on
    committed_only,
    ended_but_untold,
    told_of_the_end,
    told_of_the_deletion,
)


async def test_whatever_step_it_dies_at_a_deletion_is_finished(scene: Scene) -> None:
    """Once for each step; then everything holds for everybody."""
    people: list[tuple[str, dict[str, Any]]] = []
    for n, step in enumerate(STEPS):
        tokens = await scene.sign_in(f"person{n}@acme.com")
        sub = str((await scene.me(tokens["access_token"]))[1]["sub"])
        people.append((sub, tokens))
        await step(scene, tokens["access_token"], sub)
        await start_in_thread(scene.auth)

    async def all_complete() -> bool:
        rows = await scene.ledger()
        return len(rows) == len(STEPS) and all(row.complete for row in rows)

    await eventually(all_complete, within=60)
    for sub, tokens in people:
        assert (await scene.me(tokens["access_token"]))[0] == 401
        assert not await scene.renews(tokens["refresh_token"])
        assert is_gone(scene.site, sub)
    assert {erasure.sub for erasure in scene.shop.asked} == {sub for sub, _ in people}
    assert kept(scene.site, "USER").count(b"ce-type: user.deleted") == len(STEPS)
    assert kept(scene.site, "LOGIN").count(b'"notice":"account_deleted"') == len(STEPS)
    rows = {
        row.sub: {one.service: one.asked for one in row.services} for row in await scene.ledger()
    }
    assert rows[people[0][0]]["shop"] >= 2, "the question whose answer was lost was put again"


async def killed_when(scene: Scene, token: str, instant: Callable[[], bool]) -> None:
    """Ask for the deletion and kill auth at that instant, whatever has become of the answer."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scene.delete(token))
        await eventually(instant)
        scene.auth.kill()


def is_gone(site: AuthSite, sub: str) -> bool:
    """Whether the store has no account of *sub*."""
    with contextlib.closing(sqlite3.connect(site.secrets_dir.parent / "accounts.db")) as store:
        rows = store.execute("SELECT 1 FROM accounts WHERE sub = ?", (sub,)).fetchall()
    return not rows


def kept(site: AuthSite, stream: str) -> bytes:
    """Every byte of a stream's files."""
    folder = site.nats.log.parent / "js" / "jetstream" / "CORE" / "streams" / stream
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
