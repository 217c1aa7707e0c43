"""The mailer between a real nats-server, a real Redis and a mail server that does as it is told."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest
from nats.js.api import DiscardPolicy

from services.mailer.flows.mail import Mailroom
from shared.bus import Bus, Delivery, Retry
from shared.clock import SystemClock
from shared.contract import LOGIN_REQUESTED, MAIL_FAILED, MAIL_SENT, MAILER, OPS
from shared.messages import LoginRequested, MailFailed, MailSent
from tests.conftest import BusFactory
from tests.support.mailer import SHORT, login, running_mailer
from tests.support.servers import RedisServer, start_in_thread
from tests.support.smtp import Answer, ScriptedSMTP, scripted_smtp
from tests.support.waiting import eventually

CLOCK = SystemClock()


class Told:
    """What operators hear of mails."""

    def __init__(self) -> None:
        self.sent: list[MailSent] = []
        self.failed: list[MailFailed] = []

    async def listen(self, bus: Bus) -> None:
        """Hear ``mail.*``."""

        async def sent(event: MailSent) -> None:
            self.sent.append(event)

        async def failed(event: MailFailed) -> None:
            self.failed.append(event)

        await bus.listen(MAIL_SENT, sent)
        await bus.listen(MAIL_FAILED, failed)


@pytest.fixture
async def smtp() -> AsyncIterator[ScriptedSMTP]:
    """A friendly mail server."""
    async with scripted_smtp() as server:
        yield server


@pytest.fixture
async def told(bus_of: BusFactory) -> Told:
    """An operator who listens."""
    told = Told()
    await told.listen(await bus_of("operator"))
    return told


async def ask(bus: Bus, email: str = "ada@example.com", **changes: object) -> LoginRequested:
    """Somebody asks for a link, now."""
    request = login(email, now_ms=CLOCK.now_ms(), **changes)
    await bus.publish(LOGIN_REQUESTED, request)
    return request


async def test_a_login_request_becomes_a_mail(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, told: Told
) -> None:
    """From the event to the mail server, and back as mail.sent."""
    auth = await bus_of("auth")
    async with running_mailer(await bus_of("mailer"), redis_server.url, smtp.port):
        request = await ask(auth)
        await eventually(lambda: told.sent)

    assert told.sent[0].login_id == request.login_id
    assert [r.recipient for r in smtp.accepted] == ["ada@example.com"]


async def test_two_mailers_send_one_mail_per_request(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, told: Told
) -> None:
    """Side by side on one durable."""
    auth = await bus_of("auth")
    one, two = await bus_of("mailer"), await bus_of("mailer")
    async with (
        running_mailer(one, redis_server.url, smtp.port),
        running_mailer(two, redis_server.url, smtp.port),
    ):
        for number in range(40):
            await ask(auth, f"user{number}@d{number % 8}.example")
        await eventually(lambda: len(told.sent) == 40, within=20)

    assert sorted(smtp.data_count.values()) == [1] * 40


async def test_one_event_published_twice_is_one_mail(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, told: Told
) -> None:
    """Auth may repeat itself under another event id: the attempt decides."""
    auth = await bus_of("auth")
    # The second may find the first at work: then it waits for the lease.
    brief = dataclasses.replace(SHORT, conversation=4.0, lease=5.0)
    mailer = await bus_of("mailer")
    async with running_mailer(mailer, redis_server.url, smtp.port, timing=brief):
        first = await ask(auth)
        again = await ask(auth, login_id=first.login_id)
        await eventually(lambda: told.sent)
        await settled(await bus_of("mailer"))

    assert again.id != first.id
    assert list(smtp.data_count.values()) == [1]
    assert len({event.id for event in told.sent}) == 1
    operations = await (await bus_of("provisioner")).js.stream_info("OPS")
    assert operations.state.messages == 1


async def test_a_refused_recipient_holds_up_nobody(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, told: Told
) -> None:
    """5xx poison between good mails."""
    smtp.always("RCPT", Answer(550, "5.1.1 none"), match="nobody")
    auth = await bus_of("auth")
    async with running_mailer(await bus_of("mailer"), redis_server.url, smtp.port):
        for number in range(6):
            await ask(auth, f"{'nobody' if number % 2 else 'ada'}{number}@example.com")
        await eventually(lambda: len(told.sent) == 3 and len(told.failed) == 3)

    assert {event.reason for event in told.failed} == {"recipient_refused"}


async def test_a_mail_server_that_is_away_delays_the_mail_and_loses_none(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, told: Told
) -> None:
    """An outage over several retries, shorter than the link's life."""
    await smtp.stop()
    auth = await bus_of("auth")
    async with running_mailer(await bus_of("mailer"), redis_server.url, smtp.port) as room:
        await ask(auth)
        await eventually(lambda: problem(room) == "the mail server does not answer")
        await smtp.start()
        await eventually(lambda: told.sent)
        assert problem(room) is None

    assert told.sent[0].attempts > 3
    assert list(smtp.data_count.values()) == [1]


async def test_a_wrong_password_pauses_the_queue_and_heals_by_itself(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, told: Told
) -> None:
    """Nothing fails while the mail server refuses us; everything is sent once it does not."""
    smtp.always("MAIL", Answer(530, "5.7.0 authentication required"))
    auth, mailer = await bus_of("auth"), await bus_of("mailer")
    async with running_mailer(mailer, redis_server.url, smtp.port) as room:
        for number in range(5):
            await ask(auth, f"user{number}@example.com")
        await eventually(lambda: problem(room))
        info = await mailer.js.consumer_info(MAILER.stream.name, MAILER.name)
        assert info.num_pending + info.num_ack_pending == 5
        smtp.heal()
        await eventually(lambda: len(told.sent) == 5)

    assert told.failed == []
    assert sorted(smtp.data_count.values()) == [1] * 5


@pytest.mark.parametrize("discard", [None, DiscardPolicy.NEW])
async def test_a_full_record_of_mails_stops_no_mail(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, discard: DiscardPolicy | None
) -> None:
    """OPS with room for two events forgets the oldest; one that refused them would be told nothing."""
    auth, provisioner = await bus_of("auth"), await bus_of("provisioner")
    config = (await provisioner.js.stream_info(OPS.name)).config
    assert config.discard == DiscardPolicy.OLD
    await provisioner.js.update_stream(
        config.evolve(max_bytes=1200, discard=discard or config.discard)
    )
    async with running_mailer(await bus_of("mailer"), redis_server.url, smtp.port):
        for number in range(6):
            await ask(auth, f"user{number}@d{number}.example")
        await settled(await bus_of("mailer"))

    assert len(smtp.accepted) == 6
    state = (await provisioner.js.stream_info(OPS.name)).state
    assert 0 < state.messages < 6
    assert (state.first_seq > 1) is (discard is None)


async def test_an_expired_request_is_skipped_and_said(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, told: Told
) -> None:
    """The mailer was away longer than the link lives."""
    auth = await bus_of("auth")
    await ask(auth, expires_at=CLOCK.now_ms() - 1)
    async with running_mailer(await bus_of("mailer"), redis_server.url, smtp.port):
        await eventually(lambda: told.failed)

    assert told.failed[0].reason == "expired"
    assert smtp.connections == 0


async def test_a_redis_that_is_away_delays_the_mail(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, told: Told
) -> None:
    """Killed before, started again: sent once."""
    redis_server.kill()
    auth = await bus_of("auth")
    async with running_mailer(await bus_of("mailer"), redis_server.url, smtp.port):
        await ask(auth)
        await start_in_thread(redis_server)
        await eventually(lambda: told.sent, within=60)

    assert list(smtp.data_count.values()) == [1]


async def test_a_slow_domain_does_not_hold_up_the_others(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, told: Told
) -> None:
    """More mails for it than there are places, and the next domain is served at once."""
    patient = dataclasses.replace(SHORT, command=30.0, conversation=40.0, lease=50.0)
    smtp.always("RCPT", Answer(gate=(gate := asyncio.Event())), match="@slow.example")
    auth, mailer = await bus_of("auth"), await bus_of("mailer")
    async with running_mailer(mailer, redis_server.url, smtp.port, timing=patient):
        for number in range(24):
            await ask(auth, f"user{number}@slow.example")
        await eventually(lambda: smtp.open_now >= 8)
        await ask(auth, "ada@fast.example")
        await eventually(lambda: [r.recipient for r in smtp.accepted] == ["ada@fast.example"])
        gate.set()
        await eventually(lambda: len(told.sent) == 25, within=20)

    assert set(smtp.data_count.values()) == {1}


async def test_a_thousand_recipients_refused_for_now_leave_room_for_the_next(
    bus_of: BusFactory,
) -> None:
    """What waits for its next try does not fill the window of the durable."""
    auth, mailer = await bus_of("auth"), await bus_of("mailer")
    stopping, served = asyncio.Event(), asyncio.Event()

    async def handle(request: LoginRequested, _delivery: Delivery) -> None:
        if request.email != "ada@example.com":
            raise Retry(600.0, "refused for now")
        served.set()

    for some in range(0, 1_001, 91):
        await asyncio.gather(*(ask(auth, f"user{some + n}@slow.example") for n in range(91)))
    await ask(auth)
    async with asyncio.TaskGroup() as group:
        group.create_task(
            mailer.consume(MAILER, LOGIN_REQUESTED, handle, concurrency=16, stopping=stopping)
        )
        await asyncio.wait_for(served.wait(), 60)
        stopping.set()


async def test_no_secret_and_no_address_in_what_is_announced(
    bus_of: BusFactory, redis_server: RedisServer, smtp: ScriptedSMTP, told: Told
) -> None:
    """mail.* holds ids and codes."""
    smtp.once("RCPT", Answer(550, "5.1.1 <canary@example.com> unknown"), match="canary")
    auth = await bus_of("auth")
    async with running_mailer(await bus_of("mailer"), redis_server.url, smtp.port):
        await ask(auth, "canary@example.com")
        await eventually(lambda: told.failed)

    assert "canary" not in told.failed[0].model_dump_json()


def problem(room: Mailroom) -> str | None:
    """What /ready would say about the mail server."""
    return room.health.problem(int(room.clock.monotonic() * 1000))


async def settled(bus: Bus) -> None:
    """Every message of the durable is acknowledged."""

    async def nothing_left() -> bool:
        info = await bus.js.consumer_info(MAILER.stream.name, MAILER.name)
        return info.num_pending == 0 and info.num_ack_pending == 0

    await eventually(nothing_left)
