"""At start: where a catalogue was put in force by document, the file of this start becomes the next one.

Else edges would go on by the document, and people would wonder at what their file says.
"""

from pathlib import Path

from latchwire.documents import CATALOGUE, Document, read_document
from shared.bus import BusUnavailableError, connect_bus
from shared.bus.documents import DocumentStore
from shared.catalogue import parse_catalogue, read_text
from shared.clock import SystemClock
from shared.contract import Role
from shared.documents import OperatorKey
from shared.ids import SystemIds
from shared.secrets import load_operator_keys, load_seed

TOO_LATE = "somebody else published one at this moment; save it once more"


async def publish_changes(
    nats_url: str, secrets: Path, catalogue: Path, *, first: str | None = None
) -> int | None:
    """Publish the text of *catalogue* if a document says something else.

    Its generation; None when there was nothing to publish. *first* is what everybody went by from files: where
    no document says anything yet it becomes the first one, so that a rollback finds it. Without it nothing is
    published before another command did.

    Raises:
        BusUnavailableError: NATS did not take it.
        CatalogueError: it is not usable.
        SecretsError: the operator's key is not here.
    """
    name = Role.OPERATOR.value
    clock, ids, seed = SystemClock(), SystemIds(), load_seed(secrets, name)
    operators, text = load_operator_keys(secrets), _read(catalogue)
    async with connect_bus(
        url=nats_url, role=Role.OPERATOR, name=name, seed=seed, clock=clock, ids=ids
    ) as bus:
        store = DocumentStore(bus.client, bus.js)
        stored = await store.kept(CATALOGUE)
        read = (read_document(s.jws, operators, name=CATALOGUE) for s in stored)
        genuine = [document for document in read if isinstance(document, Document)]
        newest = max(genuine, key=lambda document: document.generation, default=None)
        if newest is None and first is None:
            return None
        if newest is not None and newest.body == text:
            return None
        generation = newest.generation if newest else 0
        after = stored[-1].seq if stored else 0
        bodies = [first, text] if newest is None and first not in (None, text) else [text]
        for body in bodies:
            generation += 1
            jws = OperatorKey.load(secrets).sign(CATALOGUE, generation, clock.now_ms(), body)
            ack = await store.put(CATALOGUE, jws, after_seq=after)
            if ack is None:
                raise BusUnavailableError(TOO_LATE)
            after = ack.seq
    return generation


def _read(path: Path) -> str:
    """The text, checked as it was read: whoever edits the file may have saved it again since anybody looked."""
    text = read_text(path)
    parse_catalogue(text, path.name)
    return text
