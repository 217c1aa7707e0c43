"""The contract's test vectors for other languages: made by the SDK, kept in docs/contract-vectors.json.

Write them again after a change that is meant: ``PYTHONPATH=.:sdk/src python -m tests.support.vectors``.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwire import Blocklist, Claims, KeyRing, Record, record_key
from latchwire.claims import build_claims
from latchwire.documents import Document, read_document
from latchwire.records import SCOPE_LETTERS
from shared.ids import b64url
from tests.support.assertion_vectors import make_assertion_vectors
from tests.support.servers import ROOT
from tests.support.tokens import SigningKey, make_claims

FILE = ROOT / "docs" / "contract-vectors.json"
KEY = bytes(range(32))  # nobody's: a key everybody can read
KID = "20270115-key"
NOW_MS = 1_800_000_000_123
IDS = ("01J00000000000000000000S1D", "ada@example.com", "zoë@example.com", "", "a|b", "x" * 255)
RECORDS = (
    Record(NOW_MS),
    Record(NOW_MS + 604_807_000, sessions_before=NOW_MS),
    Record(NOW_MS + 604_807_000, 0, NOW_MS - 1),
    Record(2**53 - 1, 1, 2),
)
UNREADABLE = ("", "01", "02" + "00" * 24, "00" * 25, "01" + "00" * 25)
DOCUMENT_TYPE = "latchwire-document+jws"


def make_vectors() -> dict[str, Any]:
    """Everything, in the order of docs/contract.md."""
    return {
        "blocklist_key": b64url(KEY),
        "record_keys": [
            {"scope": scope, "id": name, "key": record_key(KEY, scope, name)}
            for scope in SCOPE_LETTERS
            for name in IDS
        ],
        "records": [{**_times(record), "packed": record.pack().hex()} for record in RECORDS],
        "unreadable_records": list(UNREADABLE),
        "merges": [
            {"a": a.pack().hex(), "b": b.pack().hex(), "merged": a.merged(b).pack().hex()}
            for a in RECORDS
            for b in RECORDS
        ],
        "decisions": list(_decisions()),
        "snapshot": _snapshot(),
        "documents": _documents(),
        "assertions": make_assertion_vectors(KEY, NOW_MS),
    }


def _times(record: Record) -> dict[str, int]:
    return {
        "until": record.until_ms,
        "sessions_before": record.sessions_before,
        "tokens_before": record.tokens_before,
    }


def _decisions() -> Iterator[dict[str, Any]]:
    """A token, what the list holds about it, and the scope that refuses it (null: nothing does)."""
    token = {"sub": "u-1", "sst": NOW_MS - 60_000, "iat_ms": NOW_MS - 1_000}
    claims = build_claims(make_claims(now_ms=NOW_MS, **token), KID)
    until = NOW_MS + 1
    yield _decision(claims, [])
    for scope, name in (
        ("token", claims.jti),
        ("session", claims.sid),
        ("service", claims.client_id),
        ("key", KID),
    ):
        yield _decision(claims, [(scope, name, Record(until))])
        yield _decision(claims, [(scope, name, Record(NOW_MS))])
        yield _decision(claims, [(scope, name, Record(NOW_MS - 1))])
        yield _decision(claims, [(scope, name + "x", Record(until))])
    for name in (claims.sub, claims.email):
        for record in (
            Record(until, sessions_before=claims.sst),
            Record(until, sessions_before=claims.sst - 1),
            Record(until, tokens_before=claims.iat_ms),
            Record(until, tokens_before=claims.iat_ms - 1),
        ):
            yield _decision(claims, [("subject", name, record)])


def _decision(claims: Claims, held: list[tuple[str, str, Record]]) -> dict[str, Any]:
    blocklist = Blocklist(KEY)
    found = {record_key(KEY, scope, name): record for scope, name, record in held}
    for key, record in found.items():
        blocklist.apply(key, record)
    hit = blocklist.find(blocklist.fingerprint(claims), NOW_MS)
    names = ("sub", "email", "sid", "jti", "kid", "client_id", "sst", "iat_ms")
    return {
        "claims": {name: getattr(claims, name) for name in names},
        "records": {key: record.pack().hex() for key, record in found.items()},
        "now_ms": NOW_MS,
        "refused_by": None if hit is None else hit.scope,
    }


def _snapshot() -> dict[str, Any]:
    """Packed by hand as docs/contract.md says, not by the SDK, which must read it all the same."""
    held = {
        record_key(KEY, scope, name): record
        for scope, name, record in (
            ("session", "s-1", Record(NOW_MS + 1)),
            ("session", "s-2", Record(NOW_MS + 2)),
            ("key", "k-1", Record(NOW_MS + 3)),
            ("subject", "ada@example.com", Record(NOW_MS + 4, NOW_MS, NOW_MS - 1)),
        )
    }
    parts = [_part(letter, held) for letter in ("s", "k", "u")]
    head = {
        "version": 1,
        "id": "01J0000000000000000000SNAP",
        "epoch": "epoch-1",
        "watermark": 17,
        "parts": len(parts),
        "records": len(held),
        "bytes": sum(map(len, parts)),
        "sha256": hashlib.sha256(b"".join(parts)).hexdigest(),
    }
    return {
        "head": head,
        "parts": [part.hex() for part in parts],
        "records": {key: _times(record) for key, record in held.items()},
    }


def _part(letter: str, held: dict[str, Record]) -> bytes:
    mine = {key: record for key, record in held.items() if key[0] == letter}
    front = b"LWBL" + bytes([1]) + letter.encode() + struct.pack(">QI", len(mine), len(mine))
    return front + b"".join(_entry(key, record) for key, record in mine.items())


def _entry(key: str, record: Record) -> bytes:
    digest = base64.b32decode(key[1:].upper() + "======")
    times = record.pack()[1:]
    return digest + (times if key[0] == "u" else times[:8])


def _documents() -> dict[str, Any]:
    operator = SigningKey("20270115-operator", "EdDSA", Ed25519PrivateKey.from_private_bytes(KEY))
    stranger = SigningKey(operator.kid, "EdDSA", Ed25519PrivateKey.from_private_bytes(KEY[::-1]))
    jwks = {"keys": [operator.public_jwk()]}
    good = _sign(
        operator, {"name": "catalogue", "generation": 7, "at": NOW_MS, "body": "services:\n"}
    )
    cases = {
        "good": good,
        "another key": _sign(stranger, {"name": "catalogue", "generation": 7, "at": 1, "body": ""}),
        "another name": _sign(operator, {"name": "keys", "generation": 7, "at": 1, "body": ""}),
        "no generation": _sign(operator, {"name": "catalogue", "at": 1, "body": ""}),
        "another type": _sign(
            operator, {"name": "catalogue", "generation": 7, "at": 1, "body": ""}, typ="JWT"
        ),
        "changed": good[:-8] + "A" * 8,
        "padded": good + "=",
    }
    ring = KeyRing.from_jwks(jwks)
    outcomes = {
        case: read_document(jws.encode(), ring, name="catalogue") for case, jws in cases.items()
    }
    return {
        "operator_jwks": jwks,
        "name": "catalogue",
        "cases": [
            {
                "case": case,
                "jws": cases[case],
                "generation": outcome.generation if isinstance(outcome, Document) else None,
            }
            for case, outcome in outcomes.items()
        ],
    }


def _sign(key: SigningKey, payload: dict[str, Any], typ: str = DOCUMENT_TYPE) -> str:
    header = {"alg": "EdDSA", "typ": typ, "kid": key.kid}
    signed = ".".join(b64url(json.dumps(part).encode()) for part in (header, payload))
    return f"{signed}.{b64url(key.signature(signed.encode('ascii')))}"


def write(file: Path = FILE) -> None:
    """Write the file."""
    file.write_text(json.dumps(make_vectors(), indent=1, ensure_ascii=True) + "\n", "ascii")


if __name__ == "__main__":
    write()
