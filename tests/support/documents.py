"""Signed documents for tests: an operator, and what others would forge."""

import json
from typing import Any

from latchwire.documents import Document, NotBelieved, read_document
from latchwire.keys import KeyRing
from shared import contract
from shared.bus import Bus
from shared.documents import OperatorKey
from shared.ids import b64url
from tests.support.tokens import ABSENT, NOW_MS, SigningKey, jwks, signing_key

OPERATOR = signing_key("EdDSA", "operator")
TYPE = "latchwire-document+jws"
SUBJECTS = {
    "keys": contract.DOCUMENT_KEYS,
    "catalogue": contract.DOCUMENT_CATALOGUE,
    "edges": contract.DOCUMENT_EDGES,
}


def operators() -> KeyRing:
    """The ring readers check documents with."""
    return KeyRing.from_jwks(jwks(OPERATOR))


def operator_key(key: SigningKey = OPERATOR) -> OperatorKey:
    """The product's own signer."""
    return OperatorKey(key.kid, key.private)  # type: ignore[arg-type]


def signed(
    body: Any, generation: Any = 1, *, name: Any = "keys", key: SigningKey = OPERATOR, **header: Any
) -> bytes:
    """A document, right unless told otherwise; header members are replaced or (ABSENT) removed."""
    members = {"alg": "EdDSA", "typ": TYPE, "kid": key.kid, **header}
    payload = {"name": name, "generation": generation, "at": NOW_MS, "body": body}
    return signed_bytes(_json(_without_absent(members)), _json(_without_absent(payload)), key)


def signed_bytes(header: bytes, payload: bytes, key: SigningKey = OPERATOR) -> bytes:
    """A document of exactly these bytes, correctly signed."""
    start = f"{b64url(header)}.{b64url(payload)}".encode()
    return start + b"." + b64url(key.signature(start)).encode()


def read(jws: bytes, name: str = "keys") -> str:
    """``believed``, or why not."""
    outcome = read_document(jws, operators(), name=name)
    assert isinstance(outcome, Document | NotBelieved)
    return "believed" if isinstance(outcome, Document) else outcome.detail


async def write(bus: Bus, name: str, jws: bytes) -> int:
    """Store *jws* as the operator's credential can; its sequence in DOCUMENT."""
    return (await bus.js.publish(SUBJECTS[name], jws)).seq


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _without_absent(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ABSENT}
