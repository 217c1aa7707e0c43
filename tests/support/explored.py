"""The installation after every flow has run, and what a search of it must not find."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from shared.secrets import new_seed, public_key, write_private
from tests.support import sinks
from tests.support.breakable import Breakable, start_breakable
from tests.support.canaries import Canaries
from tests.support.every_flow import FLOWS
from tests.support.explorer import CLIENT_ID, Explorer
from tests.support.sinks import Leak, Sink, Tap, search
from tests.support.stack import Lab

SMTP_USER = "mail-user"
PROCESSES = (
    "auth", "edge", "mailer", "revocation", "nats", "redis", "traefik", "demo", "mailbox",
)  # fmt: skip
# Where a test's own nonsense rests: it published it there.
PUBLISHED = ("stream LOGIN body", "stream TOKEN body", "message ", "file nats/")


@dataclass
class Explored:
    """Still running.

    *redis*: its keys while an end waited for the bus. *seed*: a credential that may do everything in
    account CORE.
    """

    house: Breakable
    canaries: Canaries
    stored: Canaries
    session_secrets: Canaries
    taps: tuple[Tap, Tap]
    outputs: list[bytes]
    redis: list[Sink]
    seed: str

    def leaks(self, found: Iterable[Sink]) -> set[Leak]:
        """Everything in *found* that must not be there."""
        everywhere = list(found)
        beyond = [sink for sink in everywhere if not sink.name.startswith(PUBLISHED)]
        # A session's own random secret is what Redis is there to keep.
        outside = [sink for sink in everywhere if not sink.name.startswith("file redis/")]
        return (
            search(self.canaries, everywhere)
            | search(self.stored, beyond)
            | search(self.session_secrets, outside)
        )

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.house.lab.layout.root

    @property
    def nats_url(self) -> str:
        """The bus."""
        return self.house.lab.plan.nats_url

    @property
    def redis_url(self) -> str:
        """The store."""
        return self.house.lab.plan.redis_url

    def logs(self) -> list[Sink]:
        """Every part's log."""
        return list(sinks.logs(self.state / "logs"))

    def files(self) -> list[Sink]:
        """Every file but logs and secrets."""
        return list(sinks.files(self.state))

    def processes(self) -> list[Sink]:
        """Arguments and environments of every part."""
        return list(sinks.processes({name: self.house.lab.pid(name) for name in PROCESSES}))

    def tapped(self) -> list[Sink]:
        """Everything that passed the bus in either account."""
        return [sink for tap in self.taps for sink in tap.sinks()]

    async def stored_messages(self) -> list[Sink]:
        """Every message of every stream."""
        async with sinks.reading(self.nats_url, self.seed) as reader:
            return await sinks.streams(reader)


@asynccontextmanager
async def explore(
    state: Path,
    flows: tuple[Callable[[Explorer], Awaitable[None]], ...] = FLOWS,
    **settings: str,
) -> AsyncIterator[Explored]:
    """Start everything at debug level (*settings* added), run every flow, listen meanwhile."""
    canaries, seeds = Canaries(), (new_seed(), new_seed())
    password = canaries.make("smtp password")
    client_secret = canaries.make("client secret")

    def prepare(lab: Lab) -> None:
        _write_secrets(lab.layout.secrets, password, client_secret)
        _let_in(lab.layout.secrets / "nats" / "accounts.conf", seeds)
        _learn_keys(canaries, lab.layout.secrets)

    sign_in = (SMTP_USER, password)
    # Nobody waits here for an edge to close, and none may because the machine is busy.
    settings |= {"LOG_LEVEL": "debug", "MAX_STALENESS": "10"}
    async with start_breakable(state, prepare=prepare, sign_in=sign_in, **settings) as house:
        url = house.lab.plan.nats_url
        async with (
            sinks.tapping(url, seeds[0], "CORE") as core,
            sinks.tapping(url, seeds[1], "EDGE") as edge,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        ):
            explorer = Explorer(house, canaries, Canaries(), http, client_secret)
            for flow in flows:
                await flow(explorer)
        resting = Canaries()
        for secret in await sinks.session_secrets(house.lab.plan.redis_url):
            resting.add("session secret", secret)
        yield Explored(
            house=house,
            canaries=canaries,
            stored=explorer.stored,
            session_secrets=resting,
            taps=(core, edge),
            outputs=explorer.outputs,
            redis=explorer.redis,
            seed=seeds[0],
        )


def _write_secrets(directory: Path, password: str, client_secret: str) -> None:
    digest = hashlib.sha256(client_secret.encode()).hexdigest()
    write_private(directory / "smtp.password", password)
    write_private(directory / "clients.json", json.dumps({CLIENT_ID: {"secret_sha256": digest}}))


def _let_in(accounts: Path, seeds: tuple[str, str]) -> None:
    """A credential of this test in each account, which may hear and read everything."""
    head, core, edge = accounts.read_text().split("    users: [\n")
    users = [f"    users: [\n      {{ nkey: {public_key(seed)} }}\n" for seed in seeds]
    accounts.write_text(head + users[0] + core + users[1] + edge)


def _learn_keys(canaries: Canaries, directory: Path) -> None:
    """Every private file: text keys as they are and decoded, the lines of a PEM, the seeds."""
    for path in sorted(directory.rglob("*")):
        if path.suffix == ".seed":
            canaries.add(f"seed {path.stem}", path.read_text().strip())
        elif path.suffix == ".key":
            text = path.read_text().strip()
            canaries.add(f"key {path.parent.name}", text)
            canaries.add_bytes(f"key {path.parent.name}", base64.urlsafe_b64decode(text + "=="))
        elif path.suffix == ".pem":
            for line in path.read_text().splitlines()[1:-1]:
                canaries.add("private key", line)
