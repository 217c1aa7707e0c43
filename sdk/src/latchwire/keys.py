"""The public keys that access tokens are checked with: a dictionary by ``kid``, one algorithm per key.

A ring is made from a JWK set (RFC 7517) as a whole or not at all, never changes, and reads nothing:
no file, no address. Whoever fetches the set keeps the last good ring when a new one is refused.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from latchwire._strict import decode_base64url, parse_json_object

Algorithm: TypeAlias = Literal["RS256", "ES256", "EdDSA"]
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

MAX_DOCUMENT_BYTES = 65_536
MAX_KEYS = 64
MAX_KID_LENGTH = 128
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192  # verifying grows with the square of the size
RSA_EXPONENTS = range(65_537, 1 << 32, 2)

_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# Modulo each of these primes the keys of CVE-2017-15361 (ROCA) are powers of 65537.
_ROCA_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_ROCA_RESIDUES = {p: frozenset(pow(65_537, i, p) for i in range(p)) for p in _ROCA_PRIMES}

_PKCS1 = padding.PKCS1v15()
_SHA256 = SHA256()
_ECDSA = ec.ECDSA(SHA256())
_P256_BYTES = 32


class InvalidJWKSError(Exception):
    """The key set is not one we may trust; the message says which key and why, never key material."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key with its name and its one algorithm."""

    kid: str
    alg: Algorithm
    public: PublicKey = field(repr=False)

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        """Whether *signature* (raw JWS bytes, RFC 7518 §3.3, §3.4; RFC 8037 §3.1) is over *signed*."""
        try:
            _verify(self.public, signature, signed)
        except InvalidSignature:
            return False
        return True


class KeyRing:
    """The keys accepted now. Immutable: a rotation makes a new ring."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        """Raises InvalidJWKSError when two keys share a ``kid``."""
        self._keys: dict[str, VerificationKey] = {}
        for key in keys:
            if key.kid in self._keys:
                raise InvalidJWKSError(f"two keys are named {key.kid!r}")
            self._keys[key.kid] = key

    @classmethod
    def from_jwks(cls, document: Mapping[str, Any] | str) -> "KeyRing":
        """The ring of a JWK set, given as text or as the parsed object.

        Every key must state ``kid``, ``alg`` (RS256, ES256 or EdDSA) and ``use: sig``.

        Raises:
            InvalidJWKSError: one key breaks a rule; then none is accepted.
        """
        entries = _entries(document)
        return cls(_load(entry, position) for position, entry in enumerate(entries))

    def find(self, kid: str) -> VerificationKey | None:
        """The key named *kid*, from memory only; None when there is none."""
        return self._keys.get(kid)

    @property
    def kids(self) -> frozenset[str]:
        """The names of all keys."""
        return frozenset(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"KeyRing({sorted(self._keys)})"


def _verify(public: PublicKey, signature: bytes, signed: bytes) -> None:
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(signature, signed, _PKCS1, _SHA256)
    elif isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(signature, signed)
    elif len(signature) == 2 * _P256_BYTES:
        r = int.from_bytes(signature[:_P256_BYTES], "big")
        s = int.from_bytes(signature[_P256_BYTES:], "big")
        public.verify(encode_dss_signature(r, s), signed, _ECDSA)
    else:
        raise InvalidSignature


def _entries(document: Mapping[str, Any] | str) -> list[Any]:
    # Through text either way, so that one set of rules (size, duplicates, depth) holds for both.
    try:
        text = document if isinstance(document, str) else json.dumps(document, allow_nan=False)
        data = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidJWKSError("the key set is not JSON") from error
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InvalidJWKSError(f"the key set is larger than {MAX_DOCUMENT_BYTES} bytes")
    parsed = parse_json_object(data, max_brackets=4 * MAX_KEYS)
    entries = None if parsed is None else parsed.get("keys")
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_KEYS:
        raise InvalidJWKSError(f"the key set is not an object with 1 to {MAX_KEYS} keys")
    return entries


def _load(entry: Any, position: int) -> VerificationKey:
    problem = _problem(entry)
    if problem is None:
        public = _LOADERS[entry["alg"]](entry)
        if not isinstance(public, str):
            return VerificationKey(entry["kid"], entry["alg"], public)
        problem = public
    raise InvalidJWKSError(f"key {position}: {problem}")


def _problem(entry: Any) -> str | None:
    """What is wrong with the members that every kind of key has, the first only."""
    if not isinstance(entry, dict):
        return "not an object"
    kid, alg = entry.get("kid"), entry.get("alg")
    rules = (
        (_PRIVATE_MEMBERS.isdisjoint(entry), "holds a private or secret member"),
        (isinstance(kid, str) and 0 < len(kid) <= MAX_KID_LENGTH, "kid missing, empty or too long"),
        (isinstance(kid, str) and kid.isprintable(), "kid not printable"),
        (entry.get("use") == "sig", "use is not sig"),
        (_may_verify(entry), "key_ops is not exactly verify"),
        (isinstance(alg, str) and alg in _LOADERS, "alg is not RS256, ES256 or EdDSA"),
    )
    return next((problem for holds, problem in rules if not holds), None)


def _may_verify(entry: dict[str, Any]) -> bool:
    return "key_ops" not in entry or entry["key_ops"] == ["verify"]


def _load_rsa(entry: dict[str, Any]) -> PublicKey | str:
    n, e = _number(entry.get("n")), _number(entry.get("e"))
    if entry.get("kty") != "RSA" or n is None or e is None:
        return "alg RS256 needs kty RSA with n and e"
    if not MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS:
        return f"RSA key not of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
    if e not in RSA_EXPONENTS or n % 2 == 0:
        return "RSA exponent or modulus is weak"
    if all(n % p in residues for p, residues in _ROCA_RESIDUES.items()):
        return "RSA key is of the kind of CVE-2017-15361"
    return _built(lambda: rsa.RSAPublicNumbers(e, n).public_key())


def _load_ec(entry: dict[str, Any]) -> PublicKey | str:
    x, y = _octets(entry.get("x")), _octets(entry.get("y"))
    named = (entry.get("kty"), entry.get("crv")) == ("EC", "P-256")
    if not named or x is None or y is None or (len(x), len(y)) != (_P256_BYTES, _P256_BYTES):
        return "alg ES256 needs kty EC, crv P-256 and 32-byte x and y"
    point = b"\x04" + x + y
    return _built(lambda: ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))


def _load_okp(entry: dict[str, Any]) -> PublicKey | str:
    x = _octets(entry.get("x"))
    named = (entry.get("kty"), entry.get("crv")) == ("OKP", "Ed25519")
    if not named or x is None or len(x) != 32:
        return "alg EdDSA needs kty OKP, crv Ed25519 and 32-byte x"
    octets = x
    return _built(lambda: ed25519.Ed25519PublicKey.from_public_bytes(octets))


_LOADERS: dict[str, Callable[[dict[str, Any]], PublicKey | str]] = {
    "RS256": _load_rsa,
    "ES256": _load_ec,
    "EdDSA": _load_okp,
}


def _built(build: Callable[[], PublicKey]) -> PublicKey | str:
    try:
        return build()
    except ValueError:
        return "not a valid public key"


def _octets(value: Any) -> bytes | None:
    if not isinstance(value, str) or not value or not value.isascii():
        return None
    return decode_base64url(value.encode("ascii"))


def _number(value: Any) -> int | None:
    """A Base64urlUInt (RFC 7518 §2): big-endian in the least number of octets."""
    octets = _octets(value)
    return None if not octets or octets[0] == 0 else int.from_bytes(octets, "big")
