"""One mail through every fate: real letters and SMTP, states in memory, a clock that is moved by hand."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from services.mailer.domain.attempt import Timing
from services.mailer.flows.mail import (
    Done,
    Mailroom,
    Outcome,
    Postponed,
    SenderRefused,
    send_mail,
)
from shared.messages import LoginRequested
from shared.redis import StoreUnavailableError
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.mail_states import FakeMailStates
from tests.support.mailer import SHORT, Announced, login, mailroom
from tests.support.smtp import Answer, ScriptedSMTP, scripted_smtp
from tests.support.waiting import eventually

LEASE_MS = int(SHORT.lease * 1000)


@dataclass
class Office:
    """A mailer and everything around it."""

    smtp: ScriptedSMTP
    clock: FakeClock = field(default_factory=FakeClock)
    announced: Announced = field(default_factory=Announced)

    def __post_init__(self) -> None:
        self.states = FakeMailStates(self.clock)
        self.room = self.open_room()

    def open_room(self, timing: Timing = SHORT) -> Mailroom:
        """A mailer process over the same store."""
        return mailroom(
            self.smtp.port,
            states=self.states,
            announcer=self.announced,
            clock=self.clock,
            timing=timing,
        )

    def login(self, email: str = "ada@example.com", **changes: object) -> LoginRequested:
        """A request of now."""
        return login(email, now_ms=self.clock.now_ms(), **changes)

    async def deliver(self, request: LoginRequested, room: Mailroom | None = None) -> Outcome:
        """One delivery by the bus."""
        return await send_mail(request, stored_at_ms=request.at, room=room or self.room)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """With a friendly mail server."""
    async with scripted_smtp() as smtp:
        yield Office(smtp)


async def test_a_request_becomes_one_mail_and_one_event(office: Office) -> None:
    """And says how it went, without the address."""
    request = office.login()

    assert await office.deliver(request) == Done()

    ((name, event),) = office.announced.events
    assert name == "mail.sent"
    assert (event.login_id, event.attempts, event.smtp_code) == (request.login_id, 1, 250)
    assert event.message_id == office.smtp.accepted[0].message_id
    assert "ada" not in event.model_dump_json()


async def test_a_redelivery_of_a_sent_mail_sends_nothing_and_says_the_same_again(
    office: Office,
) -> None:
    """The same event id: the stream keeps one."""
    request = office.login()
    await office.deliver(request)
    office.clock.advance(60_000)

    assert await office.deliver(request) == Done()

    first, second = (event for _, event in office.announced.events)
    assert first == second
    assert len(office.smtp.texts) == 1


async def test_an_expired_attempt_is_never_mailed(office: Office) -> None:
    """Its link is dead: recorded, not sent."""
    request = office.login()
    office.clock.advance(600_000)

    assert await office.deliver(request) == Done()

    ((name, event),) = office.announced.events
    assert (name, event.reason, event.attempts) == ("mail.failed", "expired", 0)
    assert office.smtp.connections == 0


async def test_greylisting_is_waited_out(office: Office) -> None:
    """4xx at RCPT: later, again, sent, one mail."""
    office.smtp.once("RCPT", Answer(450, "4.2.0 greylisted"), times=3)
    request = office.login()

    outcomes = [await office.deliver(request) for _ in range(4)]

    assert [type(o) for o in outcomes] == [Postponed, Postponed, Postponed, Done]
    assert office.announced.events[0][1].attempts == 4
    assert sum(office.smtp.data_count.values()) == 1


async def test_retries_end_with_the_link(office: Office) -> None:
    """Refused for now until it is dead: one mail.failed, and the last wait does not run past it."""
    office.smtp.always("MAIL", Answer(451))
    request = office.login(expires_at=office.clock.now_ms() + 1000)
    delays = []
    outcome: Outcome = await office.deliver(request)
    while isinstance(outcome, Postponed):
        delays.append(outcome.seconds)
        office.clock.advance(int(outcome.seconds * 1000) + 1)
        outcome = await office.deliver(request)

    ((name, event),) = office.announced.events
    assert (name, event.reason) == ("mail.failed", "expired")
    assert event.attempts == len(delays) >= 3
    assert sum(delays) <= 1.0 + 0.01


async def test_an_unknown_recipient_is_recorded_and_not_tried_again(office: Office) -> None:
    """5xx at RCPT is permanent; the person who asked sees no difference."""
    office.smtp.always("RCPT", Answer(550, "5.1.1 no such user"))
    request = office.login()

    assert await office.deliver(request) == Done()
    assert await office.deliver(request) == Done()

    name, event = office.announced.events[0]
    assert (name, event.reason, event.smtp_code) == ("mail.failed", "recipient_refused", 550)
    assert office.smtp.connections == 1


@pytest.mark.parametrize(
    ("verb", "answer"),
    [("MAIL", Answer(550, "5.7.1")), ("MAIL", Answer(530, "5.7.0")), ("BANNER", Answer(554))],
)
async def test_a_server_that_refuses_us_pauses_everybody_and_says_so(
    office: Office, verb: str, answer: Answer
) -> None:
    """Not a flood of failures: nothing is recorded, /ready tells, and healing is enough."""
    office.smtp.always(verb, answer)
    request = office.login()

    assert isinstance(await office.deliver(request), SenderRefused)
    problem = office.room.health.problem(int(office.clock.monotonic() * 1000))
    assert problem is not None
    assert problem.startswith("the mail server refuses")
    assert office.announced.events == []

    office.smtp.heal()
    assert await office.deliver(request) == Done()
    assert office.room.health.problem(int(office.clock.monotonic() * 1000)) is None
    assert office.announced.names() == ["mail.sent"]


async def test_one_recipient_whose_server_refuses_the_text_stops_nobody(office: Office) -> None:
    """However often somebody types that address, with or without a tag: failed, and no pause."""
    office.smtp.always("DOT", Answer(554, "5.7.1 spam"), match="mallory")

    addresses = (
        "mallory@example.com",
        "mallory+1@example.com",
        "mallory@example.com",
        "mallory+2@example.com",
    )
    outcomes = [await office.deliver(office.login(email)) for email in addresses]
    await office.deliver(office.login())

    assert outcomes == [Done()] * 4
    assert office.announced.names() == ["mail.failed"] * 4 + ["mail.sent"]
    assert {event.reason for _, event in office.announced.events[:4]} == {"message_refused"}


async def test_a_success_between_says_that_it_is_not_about_us(office: Office) -> None:
    """Recipients refused now and then are their own trouble."""
    office.smtp.always("DOT", Answer(554, "5.7.1 spam"), match="mallory")

    for number in range(6):
        assert await office.deliver(office.login(f"mallory{number}@example.com")) == Done()
        if number % 2:
            assert await office.deliver(office.login()) == Done()


async def test_a_server_that_refuses_every_text_pauses_everybody_and_says_so(
    office: Office,
) -> None:
    """The third recipient in a row is about us: later mail waits, and goes out when it is over."""
    office.smtp.always("DOT", Answer(554, "5.7.1 your network is on a list"))
    requests = [office.login(f"user{number}@example.com") for number in range(3)]

    outcomes = [await office.deliver(request) for request in requests]
    problem = office.room.health.problem(int(office.clock.monotonic() * 1000))
    office.smtp.heal()
    again = await office.deliver(requests[2])

    assert [type(outcome) for outcome in outcomes] == [Done, Done, SenderRefused]
    assert problem == "the mail server refuses the text of our mail"
    assert again == Done()
    assert office.announced.names() == ["mail.failed", "mail.failed", "mail.sent"]


async def test_a_text_refused_twice_while_everybody_waits_is_given_up(office: Office) -> None:
    """One mail pauses the others at most once."""
    office.smtp.always("DOT", Answer(554, "5.7.1 spam"))
    requests = [office.login(f"user{number}@example.com") for number in range(3)]
    for request in requests:
        await office.deliver(request)

    assert await office.deliver(requests[2]) == Done()
    assert office.announced.events[-1][1].reason == "message_refused"


async def test_a_recipient_judged_only_at_the_dot_stops_nobody(office: Office) -> None:
    """5.1.x and 5.2.x are about the recipient wherever they are said."""
    office.smtp.always("DOT", Answer(550, "5.1.1 no such user"))

    assert await office.deliver(office.login()) == Done()
    assert office.announced.events[0][1].reason == "recipient_refused"


async def test_a_connection_lost_before_the_dot_is_no_mail(office: Office) -> None:
    """Tried again at once, one mail."""
    office.smtp.once("DATA", Answer(then="drop instead"))
    request = office.login()

    assert isinstance(await office.deliver(request), Postponed)
    assert await office.deliver(request) == Done()
    assert list(office.smtp.data_count.values()) == [1]


async def test_a_connection_lost_after_the_dot_is_sent_again_after_the_lease(
    office: Office,
) -> None:
    """RFC 1047: perhaps twice, never lost, and the second is the first, byte for byte."""
    office.smtp.once("DOT", Answer(then="drop instead"))
    request = office.login()

    assert await office.deliver(request) == Postponed(SHORT.lease, "outcome unknown")
    within_lease = await office.deliver(request)
    office.clock.advance(LEASE_MS)
    assert await office.deliver(request) == Done()

    assert isinstance(within_lease, Postponed)
    first, second = office.smtp.texts
    assert first == second
    assert office.announced.names() == ["mail.sent"]


async def test_a_connection_lost_after_the_250_is_a_sent_mail(office: Office) -> None:
    """Nothing is sent again."""
    office.smtp.once("DOT", Answer(then="drop after"))
    request = office.login()

    assert await office.deliver(request) == Done()
    assert await office.deliver(request) == Done()
    assert len(office.smtp.texts) == 1


async def test_an_unknown_outcome_that_expires_is_recorded_as_unknown(office: Office) -> None:
    """Never "not sent" for what may have been sent."""
    office.smtp.always("DOT", Answer(then="drop instead"))
    request = office.login()

    await office.deliver(request)
    office.clock.advance(600_000)
    await office.deliver(request)

    ((name, event),) = office.announced.events
    assert (name, event.reason) == ("mail.failed", "outcome_unknown")


async def test_two_mailers_with_the_same_message_send_one_mail(office: Office) -> None:
    """The second finds the first at work."""
    gate = asyncio.Event()
    office.smtp.once("RCPT", Answer(gate=gate))
    request = office.login()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(office.deliver(request))
        await eventually(lambda: any(line.startswith("RCPT") for line in office.smtp.lines))
        second = await office.deliver(request, office.open_room())
        gate.set()

    assert isinstance(second, Postponed)
    assert first.result() == Done()
    assert len(office.smtp.texts) == 1


async def test_a_store_that_goes_away_after_the_250_does_not_double_the_mail(
    office: Office,
) -> None:
    """The mail is out: it is announced even if the store never comes back."""
    office.smtp.once("DOT", Answer(gate=(gate := asyncio.Event())))
    request = office.login()
    async with asyncio.TaskGroup() as group:
        delivery = group.create_task(office.deliver(request))
        await eventually(lambda: office.smtp.texts)
        office.states.away = 100
        gate.set()

    assert delivery.result() == Done()
    assert office.announced.names() == ["mail.sent"]


async def test_a_mail_that_cannot_be_announced_is_done_all_the_same(office: Office) -> None:
    """What operators would have read must not keep the next person from signing in."""
    office.announced.away = 1

    assert await office.deliver(office.login()) == Done()
    assert await office.deliver(office.login()) == Done()

    assert office.announced.names() == ["mail.sent"]
    assert len(office.smtp.texts) == 2


async def test_a_store_that_is_away_before_sending_means_waiting(office: Office) -> None:
    """Without the state nothing is sent."""
    office.states.away = 1

    with pytest.raises(StoreUnavailableError):
        await office.deliver(office.login())

    assert office.smtp.connections == 0


@pytest.mark.parametrize(
    "email", ["Ada@example.com", "=?x?q?a?=@example.com", "a@b.com>x@c.com", "a@localhost"]
)
async def test_an_address_that_is_not_canonical_is_recorded_and_never_connected(
    office: Office, email: str
) -> None:
    """Whoever published it: the mailer judges for itself."""
    assert await office.deliver(office.login(email)) == Done()

    ((name, event),) = office.announced.events
    assert (name, event.reason) == ("mail.failed", "invalid_recipient")
    assert office.smtp.connections == 0


async def test_a_link_key_that_has_not_arrived_yet_is_waited_for(office: Office) -> None:
    """During a rotation auth may be ahead."""
    assert isinstance(await office.deliver(office.login(link_kid="20991231-ffffff")), Postponed)
    assert office.smtp.connections == 0


async def test_a_notice_is_given_up_before_the_stream_forgets_it(office: Office) -> None:
    """Its link lives a week; the verdict comes within the hour."""
    expires_at = office.clock.now_ms() + 7 * 86_400_000
    request = office.login(purpose="notice", notice="new_browser", expires_at=expires_at)
    office.clock.advance(3_000_000)

    assert await office.deliver(request) == Done()
    assert office.announced.events[0][1].reason == "expired"


async def test_one_slow_domain_does_not_take_every_place(office: Office) -> None:
    """It holds half; the next domain is served at once."""
    office.smtp.always("RCPT", Answer(gate=(gate := asyncio.Event())), match="@slow.example")
    async with asyncio.TaskGroup() as group:
        slow = [
            group.create_task(office.deliver(office.login(f"u{n}@slow.example"))) for n in range(20)
        ]
        await eventually(lambda: sum(task.done() for task in slow) == 12)
        assert await office.deliver(office.login("ada@fast.example")) == Done()
        gate.set()

    outcomes = [task.result() for task in slow]
    assert sum(isinstance(o, Postponed) for o in outcomes) == 12
    assert sum(o == Done() for o in outcomes) == 8
