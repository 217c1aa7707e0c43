"""The mailer's composition root."""

from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from services.mailer.adapters.aiosmtplib_transport import SMTPTransport
from services.mailer.adapters.redis_states import RedisMailStates
from services.mailer.domain.attempt import Timing
from services.mailer.domain.fairness import Places
from services.mailer.domain.replies import trouble_of
from services.mailer.domain.sender import SenderHealth
from services.mailer.flows.mail import Mailroom
from services.mailer.handlers import login_requested
from services.mailer.mails import MailWriter, Site
from services.mailer.settings import MailerSettings
from shared.contract import LOGIN_REQUESTED, MAILER, Role
from shared.doctor_facts import answer_doctor, key_facts
from shared.lifecycle import Runtime
from shared.messages import SmtpFacts
from shared.redis import connect_redis
from shared.secrets import load_symmetric, read_private
from shared.smtp_url import MailServer, is_loopback

CONCURRENCY = 16  # conversations with the mail server at a time
REACH_SECONDS = 5.0
PASSWORD_FILE = "smtp.password"  # noqa: S105 - the name of a file


async def start(settings: MailerSettings, runtime: Runtime, timing: Timing = Timing()) -> None:  # noqa: B008 - frozen
    """Compose and run; returns when mail flows."""
    health = SenderHealth()
    runtime.health.check("smtp", lambda: health.problem(int(runtime.clock.monotonic() * 1000)))
    writer = make_writer(settings)
    transport = SMTPTransport(
        mail_server(settings), timing, greeting_name=urlsplit(settings.url).hostname or "localhost"
    )
    await runtime.serve_admin(settings.mailer_admin)
    redis = await runtime.enter(connect_redis(settings.redis_url))
    bus = await runtime.connect_bus(Role.MAILER, settings)
    room = Mailroom(
        states=RedisMailStates(redis, timing),
        transport=transport,
        letters=writer,
        announcer=bus,
        places=Places(CONCURRENCY),
        health=health,
        clock=runtime.clock,
        ids=runtime.ids,
        timing=timing,
    )
    handler = partial(login_requested, room=room)
    runtime.spawn(
        "consumer mailer",
        bus.consume(
            MAILER,
            LOGIN_REQUESTED,
            handler,
            concurrency=CONCURRENCY,
            stopping=runtime.stopping,
        ),
    )
    await answer_doctor(bus, runtime, settings, partial(_facts, settings, transport))


async def _facts(settings: MailerSettings, transport: SMTPTransport) -> dict[str, Any]:
    """What the mailer alone can see: whether the mail server would take a mail from it now."""
    server = mail_server(settings)
    refusal = await transport.reach(within=REACH_SECONDS)
    smtp = SmtpFacts(
        problem=trouble_of(refusal) if refusal else "",
        tls=server.tls,
        here=is_loopback(server.host),
    )
    return {"smtp": smtp, "keys": key_facts(settings.secrets_dir, "link")}


def make_writer(settings: MailerSettings) -> MailWriter:
    """The letters of this installation, with the link keys of its secrets directory."""
    keys = load_symmetric(settings.secrets_dir, "link")
    site = Site(
        name=settings.site,
        url=settings.url,
        link_target=settings.link_url or settings.url,
        sender=settings.sender,
    )
    return MailWriter(site, keys.by_kid, keys.current)


def mail_server(settings: MailerSettings) -> MailServer:
    """The mail server, with the password of the secrets directory when the URL has none."""
    server = settings.server
    path = settings.secrets_dir / PASSWORD_FILE
    if not server.username or server.password or not path.exists():
        return server
    return replace(server, password=read_private(path))
