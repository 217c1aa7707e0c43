"""At start: the keys of the edges that `up` made go into the document ``edges``, beside those that count."""

from pathlib import Path

from ctl.edge_certificates import EdgeFiles, with_keys
from latchwire.documents import EDGES, Document, read_document
from shared.bus import connect_bus
from shared.bus.documents import DocumentStore
from shared.clock import SystemClock
from shared.contract import Role
from shared.documents import OperatorKey
from shared.ids import SystemIds
from shared.secrets import load_operator_keys, load_seed


async def certify(nats_url: str, secrets: Path) -> None:
    """Publish what the file has and the document lacks, and keep the file in step.

    Raises:
        BusUnavailableError: NATS did not take it.
        SecretsError: the operator's key is not here, or the file cannot be used.
        EdgeKeyError: there would be too many keys.
    """
    name, clock, ids = Role.OPERATOR.value, SystemClock(), SystemIds()
    operators, files = load_operator_keys(secrets), EdgeFiles(secrets)
    async with connect_bus(
        url=nats_url,
        role=Role.OPERATOR,
        name=name,
        seed=load_seed(secrets, name),
        clock=clock,
        ids=ids,
    ) as bus:
        store = DocumentStore(bus.client, bus.js)
        stored = await store.kept(EDGES)
        read = (read_document(s.jws, operators, name=EDGES) for s in stored)
        genuine = [document for document in read if isinstance(document, Document)]
        newest = max(genuine, key=lambda document: document.generation, default=None)
        known = newest.body["keys"] if newest else []
        keys = with_keys(known, files.published())
        if keys != known:
            generation = newest.generation + 1 if newest else 1
            jws = OperatorKey.load(secrets).sign(EDGES, generation, clock.now_ms(), {"keys": keys})
            await store.put(EDGES, jws, after_seq=stored[-1].seq if stored else 0)
    files.publish(keys)
