"""The table of forged documents: none is believed, and each for the reason that is its own."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from latchwire.documents import MAX_DOCUMENT_BYTES, Document, read_document
from shared.documents import DocumentTooLargeError
from shared.ids import b64url
from tests.support.documents import (
    OPERATOR,
    TYPE,
    operator_key,
    operators,
    read,
    signed,
    signed_bytes,
)
from tests.support.tokens import ABSENT, jwks, make_claims, sign, signing_key

BODY = jwks()
STRANGER = signing_key("EdDSA", "stranger")
HEADER = "header is not exactly alg, typ and kid"
PAYLOAD = "payload is not name, generation, at and body"
GENERATION = "generation is not a positive whole number"
BASE64 = "not canonical base64url"


def resealed(part: int, change: Callable[[bytes], bytes]) -> bytes:
    """A genuine document with one segment changed afterwards."""
    segments = signed(BODY).split(b".")
    segments[part] = change(segments[part])
    return b".".join(segments)


def trailing_bits(segment: bytes) -> bytes:
    """Another spelling of the same bytes: the unused bits of the last character set."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(segment[-1]) | 1]
    changed = segment[:-1] + bytes([last])
    assert changed != segment
    assert base64.urlsafe_b64decode(changed + b"==") == base64.urlsafe_b64decode(segment + b"==")
    return changed


def unsigned(alg: str) -> bytes:
    """``alg: none`` in any case, with nothing or something for a signature."""
    header = json.dumps({"alg": alg, "typ": TYPE, "kid": OPERATOR.kid}).encode()
    return signed_bytes(header, json.dumps(payload()).encode())


def payload(**over: Any) -> dict[str, Any]:
    return {"name": "keys", "generation": 1, "at": 1, "body": BODY, **over}


def with_payload(text: str) -> bytes:
    return signed_bytes(
        json.dumps({"alg": "EdDSA", "typ": TYPE, "kid": OPERATOR.kid}).encode(), text.encode()
    )


ATTACKS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "alg none": ("alg is not EdDSA", lambda: unsigned("none")),
    "alg nOnE": ("alg is not EdDSA", lambda: unsigned("nOnE")),
    "alg HS256": ("alg is not EdDSA", lambda: unsigned("HS256")),
    "alg Ed25519": ("alg is not EdDSA", lambda: unsigned("Ed25519")),
    "alg missing": (HEADER, lambda: signed(BODY, alg=ABSENT)),
    "signature empty": ("not three segments", lambda: signed(BODY).rpartition(b".")[0] + b"."),
    "typ of a token": ("typ is another", lambda: signed(BODY, typ="at+jwt")),
    "typ in capitals": ("typ is another", lambda: signed(BODY, typ=TYPE.upper())),
    "typ with application/": ("typ is another", lambda: signed(BODY, typ="application/" + TYPE)),
    "typ missing": (HEADER, lambda: signed(BODY, typ=ABSENT)),
    "typ a list": ("typ is another", lambda: signed(BODY, typ=[TYPE])),
    "kid unknown": ("kid names no operator key", lambda: signed(BODY, key=STRANGER)),
    "kid of the operator, key of a stranger": (
        "signature",
        lambda: signed(BODY, key=STRANGER, kid=OPERATOR.kid),
    ),
    "key of auth": ("alg is not EdDSA", lambda: sign(make_claims())),
    "key of auth, typ and alg of a document": (
        "kid names no operator key",
        lambda: signed(BODY, key=signing_key("EdDSA")),
    ),
    "kid a number": ("kid names no operator key", lambda: signed(BODY, kid=1)),
    "kid missing": (HEADER, lambda: signed(BODY, kid=ABSENT)),
    "jwk in the header": (HEADER, lambda: signed(BODY, key=STRANGER, jwk=STRANGER.public_jwk())),
    "crit in the header": (HEADER, lambda: signed(BODY, crit=["b64"], b64=False)),
    "jku in the header": (HEADER, lambda: signed(BODY, jku="https://evil.example/jwks.json")),
    "header member twice": (
        HEADER,
        lambda: signed_bytes(
            f'{{"alg":"none","alg":"EdDSA","typ":"{TYPE}","kid":"{OPERATOR.kid}"}}'.encode(),
            json.dumps(payload()).encode(),
        ),
    ),
    "header not an object": (HEADER, lambda: signed_bytes(b"[]", b"{}")),
    "header giant": (HEADER, lambda: signed(BODY, kid="k" * 600)),
    "header nested": (HEADER, lambda: signed_bytes(b'{"a":' + b"[" * 400, b"{}")),
    "another name": ("name is another", lambda: signed("services: {}", name="catalogue")),
    "name a list": ("name is another", lambda: signed(BODY, name=["keys"])),
    "name missing": (PAYLOAD, lambda: signed(BODY, name=ABSENT)),
    "generation a text": (GENERATION, lambda: signed(BODY, "7")),
    "generation true": (GENERATION, lambda: signed(BODY, True)),
    "generation a fraction": (GENERATION, lambda: signed(BODY, 1.0)),
    "generation zero": (GENERATION, lambda: signed(BODY, 0)),
    "generation negative": (GENERATION, lambda: signed(BODY, -1)),
    "generation beyond 2**53": (GENERATION, lambda: signed(BODY, 2**53)),
    "generation missing": (PAYLOAD, lambda: signed(BODY, ABSENT)),
    "generation twice": (
        PAYLOAD,
        lambda: with_payload('{"name":"keys","generation":1,"generation":9,"at":1,"body":{}}'),
    ),
    "body missing": (PAYLOAD, lambda: signed(ABSENT)),
    "body member twice": (
        PAYLOAD,
        lambda: with_payload('{"name":"keys","generation":1,"at":1,"body":{"keys":1,"keys":[]}}'),
    ),
    "at a text": ("at is not a time", lambda: with_payload(json.dumps(payload(at="now")))),
    "NaN": (PAYLOAD, lambda: with_payload('{"name":"keys","generation":NaN,"at":1,"body":{}}')),
    "not JSON": (PAYLOAD, lambda: with_payload("keys")),
    "a byte order mark": (PAYLOAD, lambda: with_payload("\ufeff" + json.dumps(payload()))),
    "nested a hundred thousand deep": (
        PAYLOAD,
        lambda: with_payload('{"name":"keys","generation":1,"at":1,"body":' + "[" * 100_000),
    ),
    "payload changed": (
        "signature",
        lambda: resealed(1, lambda _: b64url(json.dumps(payload(generation=9)).encode()).encode()),
    ),
    "signature cut": ("signature", lambda: resealed(2, lambda s: s[:-2])),
    "signature of nothing": ("signature", lambda: resealed(2, lambda _: b64url(bytes(64)).encode())),
    "signature with trailing bits": (BASE64, lambda: resealed(2, trailing_bits)),
    "signature padded": (BASE64, lambda: resealed(2, lambda s: s + b"==")),
    "header with a line break": (BASE64, lambda: resealed(0, lambda s: s[:8] + b"\n" + s[8:])),
    "standard base64": (BASE64, lambda: resealed(2, lambda s: b"+/" + s[2:])),
    "four segments": ("not three segments", lambda: signed(BODY) + b".x"),
    "JSON serialisation": ("not three segments", lambda: json.dumps({"payload": "x"}).encode()),
    "empty": ("not three segments", lambda: b""),
    "giant": ("too long", lambda: b"a" * (MAX_DOCUMENT_BYTES + 1)),
}  # fmt: skip


@pytest.mark.parametrize("what", ATTACKS)
def test_a_forged_document_is_not_believed(what: str) -> None:
    """Raises nothing, and says why in fixed words."""
    expected, make = ATTACKS[what]

    assert read(make()) == expected


def test_a_genuine_document_is_believed() -> None:
    """With what it says; so that no row above passes for want of a good one."""
    document = read_document(signed(BODY, 7), operators(), name="keys")

    assert isinstance(document, Document)
    assert (document.name, document.generation, document.body) == ("keys", 7, BODY)


def test_members_that_are_not_known_yet_do_no_harm() -> None:
    """The payload only grows; the header never."""
    assert read(with_payload(json.dumps(payload(later=1)))) == "believed"


def test_what_the_operator_signs_is_what_readers_believe() -> None:
    """Signer and reader agree, umlauts included."""
    text = "services: {}  # für alle"
    jws = operator_key().sign("catalogue", 3, 1, text)

    document = read_document(jws, operators(), name="catalogue")

    assert isinstance(document, Document)
    assert (document.generation, document.at, document.body) == (3, 1, text)


def test_what_no_stream_would_take_is_not_signed() -> None:
    """Instead of an error that names no cause."""
    with pytest.raises(DocumentTooLargeError, match="catalogue"):
        operator_key().sign("catalogue", 1, 1, "x" * MAX_DOCUMENT_BYTES)


def test_no_bit_of_a_document_can_be_changed() -> None:
    """Each one of them, one at a time."""
    jws = operator_key().sign("keys", 7, 1, {"keys": "short"})
    assert read(jws) == "believed"
    for place in range(len(jws)):
        for bit in range(8):
            changed = bytearray(jws)
            changed[place] ^= 1 << bit
            assert read(bytes(changed)) != "believed", (place, bit)
