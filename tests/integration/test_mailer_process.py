"""The mailer as an operator meets it: a process with an admin door and a log."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from shared.clock import SystemClock
from shared.contract import LOGIN_REQUESTED
from shared.links import link_token, login_code, show_code
from shared.secrets import load_symmetric
from tests.conftest import BusFactory
from tests.support.mailer import login
from tests.support.mailer_process import MailerProcess, mailer_environ
from tests.support.servers import NatsServer, RedisServer
from tests.support.smtp import Answer, ScriptedSMTP, scripted_smtp
from tests.support.waiting import eventually

PASSWORD = "canary-smtp-password"
ADDRESS = "canary-address@example.com"


@pytest.fixture
async def smtp() -> AsyncIterator[ScriptedSMTP]:
    """A mail server that wants a password."""
    async with scripted_smtp(credentials=("mailer", PASSWORD)) as server:
        yield server


@pytest.fixture
async def mailer(
    nats_server: NatsServer, redis_server: RedisServer, smtp: ScriptedSMTP, tmp_path: Path
) -> AsyncIterator[MailerProcess]:
    """Not started yet; it logs everything it ever would."""
    url = f"smtp://mailer:{PASSWORD}@127.0.0.1:{smtp.port}"
    environ = mailer_environ(nats_server, redis_server, url)
    process = MailerProcess({**environ, "LATCHWIRE_LOG_LEVEL": "debug"}, tmp_path / "mailer.log")
    yield process
    process.kill()


async def get(url: str) -> tuple[int, str]:
    """Status and body; (0, "") while nobody answers."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url) as response:
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""


async def ready(door: str, status: int) -> str:
    """The body of /ready once it has *status*."""

    async def looked() -> str:
        found, body = await get(f"{door}/ready")
        return body if found == status else ""

    return await eventually(looked, within=60)


async def test_a_refused_password_is_said_at_the_admin_door_and_heals(
    mailer: MailerProcess, smtp: ScriptedSMTP, bus_of: BusFactory, nats_server: NatsServer
) -> None:
    """503 with the reason, a metric, an error in the log; then ready again, by itself."""
    kid = load_symmetric(nats_server.secrets_dir, "link").current
    auth = await bus_of("auth")
    door = mailer.start()
    await ready(door, 200)
    smtp.always("AUTH", Answer(535, "5.7.8 no"))

    request = login(now_ms=SystemClock().now_ms(), link_kid=kid)
    await auth.publish(LOGIN_REQUESTED, request)

    assert "refuses our user name or password" in await ready(door, 503)
    _, metrics = await get(f"{door}/metrics")
    assert "latchwire_mail_sender_trouble 1.0" in metrics
    assert "mail.sender_refused" in mailer.log.read_text()

    smtp.heal()
    await eventually(lambda: smtp.accepted, within=20)
    await ready(door, 200)


async def test_no_secret_and_no_address_reaches_the_log(
    mailer: MailerProcess, smtp: ScriptedSMTP, bus_of: BusFactory, nats_server: NatsServer
) -> None:
    """Password, address, link and code, through success and every kind of failure, at debug level."""
    keys = load_symmetric(nats_server.secrets_dir, "link")
    auth = await bus_of("auth")
    smtp.once("RCPT", Answer(450, f"4.2.0 <{ADDRESS}> greylisted"))
    smtp.once("DATA", Answer(then="drop instead"))
    door = mailer.start()
    await ready(door, 200)

    request = login(ADDRESS, now_ms=SystemClock().now_ms(), link_kid=keys.current)
    await auth.publish(LOGIN_REQUESTED, request)
    await eventually(lambda: smtp.accepted, within=20)
    assert mailer.end() == 0

    text = mailer.log.read_text()
    derived = (keys.by_kid[keys.current], "sign_in", request.login_id, ADDRESS)
    code = login_code(*derived)
    for secret in (PASSWORD, ADDRESS, link_token(*derived), code, show_code(code)):
        assert secret not in text
    assert request.login_id in text
