"""A mailer in the test's own process: real transport and letters, short waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.headerregistry import Address
from functools import partial
from typing import Any

from services.mailer.adapters.aiosmtplib_transport import SMTPTransport
from services.mailer.adapters.redis_states import RedisMailStates
from services.mailer.domain.attempt import Timing
from services.mailer.domain.fairness import Places
from services.mailer.domain.sender import SenderHealth
from services.mailer.flows.mail import Mailroom
from services.mailer.handlers import login_requested
from services.mailer.mails import MailWriter, Site
from services.mailer.ports import Announcer, Letters, MailStates
from shared.bus import Ack, Bus, BusUnavailableError
from shared.clock import Clock, SystemClock
from shared.contract import LOGIN_REQUESTED, MAILER, Subject
from shared.ids import SystemIds
from shared.messages import LoginRequested
from shared.redis import connect_redis
from shared.smtp_url import MailServer

KID = "20261122-aaaaaa"
KEY = bytes(range(32))
# As in production, but a hundredth of the waiting between tries.
SHORT = Timing(
    first_backoff=0.05,
    longest_backoff=0.2,
    busy=0.05,
    pause=1.0,
    store_retry=0.02,
)


@dataclass
class Announced:
    """An announcer that remembers; *away* makes the next so many publications fail."""

    events: list[tuple[str, Any]] = field(default_factory=list)
    away: int = 0

    async def publish(
        self, subject: Subject[Any], message: Any, *, msg_id: str | None = None
    ) -> Ack:
        assert msg_id is None  # the event's own id, which is the same every time
        if self.away:
            self.away -= 1
            raise BusUnavailableError("no PubAck")
        self.events.append((subject.name, message))
        return Ack("OPS", len(self.events), duplicate=False)

    def names(self) -> list[str]:
        """The subjects, in order."""
        return [name for name, _ in self.events]


def login(email: str = "ada@example.com", *, now_ms: int, **changes: Any) -> LoginRequested:
    """A request as auth publishes it: ten minutes from *now_ms*."""
    ids = SystemIds()
    fields: dict[str, Any] = {
        "id": ids.ulid(now_ms),
        "at": now_ms,
        "login_id": ids.ulid(now_ms),
        "email": email,
        "link_kid": KID,
        "expires_at": now_ms + 600_000,
    }
    return LoginRequested.model_validate({**fields, **changes})


def local_server(port: int, **changes: Any) -> MailServer:
    """The scripted server on *port*, without TLS unless said otherwise."""
    return replace(MailServer("localhost", port, "none"), **changes)


def mail_writer() -> MailWriter:
    """Acme's letters."""
    url = "https://auth.acme.com"
    return MailWriter(Site("Acme", url, url, Address("Acme", "login", "acme.com")), {KID: KEY}, KID)


def mailroom(
    port: int,
    *,
    states: MailStates,
    announcer: Announcer,
    clock: Clock,
    timing: Timing = SHORT,
    places: int = 16,
    letters: Letters | None = None,
) -> Mailroom:
    """Everything a mail needs, towards the scripted server on *port*."""
    return Mailroom(
        states=states,
        transport=SMTPTransport(local_server(port), timing, greeting_name="auth.acme.com"),
        letters=letters or mail_writer(),
        announcer=announcer,
        places=Places(places),
        health=SenderHealth(),
        clock=clock,
        ids=SystemIds(),
        timing=timing,
    )


@asynccontextmanager
async def running_mailer(
    bus: Bus,
    redis_url: str,
    port: int,
    *,
    timing: Timing = SHORT,
    concurrency: int = 16,
    letters: Letters | None = None,
) -> AsyncIterator[Mailroom]:
    """A mailer consuming from *bus* until the block ends."""
    stopping = asyncio.Event()
    async with connect_redis(redis_url) as redis, asyncio.TaskGroup() as group:
        room = mailroom(
            port,
            states=RedisMailStates(redis, timing),
            announcer=bus,
            clock=SystemClock(),
            timing=timing,
            places=concurrency,
            letters=letters,
        )
        handler = partial(login_requested, room=room)
        group.create_task(
            bus.consume(
                MAILER, LOGIN_REQUESTED, handler, concurrency=concurrency, stopping=stopping
            )
        )
        try:
            yield room
        finally:
            stopping.set()
