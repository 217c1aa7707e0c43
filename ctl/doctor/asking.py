"""What is asked on the bus: each worker's facts, the catalogue in force, and the service tokens."""

import asyncio
from pathlib import Path

from ctl.doctor.facts import Told
from ctl.doctor.findings import Examination, Finding
from ctl.documents import DocumentDesk
from ctl.heartbeats import live_edges
from ctl.session import Session
from shared.bus import BusUnavailableError, NoAnswerError
from shared.catalogue import Catalogue, CatalogueError, load_catalogue, parse_catalogue
from shared.contract import OP_DOCTOR_EDGE, OP_DOCTOR_FACTS, OP_TOKENS_LIST, Question, Role
from shared.messages import AskFacts, ListServiceTokens, ServiceTokenRow, WorkerFacts
from shared.secrets import SecretsError

WORKERS = (Role.AUTH, Role.MAILER, Role.REVOCATION)
AT_LEAST_SECONDS = 8.0  # the mailer speaks with the mail server before it answers


async def ask_workers(session: Session, examination: Examination) -> list[Told]:
    """One of each kind of worker, and every live edge."""
    edges = (await live_edges(session.bus, session.clock)).edges
    asked = {role.value: OP_DOCTOR_FACTS.of(role.value) for role in WORKERS}
    asked |= {e.beat.edge_id: OP_DOCTOR_EDGE.of(e.beat.edge_id) for e in edges}
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(_ask(session, asked[name])) for name in asked}
    told = {name: task.result() for name, task in tasks.items()}
    examination.looked_at["workers"] = sum(one is not None for one in told.values())
    silent = [name for name, one in told.items() if one is None]
    silent += [] if edges else ["edge"]
    examination.add(Finding("worker.silent", name, "no answer") for name in silent)
    return [one for one in told.values() if one is not None]


async def _ask(session: Session, question: Question[AskFacts, WorkerFacts]) -> Told | None:
    asked_at = session.clock.now_ms()
    patience = max(session.timeout, AT_LEAST_SECONDS)
    try:
        facts = await session.bus.ask(question, AskFacts(), timeout=patience)
    except NoAnswerError:
        return None
    return Told(facts, asked_at, session.clock.now_ms())


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
