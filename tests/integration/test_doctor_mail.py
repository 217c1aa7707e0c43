"""What the mailer tells a doctor: whether the mail server would take a mail now, without sending one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.bus import Bus, NoAnswerError
from shared.contract import OP_DOCTOR_FACTS
from shared.messages import AskFacts, SmtpFacts, WorkerFacts
from tests.conftest import BusFactory
from tests.support.mailer_process import MailerProcess, mailer_environ
from tests.support.servers import NatsServer, RedisServer
from tests.support.smtp import Answer, ScriptedSMTP, scripted_smtp
from tests.support.waiting import eventually

PASSWORD = "canary-smtp-password"
REFUSED = "the mail server refuses our user name or password"


@pytest.fixture
async def smtp() -> AsyncIterator[ScriptedSMTP]:
    """A mail server that wants a password."""
    async with scripted_smtp(credentials=("mailer", PASSWORD)) as server:
        yield server


@pytest.fixture
async def operator(
    nats_server: NatsServer,
    redis_server: RedisServer,
    smtp: ScriptedSMTP,
    tmp_path: Path,
    bus_of: BusFactory,
) -> AsyncIterator[Bus]:
    """An operator's connection; a mailer runs."""
    url = f"smtp://mailer:{PASSWORD}@127.0.0.1:{smtp.port}"
    environ = mailer_environ(nats_server, redis_server, url)
    process = MailerProcess(environ, tmp_path / "mailer.log")
    process.start()
    yield await bus_of("operator")
    process.kill()


async def told(bus: Bus) -> WorkerFacts:
    """The mailer's word, once it is there."""

    async def ask() -> WorkerFacts | None:
        try:
            return await bus.ask(OP_DOCTOR_FACTS.of("mailer"), AskFacts(), timeout=8)
        except NoAnswerError:
            return None

    facts = await eventually(ask, within=60)
    assert facts is not None
    return facts


async def test_a_mail_server_is_tried_up_to_the_sign_in_and_gets_no_mail(
    operator: Bus, smtp: ScriptedSMTP
) -> None:
    """Good, then a password that is refused, then nobody there; no word of the server's or ours is told."""
    good = await told(operator)
    smtp.once("AUTH", Answer(535, f"5.7.8 no {PASSWORD}"))
    refused = await told(operator)
    smtp.once("BANNER", Answer(then="drop instead"))
    gone = await told(operator)

    assert good.smtp == SmtpFacts(problem="", tls="none", here=True)
    assert refused.smtp == SmtpFacts(problem=REFUSED, tls="none", here=True)
    assert gone.smtp == SmtpFacts(
        problem="the mail server broke off (connection) at CONNECT", tls="none", here=True
    )
    assert not smtp.texts
    assert not any(line.startswith(("MAIL", "RCPT", "DATA")) for line in smtp.lines)
    assert PASSWORD not in "".join(facts.model_dump_json() for facts in (good, refused, gone))
    assert [key.purpose for key in good.keys] == ["link"]
