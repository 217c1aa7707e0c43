"""The doctor asks every process of a worker: none of several hides behind another's answer."""

import asyncio

from ctl.doctor.asking import ask_workers
from ctl.doctor.findings import Examination
from shared.bus import Bus
from shared.clock import SystemClock
from shared.contract import OP_DOCTOR_FACTS
from shared.messages import AskFacts, SmtpFacts, WorkerFacts
from tests.conftest import BusFactory
from tests.support.operators import session_of
from tests.support.servers import NatsServer

GOOD = SmtpFacts(tls="implicit")


async def mailer(
    bus: Bus, process: str, smtp: SmtpFacts, after: asyncio.Event, then: asyncio.Event
) -> None:
    """One mailer that tells what it sees *after* an event, and sets *then* once it has."""

    async def tell(asked: AskFacts) -> WorkerFacts:
        now = SystemClock().now_ms()
        who = {"worker": "mailer", "process": process, "place": f"{process}, process 7", "at": now}
        if asked.roll_call:
            return WorkerFacts.model_validate(who)
        await after.wait()
        then.set()
        return WorkerFacts.model_validate({**who, "smtp": smtp})

    await bus.answer(OP_DOCTOR_FACTS.of("mailer"), tell, everyone=True)


async def test_the_slowest_of_three_mailers_is_heard_and_named(
    nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """The bad one tells only after the two good ones: a doctor that took the first word would be content."""
    began, first, second, last = (asyncio.Event() for _ in range(4))
    began.set()
    away = SmtpFacts(problem="refuses connections", tls="implicit")
    await mailer(await bus_of("mailer"), "one", GOOD, began, first)
    await mailer(await bus_of("mailer"), "two", GOOD, first, second)
    await mailer(await bus_of("mailer"), "three", away, second, last)
    examination = Examination()

    session = session_of(await bus_of("operator"), nats_server)
    told = await ask_workers(session, examination)

    assert {one.facts.process for one in told} == {"one", "two", "three"}
    assert {one.facts.smtp for one in told} == {GOOD, away}
    assert {(f.check, f.where) for f in examination.findings} == {
        ("worker.silent", name) for name in ("auth", "revocation", "edge")
    }
