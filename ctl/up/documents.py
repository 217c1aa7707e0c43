"""What services.yaml says becomes the next catalogue, at start and at each change.

At start only where one was put in force by document: else edges would go on by that, and people would wonder at
what their file says.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ctl.documents import DocumentDesk
from ctl.installation import Installation
from ctl.session import Session
from latchwire.documents import CATALOGUE
from shared.bus import connect_bus
from shared.clock import SystemClock
from shared.contract import Role
from shared.ids import SystemIds
from shared.secrets import load_seed

EDGES_WITHIN = 5.0  # seconds; an edge tells at once


@asynccontextmanager
async def open_desk(nats_url: str, secrets: Path) -> AsyncIterator[DocumentDesk]:
    """The catalogue's desk, on a connection of the operator's that ends with the block.

    Raises:
        BusUnavailableError: NATS did not answer.
        SecretsError: the operator's key is not here.
    """
    name = Role.OPERATOR.value
    clock, ids, seed = SystemClock(), SystemIds(), load_seed(secrets, name)
    where = Installation("", nats_url, secrets, "up")
    async with connect_bus(
        url=nats_url, role=Role.OPERATOR, name=name, seed=seed, clock=clock, ids=ids
    ) as bus:
        desk = DocumentDesk(Session(bus, where, clock, ids, EDGES_WITHIN, json=False), CATALOGUE)
        await desk.open()
        yield desk


async def publish_at_start(nats_url: str, secrets: Path, text: str) -> None:
    """`publish_changes` where a document is in force already; raises as that and `open_desk` do."""
    async with open_desk(nats_url, secrets) as desk:
        await publish_changes(desk, text)


async def publish_changes(desk: DocumentDesk, text: str, *, first: str | None = None) -> int | None:
    """Publish *text*, a usable catalogue, if the document in force says something else.

    Its generation; None when there was nothing to publish. *first* is what everybody went by from files: where
    no document says anything yet it becomes the first one, so that a rollback finds it. Without it nothing is
    published before another command did.

    Raises:
        BusUnavailableError: NATS did not take it.
        ConflictError: somebody else published one at this moment.
        DocumentTooLargeError: the stream would not take it.
        SecretsError: the operator's key is not here.
    """
    newest = desk.shelf.in_force
    if newest is None and first is None:
        return None
    if newest is not None and newest.body == text:
        return None
    # Auth is not asked too, as `catalogue apply` does: here it has no later catalogue than the edge.
    generation = await desk.next_generation()
    if newest is None and first is not None and first != text:
        await desk.publish(first, generation, at=desk.session.clock.now_ms())
        generation += 1
    await desk.publish(text, generation, at=desk.session.clock.now_ms())
    return generation
