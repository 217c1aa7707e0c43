"""At start: where a catalogue was put in force by document, the file of this start becomes the next one.

Else edges would go on by the document and Traefik by the file.
"""

from pathlib import Path

from latchwire.documents import CATALOGUE, Document, read_document
from shared.bus import connect_bus
from shared.bus.documents import DocumentStore
from shared.clock import SystemClock
from shared.contract import Role
from shared.documents import OperatorKey
from shared.ids import SystemIds
from shared.secrets import load_operator_keys, load_seed


async def publish_changes(nats_url: str, secrets: Path, catalogue: Path) -> None:
    """Publish the text of *catalogue* (checked already) if a document says something else.

    Raises:
        BusUnavailableError: NATS did not take it.
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
        if newest is None or newest.body == text:
            return
        key = OperatorKey.load(secrets)
        jws = key.sign(CATALOGUE, newest.generation + 1, clock.now_ms(), text)
        await store.put(CATALOGUE, jws, after_seq=stored[-1].seq)


def _read(path: Path) -> str:
    return path.read_text("utf-8")
