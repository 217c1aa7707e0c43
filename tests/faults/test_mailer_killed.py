"""kill -9 of the mailer in the middle of a mail: neither lost nor, outside the dot, doubled."""

import asyncio
import dataclasses
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.bus import Bus
from shared.bus.streams import consumer_config
from shared.clock import SystemClock
from shared.contract import LOGIN_REQUESTED, MAIL_SENT, MAILER
from shared.messages import MailSent
from shared.secrets import load_symmetric
from tests.conftest import BusFactory
from tests.support.mailer import login
from tests.support.mailer_process import TIMING, MailerProcess, mailer_environ
from tests.support.servers import NatsServer, RedisServer
from tests.support.smtp import Answer, ScriptedSMTP, scripted_smtp
from tests.support.waiting import eventually

ACK_WAIT = 1.0  # seconds instead of sixty: how soon the server gives a dead worker's message on
# Long enough for a busy machine not to look like a mail server that hangs, which is sent the mail twice.
PATIENT = TIMING | {"conversation": 3.0, "lease": 3.5}
SENT = 60.0  # seconds of patience


@pytest.fixture
async def smtp() -> AsyncIterator[ScriptedSMTP]:
    """A friendly mail server."""
    async with scripted_smtp() as server:
        yield server


@pytest.fixture
def mailer(
    nats_server: NatsServer, redis_server: RedisServer, smtp: ScriptedSMTP, tmp_path: Path
) -> Iterator[MailerProcess]:
    """Not started yet."""
    smtp_url = f"smtp://127.0.0.1:{smtp.port}"
    environ = mailer_environ(nats_server, redis_server, smtp_url)
    process = MailerProcess(environ, tmp_path / "mailer.log", PATIENT)
    yield process
    process.kill()


@pytest.fixture
async def auth(bus_of: BusFactory) -> Bus:
    """Who asks; with a server that does not wait a minute for the dead."""
    provisioner = await bus_of("provisioner")
    config = dataclasses.replace(consumer_config(MAILER), ack_wait=ACK_WAIT)
    await provisioner.js.add_consumer(MAILER.stream.name, config)
    return await bus_of("auth")


@pytest.fixture
async def sent(bus_of: BusFactory) -> list[MailSent]:
    """Every mail.sent from now on."""
    events: list[MailSent] = []

    async def hear(event: MailSent) -> None:
        events.append(event)

    await (await bus_of("operator")).listen(MAIL_SENT, hear)
    return events


async def ask(auth: Bus, secrets_dir: Path) -> None:
    """Somebody asks for a link."""
    kid = load_symmetric(secrets_dir, "link").current
    await auth.publish(LOGIN_REQUESTED, login(now_ms=SystemClock().now_ms(), link_kid=kid))


@pytest.mark.parametrize("verb", ["BANNER", "MAIL", "RCPT", "DATA"])
async def test_killed_before_the_text_was_handed_over_it_sends_one_mail(
    verb: str,
    mailer: MailerProcess,
    auth: Bus,
    smtp: ScriptedSMTP,
    sent: list[MailSent],
    nats_server: NatsServer,
) -> None:
    """Not lost and not doubled, wherever in the conversation it died."""
    smtp.once(verb, Answer(gate=asyncio.Event()))
    mailer.start()
    await ask(auth, nats_server.secrets_dir)
    await eventually(lambda: not any(rule.times for rule in smtp.rules), within=SENT)

    mailer.kill()
    mailer.start()

    await eventually(lambda: sent, within=SENT)
    assert list(smtp.data_count.values()) == [1]
    assert len(smtp.accepted) == 1


async def test_killed_between_the_dot_and_the_250_the_second_mail_is_the_first_again(
    mailer: MailerProcess,
    auth: Bus,
    smtp: ScriptedSMTP,
    sent: list[MailSent],
    nats_server: NatsServer,
) -> None:
    """The one window (RFC 1047): byte for byte the same, so harmless; and never none."""
    smtp.once("DOT", Answer(gate=asyncio.Event()))
    mailer.start()
    await ask(auth, nats_server.secrets_dir)
    await eventually(lambda: smtp.texts, within=SENT)

    mailer.kill()
    mailer.start()

    await eventually(lambda: sent, within=SENT)
    first, second = smtp.texts
    assert first.content == second.content
    assert len({event.id for event in sent}) == 1


async def test_a_mailer_that_stood_still_past_its_lease_does_not_send_after_its_successor(
    mailer: MailerProcess,
    auth: Bus,
    smtp: ScriptedSMTP,
    sent: list[MailSent],
    nats_server: NatsServer,
) -> None:
    """A suspended machine wakes up between RCPT and DATA: the other one has sent the mail."""
    smtp.once("RCPT", Answer(gate=(gate := asyncio.Event())))
    mailer.start()
    await ask(auth, nats_server.secrets_dir)
    await eventually(lambda: not any(rule.times for rule in smtp.rules), within=SENT)
    (sleeper,) = mailer.processes
    sleeper.send_signal(signal.SIGSTOP)

    mailer.start()
    await eventually(lambda: sent, within=SENT)
    gate.set()
    sleeper.send_signal(signal.SIGCONT)

    await eventually(lambda: smtp.open_now == 0, within=SENT)
    assert len(smtp.texts) == 1
    assert len({event.id for event in sent}) == 1


async def test_asked_to_end_it_finishes_the_mail_it_began(
    mailer: MailerProcess,
    auth: Bus,
    smtp: ScriptedSMTP,
    sent: list[MailSent],
    nats_server: NatsServer,
) -> None:
    """SIGTERM: step two of the shutdown, exit code 0."""
    smtp.once("DOT", Answer(gate=(gate := asyncio.Event())))
    mailer.start()
    await ask(auth, nats_server.secrets_dir)
    await eventually(lambda: smtp.texts, within=SENT)

    async with asyncio.TaskGroup() as group:
        ending = group.create_task(asyncio.to_thread(mailer.end))
        gate.set()

    assert ending.result() == 0
    await eventually(lambda: sent)
    assert len(smtp.texts) == 1
