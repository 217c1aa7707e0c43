"""A worker that is there and says of itself what a test wants: nothing else of it runs."""

from shared.bus import Bus
from shared.clock import SystemClock
from shared.contract import OP_DOCTOR_FACTS
from shared.messages import AskFacts, WorkerFacts


async def say_ready(
    *buses: Bus, problems: tuple[str, ...] = (), notes: tuple[str, ...] = ()
) -> None:
    """Answer on each of *buses* as the worker of that name, with *problems* and *notes* in its ``/ready``."""
    for bus in buses:
        facts = WorkerFacts(
            worker=bus.name,
            process=bus.client.new_inbox()[-20:],
            place="here, process 1",
            at=SystemClock().now_ms(),
            problems=problems,
            notes=notes,
        )

        async def tell(_asked: AskFacts, facts: WorkerFacts = facts) -> WorkerFacts:
            return facts

        await bus.answer(OP_DOCTOR_FACTS.of(bus.name), tell, everyone=True)
