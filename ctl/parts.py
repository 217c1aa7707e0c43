"""Whether workers are there, and what each of their processes says in its ``/ready``: asked, not concluded."""

import asyncio
from dataclasses import dataclass

from ctl.output import one_line
from ctl.session import Session
from shared.bus.gather import gather
from shared.contract import OP_DOCTOR_FACTS, Role
from shared.messages import AskFacts, WorkerFacts

ALL_SECONDS = 0.5  # each process says at once what it has to say
ONE_SECONDS = 2.0  # where not even one did: on a busy machine
AWAY = {
    Role.AUTH: "no auth answers: nobody can log in or renew, and Traefik is told of no routes",
    Role.MAILER: "no mailer answers: no link is sent",
    Role.REVOCATION: "no revocation worker answers: edges will close",
}


@dataclass(frozen=True)
class Part:
    """The processes of one kind of worker, as they speak of themselves."""

    role: Role
    told: tuple[WorkerFacts, ...]

    @property
    def problems(self) -> list[str]:
        """That none is there, or what keeps one from being useful; a line each."""
        if not self.told:
            return [AWAY[self.role]]
        return [self._line(facts, said) for facts in self.told for said in facts.problems]

    @property
    def warnings(self) -> list[str]:
        """What is to be looked at although it works."""
        return [self._line(facts, said) for facts in self.told for said in facts.notes]

    def _line(self, facts: WorkerFacts, said: str) -> str:
        return one_line(f"{self.role.value} ({facts.place}): {said}")


async def ask_parts(session: Session, *roles: Role) -> list[Part]:
    """What the processes of each of *roles* say.

    Raises:
        BusUnavailableError: not connected.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ask(session, role)) for role in roles]
    return [task.result() for task in tasks]


async def _ask(session: Session, role: Role) -> Part:
    told: list[WorkerFacts] = []
    question, call = OP_DOCTOR_FACTS.of(role.value), AskFacts(roll_call=True)

    def one_more(facts: WorkerFacts) -> bool:
        told.append(facts)
        return False

    def the_first(facts: WorkerFacts) -> bool:
        return not one_more(facts)

    await gather(session.bus, question, call, heard=one_more, within=ALL_SECONDS)
    if not told:
        await gather(session.bus, question, call, heard=the_first, within=ONE_SECONDS)
    return Part(role, tuple(told))
