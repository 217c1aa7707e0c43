"""An installation whose keys change: revocation worker, edges as processes, auth's signer, operator."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from ctl.installation import Installation
from ctl.key_desk import KeyDesk
from ctl.session import Session
from latchwire.claims import Claims
from latchwire.documents import Documents
from latchwire.feed import RevocationFeed
from latchwire.tokens import TokenPolicy
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from shared import contract
from shared.bus import Bus
from shared.clock import SystemClock
from shared.ids import SystemIds
from shared.messages import Heartbeat
from shared.secrets import load_blocklist_key, load_operator_keys
from tests.support.edge import ORIGIN, request
from tests.support.edge_process import EdgeProcess, make_edge
from tests.support.parts import say_ready
from tests.support.revocation import make_worker
from tests.support.servers import NatsServer, start_in_thread
from tests.support.tokens import make_claims
from tests.support.waiting import eventually

NOBODY = "redis://127.0.0.1:1/0"
STALENESS, PATIENT = "2", "10"
CATALOGUE = """
services:
  demo:
    paths: [/demo]
    upstream: http://127.0.0.1:9100
"""


class Signer:
    """What auth does with keys: it follows the document and signs, on auth's own connection."""

    def __init__(self, bus: Bus, secrets_dir: Path) -> None:
        self.tokens = PyJWTTokens.load(secrets_dir, TokenPolicy(ORIGIN, "latchwire"))
        self.documents = Documents(load_operator_keys(secrets_dir), on_keys=self.tokens.follow)
        self.feed = RevocationFeed(
            bus.client, hash_key=load_blocklist_key(secrets_dir), documents=self.documents
        )

    def token(self, **claims: object) -> bytes:
        """A token of this moment."""
        now_ms, ids = SystemClock().now_ms(), SystemIds()
        made = make_claims(now_ms=now_ms, jti=ids.ulid(now_ms), **claims)
        return self.tokens.sign(made).encode()

    def accepts(self, token: bytes) -> bool:
        """What auth and every service with the SDK says: signature, then the blocklist."""
        now_ms = SystemClock().now_ms()
        claims = self.tokens.read(token.decode(), now_ms)
        if not isinstance(claims, Claims):
            return False
        blocklist = self.feed.blocklist
        return blocklist.find(blocklist.fingerprint(claims), now_ms) is None


@dataclass
class House:
    """Everything, running. *http* is kept open, as a gateway keeps its connections."""

    nats: NatsServer
    operator: Bus
    signer: Signer
    edges: list[EdgeProcess]
    http: aiohttp.ClientSession
    heard: dict[str, Heartbeat] = field(default_factory=dict)

    @property
    def secrets_dir(self) -> Path:
        return self.nats.secrets_dir

    def session(self, timeout: float = 10.0) -> Session:
        """What a command works with; its answer is JSON."""
        return session_of(self.nats, self.operator, timeout)

    async def keys(
        self, work: Callable[[Session, KeyDesk], Awaitable[int]], timeout: float = 10.0
    ) -> int:
        """One command on the keys; its exit code."""
        session = self.session(timeout)
        desk = KeyDesk(session)
        await desk.open()
        return await work(session, desk)

    async def desk(self) -> KeyDesk:
        """A fresh look at the keys."""
        desk = KeyDesk(self.session())
        await desk.open()
        return desk

    async def check(self, token: bytes, uri: str = "/demo", edge: int = 0) -> str:
        """``allow``, or why that edge refuses."""
        fields = request(uri, bearer=token)
        headers = [(n.decode(), v.decode()) for n, values in fields.items() for v in values]
        url = f"http://127.0.0.1:{self.edges[edge].port}/check/traefik"
        async with self.http.get(url, headers=headers, allow_redirects=False) as answer:
            reason = answer.headers.get("X-Latchwire-Reason", "")
            return "allow" if answer.status == 200 else reason or str(answer.status)

    async def ready(self, edge_id: str) -> None:
        """Return when that edge says that it is."""

        def beats() -> bool:
            beat = self.heard.get(edge_id)
            return beat is not None and beat.ready

        self.heard.pop(edge_id, None)
        await eventually(beats, within=60)

    async def whole(self) -> None:
        """Return when the worker has listened long enough to know every edge."""

        async def told() -> bool:
            return (await self.operator.ask(contract.OP_EDGES_LIST, contract.m.ListEdges())).whole

        await eventually(told, within=60)


def session_of(nats: NatsServer, operator: Bus, timeout: float = 10.0) -> Session:
    """A command's session over *operator*."""
    where = Installation(ORIGIN, nats.url, nats.secrets_dir, "test")
    return Session(operator, where, SystemClock(), SystemIds(), timeout, json=True)


@asynccontextmanager
async def open_house(
    nats: NatsServer, directory: Path, edges: int = 1, *, patient: bool = False
) -> AsyncIterator[House]:
    """Start everything; ended with the block.

    *patient*: edges go on for ten seconds without a proof, as in production; the worker knows their names, or
    one would wait as long for its roll. Else they close after two.
    """
    async with AsyncExitStack() as stack:
        names = [f"edge-{n + 1}" for n in range(edges)]
        staleness, known = (PATIENT, {"EDGES": ",".join(names)}) if patient else (STALENESS, {})
        worker = make_worker(nats, NOBODY, directory, MAX_STALENESS=staleness, **known)
        doors = [make_edge(nats, directory, edge_id=n, max_staleness=staleness) for n in names]
        (directory / "services.yaml").write_text(CATALOGUE)
        for process in (worker, *doors):
            stack.callback(process.kill)
        await asyncio.gather(*(start_in_thread(process) for process in (worker, *doors)))
        operator = await stack.enter_async_context(nats.connect("operator"))
        auth = await stack.enter_async_context(nats.connect("auth"))
        signer = Signer(auth, nats.secrets_dir)
        await stack.enter_async_context(signer.feed)
        await say_ready(auth)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        house = House(nats, operator, signer, doors, http)

        async def on_beat(beat: Heartbeat) -> None:
            house.heard[beat.edge_id] = beat

        await operator.listen(contract.EDGE_HEARTBEAT, on_beat)
        for name in names:
            await house.ready(name)
        await eventually(lambda: signer.feed.staleness_seconds() < 2, within=60)
        await house.whole()
        yield house
