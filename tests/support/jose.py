"""What the table of JOSE attacks is made of: rows, forgeries, and a watch on the outside world."""

import functools
import gc
import hashlib
import hmac
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from latchwire._strict import decode_base64url
from latchwire.keys import InvalidJWKSError, KeyRing
from latchwire.tokens import Refused, TokenPolicy, verify_access_token
from shared.ids import b64url
from tests.support.tokens import (
    ABSENT,
    NOW_MS,
    POLICY,
    SigningKey,
    make_claims,
    ring,
    seal,
    sign,
    sign_bytes,
    signing_key,
)

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


# --- rows ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One attack or property of *rule*: what is done and the outcome it must have.

    An outcome is ``accepted``, ``code: detail`` of a refusal, ``loaded`` or ``not loaded: why`` of a
    key set, ``holds`` or ``broken`` of a property. Details are compared, so that a row cannot pass for a
    reason that is not its own.
    """

    rule: str
    what: str
    act: Callable[[], str]
    expected: str

    @property
    def name(self) -> str:
        """ASCII, for the test's id."""
        return f"{self.rule} {self.what}".encode("ascii", "backslashreplace").decode()


def verified(token: Any, *, now_ms: int = NOW_MS, policy: TokenPolicy = POLICY) -> str:
    """The outcome of verifying *token*."""
    outcome = verify_access_token(token, ring(), policy, now_ms=now_ms)
    return f"{outcome.code}: {outcome.detail}" if isinstance(outcome, Refused) else "accepted"


def loaded(document: Any) -> str:
    """The outcome of loading a JWK set."""
    try:
        KeyRing.from_jwks(document)
    except InvalidJWKSError as error:
        return f"not loaded: {error}"
    return "loaded"


def good(rule: str, what: str, make: Callable[[], bytes]) -> Row:
    """A token that must pass."""
    return Row(rule, what, lambda: verified(make()), "accepted")


def bad(rule: str, what: str, detail: str, make: Callable[[], Any]) -> Row:
    """A token that must be refused for the reason *detail*."""
    return Row(rule, what, lambda: verified(make()), f"token_invalid: {detail}")


def headers(rule: str, detail: str, name: str, values: Iterable[Any]) -> list[Row]:
    """A correctly signed token for each value of header member *name*."""
    return [_header(rule, detail, name, value) for value in values]


def _header(rule: str, detail: str, name: str, value: Any) -> Row:
    what = f"header {name} {_shown(value)}"
    return bad(rule, what, detail, lambda: sign(make_claims(), **{name: value}))


def claims(rule: str, detail: str, name: str, values: Iterable[Any]) -> list[Row]:
    """A correctly signed token for each value of claim *name*."""
    return [_claim(rule, detail, name, value) for value in values]


def _claim(rule: str, detail: str, name: str, value: Any) -> Row:
    what = f"claim {name} {_shown(value)}"
    return bad(rule, what, detail, lambda: sign(make_claims(**{name: value})))


def members(rule: str, detail: str, name: str, values: Iterable[Any]) -> list[Row]:
    """A JWK set with one RSA key for each value of its member *name*."""
    return [_member(rule, detail, name, value) for value in values]


def _member(rule: str, detail: str, name: str, value: Any) -> Row:
    what = f"JWK {name} {_shown(value)}"
    return unloadable(rule, what, f"key 0: {detail}", lambda: with_key(**{name: value}))


def unloadable(rule: str, what: str, why: str, make: Callable[[], Any]) -> Row:
    """A JWK set that must be refused, for the reason *why*."""
    return Row(rule, what, lambda: loaded(make()), f"not loaded: {why}")


def holds(rule: str, what: str, check: Callable[[], bool]) -> Row:
    """A property."""
    return Row(rule, what, lambda: "holds" if check() else "broken", "holds")


def at(rule: str, what: str, now: int, expected: str, leeway: int = 5, **over: Any) -> Row:
    """A token verified at *now* (Unix seconds) with *leeway*."""
    policy = TokenPolicy(POLICY.issuer, POLICY.audience, leeway)
    act = lambda: verified(sign(make_claims(**over)), now_ms=now * 1000, policy=policy)  # noqa: E731
    return Row(rule, what, act, expected)


def _shown(value: Any) -> str:
    return "absent" if value is ABSENT else repr(value)[:24]


# --- forgeries -----------------------------------------------------------------------------------


def head(**over: Any) -> bytes:
    """The header of a good token, with members replaced or (ABSENT) removed."""
    given = {"alg": "RS256", "typ": "at+jwt", "kid": signing_key().kid, **over}
    return json.dumps({k: v for k, v in given.items() if v is not ABSENT}).encode()


def body(extra: str = "") -> bytes:
    """The payload of a good token with literal JSON text *extra* before its closing brace."""
    return json.dumps(make_claims()).encode()[:-1] + extra.encode() + b"}"


def by_hmac(secret: bytes, alg: str = "HS256") -> bytes:
    """The good claims authenticated with *secret* under the RSA key's kid."""
    signed = f"{b64url(head(alg=alg))}.{b64url(body())}".encode()
    return seal(signed, hmac.digest(secret, signed, HASHES[alg]))


def by_pyjwt(alg: str) -> bytes:
    """The good claims signed with *alg* under the RSA key's kid."""
    named = {"typ": "at+jwt", "kid": signing_key().kid}
    return jwt.encode(make_claims(), _private_for(alg), algorithm=alg, headers=named).encode()


@functools.cache
def _private_for(alg: str) -> Any:
    if alg in CURVES:
        return ec.generate_private_key(CURVES[alg]())
    return signing_key("EdDSA").private if alg == "EdDSA" else signing_key().private


def public_bytes(key: SigningKey, encoding: Encoding, form: PublicFormat) -> bytes:
    """The public half of *key*, as an attacker has it."""
    return key.private.public_key().public_bytes(encoding, form)


def pem() -> bytes:
    """The RSA key's public PEM."""
    return public_bytes(signing_key(), Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def bare_pem() -> bytes:
    """The base64 body of that PEM, without its lines (GHSA-xgmm-8j9v-c9wx)."""
    return b"".join(pem().splitlines()[1:-1])


def spelled(segment: int, change: Callable[[bytes], bytes]) -> bytes:
    """A good token with one segment spelled otherwise; the signature covers the new spelling."""
    parts = sign(make_claims()).split(b".")
    parts[segment] = change(parts[segment])
    signed = b".".join(parts[:2])
    last = b64url(signing_key().signature(signed)).encode() if segment < 2 else parts[2]
    return signed + b"." + last


def other_trailing_bits(segment: bytes) -> bytes:
    """The same bytes for a lenient decoder: the last character's unused bits set."""
    return segment[:-1] + bytes([ALPHABET[ALPHABET.index(segment[-1]) ^ 1]])


def with_signature(alg: Any, signature: bytes) -> bytes:
    """A good header and payload of the key of *alg*, and *signature*."""
    return seal(sign(make_claims(), signing_key(alg)).rpartition(b".")[0], signature)


def es256_twin() -> bytes:
    """The second valid signature (r, n - s) of an ES256 token."""
    signed, _, last = sign(make_claims(), signing_key("ES256")).rpartition(b".")
    signature = decode_base64url(last) or b""
    s = P256_ORDER - int.from_bytes(signature[32:], "big")
    return seal(signed, signature[:32] + s.to_bytes(32, "big"))


def literally(name: str, text: str) -> bytes:
    """A correctly signed token in which claim *name* is written *text*."""
    written = {k: json.dumps(v) for k, v in make_claims().items()} | {name: text}
    payload = "{" + ",".join(f'"{k}":{v}' for k, v in written.items()) + "}"
    return sign_bytes(head(), payload.encode())


# --- key sets ------------------------------------------------------------------------------------


def with_key(alg: Any = "RS256", /, **over: Any) -> dict[str, Any]:
    """A JWK set of one key, with members replaced or (ABSENT) removed."""
    return {"keys": [signing_key(alg).public_jwk(**over)]}


def oct_key(secret: str) -> dict[str, Any]:
    """A symmetric JWK."""
    return {"kty": "oct", "k": b64url(secret.encode()), "kid": "a", "alg": "HS256", "use": "sig"}


def rsa_key(bits: int, exponent: Any = 65537) -> dict[str, Any]:
    """A JWK set of a fresh RSA key."""
    private = rsa.generate_private_key(public_exponent=exponent, key_size=bits)
    return {"keys": [SigningKey("weak", "RS256", private).public_jwk()]}


def roca_key() -> dict[str, Any]:
    """A modulus with the fingerprint of CVE-2017-15361: a power of 65537 modulo every small prime."""
    small = [p for p in range(2, 168) if all(p % q for q in range(2, p))]
    primorial = functools.reduce(int.__mul__, small)
    modulus = ((1 << 2047) // primorial + 1) * primorial + pow(65537, 5, primorial)
    return with_key(n=b64url(modulus.to_bytes(256, "big")))


# --- the watch -----------------------------------------------------------------------------------

_OUTSIDE = ("socket.", "open", "subprocess.", "os.", "sqlite3.", "urllib.", "http.")
_seen: list[str] | None = None
_watched = 0  # the thread


def _watch(event: str, _arguments: tuple[Any, ...]) -> None:
    mine = threading.get_ident() == _watched  # what another thread does meanwhile is its own
    if _seen is not None and mine and event.startswith(_OUTSIDE):
        _seen.append(event)


@functools.cache
def _start_watching() -> None:
    sys.addaudithook(_watch)  # for the life of the process: audit hooks cannot be removed


@contextmanager
def touching_outside() -> Iterator[list[str]]:
    """Collect the interpreter's audit events for files, sockets and processes, of this thread."""
    global _seen, _watched
    _start_watching()
    gc.disable()  # a finalizer of what other tests have left may close files and remove folders
    _seen, _watched = [], threading.get_ident()
    try:
        yield _seen
    finally:
        _seen = None
        gc.enable()


def reaches_nothing(*tokens: bytes) -> bool:
    """Whether verifying *tokens* touches neither file, socket nor process."""
    verified(sign(make_claims()))  # what is imported with the first one is no answer to these
    with touching_outside() as seen:
        for token in tokens:
            verified(token)
    return seen == []
