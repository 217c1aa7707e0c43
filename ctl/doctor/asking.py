"""What is asked on the bus: each worker's facts, the catalogue in force, and the service tokens."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctl.doctor.facts import Told, judge_edges
from ctl.doctor.findings import Examination, Finding
from ctl.documents import DocumentDesk
from ctl.heartbeats import live_edges
from ctl.session import Session
from shared.bus import BusUnavailableError, NoAnswerError
from shared.bus.gather import gather
from shared.catalogue import Catalogue, CatalogueError, load_catalogue, parse_catalogue
from shared.contract import OP_DOCTOR_EDGE, OP_DOCTOR_FACTS, OP_TOKENS_LIST, Question, Role
from shared.messages import AskFacts, ListServiceTokens, ServiceTokenRow, WorkerFacts
from shared.secrets import SecretsError

WORKERS = (Role.AUTH, Role.MAILER, Role.REVOCATION)
ROLL_CALL_SECONDS = 1.0  # every process says at once that it is there
THERE_SECONDS = 20.0  # for who is there: a busy machine, a slow disk below Redis
AT_LEAST_SECONDS = 8.0  # the mailer speaks with the mail server before it answers


async def ask_workers(session: Session, examination: Examination) -> list[Told]:
    """Every process of each kind of worker, and every live edge."""
    roll = await live_edges(session.bus, session.clock)
    edges = roll.edges
    examination.add(judge_edges(roll))
    asked = {role.value: OP_DOCTOR_FACTS.of(role.value) for role in WORKERS}
    asked |= {e.beat.edge_id: OP_DOCTOR_EDGE.of(e.beat.edge_id) for e in edges}
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(_ask_all(session, asked[name])) for name in asked}
    answers = {name: task.result() for name, task in tasks.items()}
    for name, answer in answers.items():
        examination.looked_at["workers"] += len(answer.told)
        examination.add(silent(name, answer))
    if not edges:
        examination.add([Finding("worker.silent", "edge", "no answer")])
    return [one for answer in answers.values() for one in answer.told]


@dataclass
class Answers:
    """What the processes of one worker said: *there*, who called out; *told*, who told what it sees."""

    there: dict[str, str] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    @property
    def missing(self) -> set[str]:
        """Who was there, and tells nothing."""
        return self.there.keys() - {one.facts.process for one in self.told}

    def call(self, facts: WorkerFacts) -> bool:
        """One more is there; whether it was the last nobody knows."""
        self.there[facts.process] = facts.place
        return False


async def _ask_all(session: Session, question: Question[AskFacts, WorkerFacts]) -> Answers:
    """First who is there, which each says at once, so that none is waited for in vain and none is missed."""
    answers = Answers()
    call = AskFacts(roll_call=True)
    await gather(session.bus, question, call, heard=answers.call, within=ROLL_CALL_SECONDS)
    asked_at = session.clock.now_ms()

    def heard(facts: WorkerFacts) -> bool:
        answers.told.append(Told(facts, asked_at, session.clock.now_ms()))
        return not answers.missing

    patience = max(session.timeout, THERE_SECONDS if answers.there else AT_LEAST_SECONDS)
    await gather(session.bus, question, AskFacts(), heard=heard, within=patience)
    return answers


def silent(name: str, answers: Answers) -> Iterator[Finding]:
    """Worker *name* has no process that tells what it sees, or one that said it was there does not."""
    if not answers.told and not answers.missing:
        yield Finding("worker.silent", name, "no answer")
        return
    for process in answers.missing:
        where = f"{name} ({answers.there[process]})"
        yield Finding("worker.silent", where, "is there, and does not tell what it sees")


async def catalogue_in_force(session: Session, file: Path) -> Catalogue | str:
    """The one edges go by: the document, else *file*; or why neither can be read."""
    try:
        desk = DocumentDesk(session, "catalogue")
        await desk.open()
        if desk.shelf.in_force is not None:
            return parse_catalogue(str(desk.shelf.in_force.body))
    except (CatalogueError, BusUnavailableError, SecretsError) as error:
        return str(error).splitlines()[0]
    return await asyncio.to_thread(catalogue_of, file)


def catalogue_of(file: Path) -> Catalogue | str:
    """What *file* says, or why it cannot be read."""
    try:
        return load_catalogue(file)
    except CatalogueError as error:
        return str(error).splitlines()[0]


async def service_tokens(session: Session) -> list[ServiceTokenRow] | None:
    """All of them; None where auth does not say."""
    try:
        answer = await session.bus.ask(OP_TOKENS_LIST, ListServiceTokens(), timeout=session.timeout)
    except NoAnswerError:
        return None
    return None if answer.problem else list(answer.tokens)
