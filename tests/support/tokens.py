"""Mint access tokens, good and broken, for every test that needs one.

>>> token = sign(make_claims(sub="ada@example.com"))             # good, RS256, at NOW_MS
>>> token = sign(make_claims(exp=ABSENT), typ="JWT")             # without exp, with another header
>>> verify_access_token(token, ring(), POLICY, now_ms=NOW_MS)

Keys are made once per process and name, because making an RSA key is slow.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from latchwire.keys import Algorithm, KeyRing
from latchwire.tokens import TokenPolicy
from shared.ids import b64url

NOW_MS = 1_800_000_000_123
ISSUER = "http://localhost:8080"
AUDIENCE = "latchwire"
POLICY = TokenPolicy(issuer=ISSUER, audience=AUDIENCE)
ABSENT: Any = object()

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class SigningKey:
    """A private key with its name and algorithm."""

    kid: str
    alg: Algorithm
    private: PrivateKey

    def signature(self, signed: bytes) -> bytes:
        """The raw JWS signature over *signed*."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(signed, padding.PKCS1v15(), SHA256())
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(signed)
        r, s = decode_dss_signature(self.private.sign(signed, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def public_jwk(self, **over: Any) -> dict[str, Any]:
        """The public JWK, with members replaced or (ABSENT) removed by *over*."""
        made = jwt.get_algorithm_by_name(self.alg).to_jwk(self.private.public_key(), as_dict=True)
        members = {name: made[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in made}
        return _without_absent({**members, "kid": self.kid, "alg": self.alg, "use": "sig", **over})


def signing_key(alg: Algorithm = "RS256", name: str = "test") -> SigningKey:
    """The key *name* of *alg*, the same one for the whole process."""
    return _made(alg, name)


@cache
def _made(alg: Algorithm, name: str) -> SigningKey:
    private: PrivateKey
    if alg == "RS256":
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    elif alg == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    return SigningKey(f"20270115-{name}-{alg.lower()}", alg, private)


def jwks(*keys: SigningKey) -> dict[str, Any]:
    """The JWK set of *keys*; of the usual three when none is given."""
    return {"keys": [key.public_jwk() for key in keys or _usual_keys()]}


def ring(*keys: SigningKey) -> KeyRing:
    """The ring of *keys*; of the usual three (RS256, ES256, EdDSA) when none is given."""
    return _usual_ring() if not keys else KeyRing.from_jwks(jwks(*keys))


def make_claims(*, now_ms: int = NOW_MS, **over: Any) -> dict[str, Any]:
    """The claims of a good token issued at *now_ms*, with members replaced or (ABSENT) removed."""
    now = now_ms // 1000
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada@example.com",
        "email": "ada@example.com",
        "sid": "01J00000000000000000000S1D",
        "jti": "01J00000000000000000000JT1",
        "client_id": "browser",
        "org": "",
        "roles": ["reader"],
        "amr": ["email"],
        "auth_time": now,
        "iat": now,
        "exp": now + 900,
        "iat_ms": now_ms,
        "sst": now_ms,
    }
    return _without_absent({**claims, **over})


def sign(claims: dict[str, Any], key: SigningKey | None = None, **header: Any) -> bytes:
    """A token of *claims* by *key* (default: the RSA key), with header members replaced or removed."""
    key = key or signing_key()
    members = _without_absent({"alg": key.alg, "typ": "at+jwt", "kid": key.kid, **header})
    return sign_bytes(_json(members), _json(claims), key)


def sign_bytes(header: bytes, payload: bytes, key: SigningKey | None = None) -> bytes:
    """A token of exactly these header and payload bytes, correctly signed."""
    signed = f"{b64url(header)}.{b64url(payload)}".encode()
    return seal(signed, (key or signing_key()).signature(signed))


def seal(signed: bytes, signature: bytes) -> bytes:
    """The compact serialisation of the signing input *signed* and a raw *signature*."""
    return signed + b"." + b64url(signature).encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _without_absent(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ABSENT}


def _usual_keys() -> tuple[SigningKey, ...]:
    return signing_key("RS256"), signing_key("ES256"), signing_key("EdDSA")


@cache
def _usual_ring() -> KeyRing:
    return KeyRing.from_jwks(jwks(*_usual_keys()))
