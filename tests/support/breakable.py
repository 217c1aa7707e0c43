"""The whole product to break: a lab with short waits, a mail server that counts, a watch on what is accepted.

``Breakable`` is one installation for a whole file of tests; each uses people of its own and leaves every
part running.
"""

import asyncio
import dataclasses
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.bus import Bus, connect_bus
from shared.bus.permissions import role_of
from shared.bus.streams import consumer_config
from shared.clock import SystemClock
from shared.contract import DURABLES, MAILER
from shared.ids import SystemIds
from shared.secrets import load_seed
from tests.support.mailer_process import TIMING
from tests.support.smtp import Received, ScriptedSMTP, scripted_smtp
from tests.support.stack import MAIL_WITHIN, Lab, make_lab
from tests.support.trust import vouched_for_anew
from tests.support.visitor import Client, token_in
from tests.support.waiting import eventually

# A machine that is busy with the other half of the fault tests must not look like a mail server that hangs
# after the dot: that mail is sent twice, and rightly (RFC 1047).
PATIENT = TIMING | {"conversation": 5.0, "lease": 6.0}
PARTS = ("auth", "edge", "mailer", "revocation", "redis", "nats")
# A question that a worker took with it into death is asked again after 2.75 s. Nobody may have closed by then,
# on a busy machine either.
MAX_STALENESS = 5.0  # seconds; ten in production
ACK_WAIT = 1.0  # seconds: how soon the server gives a dead worker's message to somebody else
WHOLE_WITHIN = 60.0  # seconds for everything to be ready again
LOOK = 0.02  # seconds between two checks of a watch
HELD = 5.0  # seconds a look may take: a stopped part holds its askers


@dataclass(frozen=True)
class Look:
    """One check through the front door: when it was asked (monotonic seconds) and what came back."""

    at: float
    status: int
    reason: str


@dataclass
class Watch:
    """Checks of one token, one after the other, while the block runs."""

    looks: list[Look] = field(default_factory=list)

    @property
    def statuses(self) -> set[int]:
        """Every status seen."""
        return {look.status for look in self.looks}

    def accepted_since(self, instant: float) -> list[Look]:
        """The looks begun after *instant* (monotonic seconds) that were let through."""
        return [look for look in self.looks if look.status == 200 and look.at > instant]

    async def run(self, client: Client, token: str, stop: asyncio.Event) -> None:
        """Look until *stop*."""
        while not stop.is_set():
            self.looks.append(await look(client, token))
            try:
                async with asyncio.timeout(LOOK):
                    await stop.wait()
            except TimeoutError:
                continue


@dataclass
class Breakable:
    """The lab and its mail server. *smtp* counts every text it was handed."""

    lab: Lab
    smtp: ScriptedSMTP
    _servers: tuple[int, int] | None = None  # those that were there when the store was vouched for

    @property
    def url(self) -> str:
        """The front door."""
        return self.lab.url

    async def restart(self, part: str) -> None:
        """kill -9, and started again as a supervisor would; nothing else is touched."""
        await self.lab.kill9(part)
        await self.lab.start(part)

    async def whole(self) -> None:
        """Every part runs (the ones a failed test left dead are started) and says that it is ready."""
        self.smtp.heal()
        for part in PARTS:
            if not self.lab.runs(part):
                await self.lab.launch(part)
        for part in PARTS:
            await self.lab.ready(part, WHOLE_WITHIN)
        await self._vouched_for()

    async def _vouched_for(self) -> None:
        """A store that is trusted may soon not be: who vouches for it looks once a second, and asks NATS."""
        servers = self.lab.pid("redis"), self.lab.pid("nats")
        if servers != self._servers:
            await vouched_for_anew(self.lab.plan.redis_url)
            self._servers = servers

    def mails(self, address: str) -> list[Received]:
        """Every complete text for *address*, whether the server said yes to it or not."""
        return [text for text in self.smtp.texts if text.recipient == address]

    async def mail(
        self, address: str, *, count: int = 1, within: float = MAIL_WITHIN
    ) -> dict[str, str]:
        """The newest accepted mail to *address* once there are *count*, as the mailbox would show it."""

        def accepted() -> list[Received]:
            # A busy machine may have one sent again, byte for byte (RFC 1047): it is one mail.
            found = (text for text in self.smtp.accepted if text.recipient == address)
            return list(dict.fromkeys(found))

        message = f"no mail number {count}"
        await eventually(lambda: len(accepted()) >= count, within=within, message=message)
        body = accepted()[-1].message.get_body(("plain",))
        assert body is not None
        return {"text": str(body.get_content())}

    async def link(self, client: Client, address: str) -> str:
        """Ask for a link and wait for its mail; the token."""
        count = len(set(self.mails(address))) + 1
        status, answer = await _taken(client, "/auth/login", {"email": address})
        assert status == 202, answer
        return token_in(await self.mail(address, count=count))

    async def log_in(self, client: Client, address: str) -> dict[str, Any]:
        """A session of *address*: its tokens."""
        token = await self.link(client, address)
        status, tokens = await _taken(client, "/auth/link", {"token": token})
        assert status == 200, tokens
        return dict(tokens)

    async def mail_is_settled(self) -> None:
        """The mailer has nothing left to send: what has not been sent twice by now never will be."""
        async with self.bus("operator") as bus:

            async def nothing_left() -> bool:
                info = await bus.state.consumer(MAILER)
                return not info["num_pending"] and not info["num_ack_pending"]

            await eventually(nothing_left, within=MAIL_WITHIN, message="the mailer still has work")

    @asynccontextmanager
    async def bus(self, name: str) -> AsyncIterator[Bus]:
        """The bus as credential *name*."""
        seed = load_seed(self.lab.layout.secrets, name)
        url, role = self.lab.plan.nats_url, role_of(name)
        async with connect_bus(
            url=url, role=role, name=name, seed=seed, clock=SystemClock(), ids=SystemIds()
        ) as bus:
            yield bus


async def _taken(client: Client, path: str, body: dict[str, str]) -> tuple[int, Any]:
    """What it is answered once that is not "not now".

    Every part was ready; but who vouches for a store that has come back may take its word back to look first.
    """

    async def answered() -> tuple[int, Any] | None:
        status, answer = await client.post(path, body)
        return (status, answer) if status != 503 else None

    found = await eventually(answered, within=WHOLE_WITHIN)
    assert found is not None
    return found


@asynccontextmanager
async def watching(client: Client, token: str) -> AsyncIterator[Watch]:
    """Check *token* through the front door while the block runs, which begins after the first look."""
    watch, stop = Watch(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.run(client, token, stop))
        try:
            await eventually(lambda: watch.looks)
            yield watch
        finally:
            stop.set()


async def look(client: Client, token: str) -> Look:
    """One check through the front door; an answer that does not come is status 0."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(HELD):
            status, seen = await client.get("/demo", token)
    except TimeoutError:
        return Look(began, 0, "no answer")
    return Look(began, status, str(seen.get("X-Latchwire-Reason", "")))


@asynccontextmanager
async def start_breakable(
    state: Path,
    *,
    prepare: Callable[[Lab], None] = lambda _lab: None,
    sign_in: tuple[str, str] | None = None,
    **settings: str,
) -> AsyncIterator[Breakable]:
    """Everything ready. The waits of the mailer and of the consumers are seconds instead of a minute.

    *prepare* is called before anything starts; *sign_in* is what the mail server asks for (the password's
    file is the caller's to write).
    """
    waits = {"LIMIT_NETWORK": "100000/5m", "MAX_STALENESS": f"{MAX_STALENESS:g}"}
    lab = await make_lab(state, **{**waits, **settings})
    async with scripted_smtp(credentials=sign_in) as smtp:
        argv = (sys.executable, "-m", "tests.support.run_mailer", json.dumps(PATIENT))
        user = f"{sign_in[0]}@" if sign_in else ""
        lab.change("mailer", argv=argv, SMTP_URL=f"smtp://{user}127.0.0.1:{smtp.port}")
        prepare(lab)
        house = Breakable(lab, smtp)
        try:
            await lab.up()
            await _shorten_waits(house)
            yield house
        finally:
            await lab.down()


async def _shorten_waits(house: Breakable) -> None:
    async with house.bus("provisioner") as bus:
        for durable in DURABLES:
            config = dataclasses.replace(consumer_config(durable), ack_wait=ACK_WAIT)
            await bus.js.add_consumer(durable.stream.name, config)
