"""Mutated tokens, odd claims and arbitrary bytes; PyJWT is the oracle."""

import json
from contextlib import suppress
from dataclasses import fields
from functools import cache
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latchwire._strict import decode_base64url, parse_json_object
from latchwire.claims import Claims
from latchwire.keys import InvalidJWKSError, KeyRing
from latchwire.tokens import Refused, decode_access_token, verify_access_token
from shared.ids import b64url
from tests.support.properties import examples
from tests.support.tokens import (
    AUDIENCE,
    ISSUER,
    NOW_MS,
    POLICY,
    SigningKey,
    jwks,
    make_claims,
    ring,
    sign,
    signing_key,
)


@cache
def originals() -> tuple[bytes, ...]:
    keys = signing_key("RS256"), signing_key("ES256"), signing_key("EdDSA")
    return tuple(sign(make_claims(jti=f"jti-{n}"), keys[n % 3]) for n in range(6))


@st.composite
def mutated_tokens(draw: st.DrawFn) -> bytes:
    token = bytearray(draw(st.sampled_from(originals())))
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, max(0, len(token) - 1)))
        match draw(st.sampled_from(("flip", "letter", "insert", "delete", "splice"))):
            case "letter":  # of base64url: what is read, and looks at what it says
                token[position : position + 1] = draw(st.sampled_from(LETTERS))
            case "flip":
                token[position : position + 1] = bytes([draw(st.integers(0, 255))])
            case "insert":
                token[position:position] = draw(st.binary(min_size=1, max_size=8))
            case "delete":
                del token[position : position + draw(st.integers(1, 40))]
            case _:
                other = draw(st.sampled_from(originals()))
                token[position:] = other[draw(st.integers(0, len(other))) :]
    return bytes(token)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
plain_text = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=60
)
LETTERS = [bytes([letter]) for letter in range(128) if chr(letter).isalnum() or chr(letter) in "-_"]
# Values of chance have the wrong type: what a claim may be, and what it nearly is.
likely_values = (
    st.sampled_from(
        [
            *(
                ISSUER,
                AUDIENCE,
                [AUDIENCE],
                [AUDIENCE, "x"],
                ["x"],
                [AUDIENCE, AUDIENCE],
                [],
                [""],
                {},
                None,
            ),
            *(
                "",
                "a",
                " a",
                "a ",
                "a\n",
                "ada@example.com",
                ["a"],
                ["a", "a"],
                ["a", 1],
                "\u00e9",
                "\ud800",
                "\x00",
            ),
            *(
                0,
                1,
                -1,
                True,
                1.0,
                1.5,
                NOW_MS,
                NOW_MS // 1000,
                NOW_MS // 1000 + 0.0,
                NOW_MS // 1000 + 60,
            ),
            *(
                2**31,
                2**53,
                2**63,
                10**20,
                1e300,
                str(NOW_MS // 1000),
                "user",
                "service",
                "pwd",
                ["pwd", "otp"],
            ),
        ]
    )
    | st.integers(NOW_MS // 1000 - 1000, NOW_MS // 1000 + 1000)
    | plain_text
)
claim_names = st.sampled_from([*make_claims(), "csrf", "nbf", "unknown"])


@settings(max_examples=examples(2000))
@given(mutated_tokens())
def test_a_mutated_token_is_refused_and_never_crashes_the_verifier(token: bytes) -> None:
    """Flipping, inserting, deleting and splicing bytes gives no token that passes and no exception."""
    outcome = verify_access_token(token, ring(), POLICY, now_ms=NOW_MS)

    assert isinstance(outcome, Claims if token in originals() else Refused)


@settings(max_examples=examples(500))
@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=80))
def test_arbitrary_bytes_in_every_segment_are_refused(
    header: bytes, payload: bytes, end: bytes
) -> None:
    """Whatever decodes from the segments, the answer is a refusal."""
    encoded = b".".join(b64url(part).encode() for part in (header, payload, end))

    for token in (encoded, b".".join((header, payload, end)), payload):
        outcome = verify_access_token(token, ring(), POLICY, now_ms=NOW_MS)
        assert isinstance(outcome, Refused)


@settings(max_examples=examples(1000))
@given(st.dictionaries(claim_names, likely_values | json_values, max_size=3))
def test_what_passes_here_passes_in_pyjwt_with_the_same_claims(over: dict[str, Any]) -> None:
    """A genuine signature over odd claims: our verdict is PyJWT's or stricter, never laxer."""
    token = sign(make_claims(**over), signing_key("EdDSA"))

    outcome = decode_access_token(token, ring(), POLICY)

    if isinstance(outcome, Claims):
        assert by_oracle(token, signing_key("EdDSA")) == as_payload(outcome)


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
@settings(max_examples=examples(100))
@given(
    sub=plain_text,
    roles=st.lists(st.from_regex(r"[a-z:]{1,12}", fullmatch=True), max_size=5),
    age=st.integers(0, 800),
)
def test_an_honest_token_passes_here_and_in_pyjwt(
    alg: Any, sub: str, roles: list[str], age: int
) -> None:
    """Strictness refuses nothing that an honest issuer signs."""
    issued = make_claims(now_ms=NOW_MS - age * 1000, sub=sub, roles=roles)
    token = sign(issued, signing_key(alg))

    outcome = verify_access_token(token, ring(), POLICY, now_ms=NOW_MS)

    assert isinstance(outcome, Claims)
    assert by_oracle(token, signing_key(alg)) == as_payload(outcome)


@settings(max_examples=examples(500))
@given(
    st.dictionaries(st.sampled_from([*jwks()["keys"][0], "crv", "x", "y", "key_ops"]), json_values)
)
def test_an_odd_key_set_is_loaded_or_refused_with_our_own_error(over: dict[str, Any]) -> None:
    """No JWK member, whatever its value, raises anything but InvalidJWKSError."""
    for alg in ("RS256", "ES256", "EdDSA"):
        document = {"keys": [signing_key(alg).public_jwk(**over)]}
        with suppress(InvalidJWKSError):
            assert len(KeyRing.from_jwks(document)) == 1


@settings(max_examples=examples(500))
@given(st.binary(max_size=60))
def test_base64url_has_one_spelling_for_every_value(data: bytes) -> None:
    """What encodes decodes again, and no padded spelling of it does."""
    spelling = b64url(data).encode()

    assert data == decode_base64url(spelling)
    assert decode_base64url(spelling + b"=") is None


@settings(max_examples=examples(500))
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_parsing_json_answers_an_object_or_nothing(data: bytes) -> None:
    """The strict parser raises nothing, whatever the bytes."""
    assert isinstance(parse_json_object(data), dict | None)


def by_oracle(token: bytes, key: SigningKey) -> dict[str, Any]:
    """PyJWT's reading, without its clock; reduced to the claims we know."""
    payload = jwt.decode(
        token,
        key.private.public_key(),
        algorithms=[key.alg],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={
            "require": ["iss", "aud", "sub", "iat", "exp", "jti"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
    defaults = {"org": "", "csrf": "", "roles": [], "amr": []}
    names = {field.name for field in fields(Claims)} - {"kid"}
    return {name: value for name, value in (defaults | payload).items() if name in names}


def as_payload(claims: Claims) -> dict[str, Any]:
    values = {f.name: getattr(claims, f.name) for f in fields(Claims) if f.name != "kid"}
    del values["service"]  # no person's token has that member
    if not values["permissions"]:  # only an organisation's tokens have that member
        del values["permissions"]
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
