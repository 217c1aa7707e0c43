"""The secrets directory: who finds which key where, made at first run, refused when readable by others.

    signing/<kid>.pem   private keys that sign access tokens              auth
    link/<kid>.key      derive link tokens and codes                      auth, mailer
    refresh/<kid>.key   authenticate refresh tokens                       auth
    csrf/<kid>.key      authenticate the pages' form tokens               auth
    blocklist.key       turns ids into blocklist keys                     auth, edge, revocation, ctl, services
    smtp.password       the mail server, when not in its URL (optional)   mailer
    clients.json        confidential clients: id -> SHA-256 of the secret auth
    jwks.json           the public halves of signing/                     auth, edge, services
    operator/<kid>.pem  signs the documents (keys, catalogue)             ctl alone
    operator.jwks.json  the public halves of operator/                    auth, edge, services, ctl
    edges/, edges.jwks.json   see shared/edge_keys.py                     each edge; auth, edge, services, ctl
    nats/<name>.seed    one nkey seed per credential                      its owner
    nats/accounts.conf  accounts and permissions, rendered from the contract; public keys only

A ``kid`` (``20261122-sig-ab12cd``) begins with its date, so the greatest name is the newest: that one is
used to make, all are accepted to check.
"""

import base64
import json
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from latchwire.keys import InvalidJWKSError, KeyRing
from shared.ids import b64url

SYMMETRIC = ("link", "refresh", "csrf")
OPERATOR_JWKS = "operator.jwks.json"
RSA_BITS = 2048

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class SecretsError(Exception):
    """The secrets directory is not usable."""


@dataclass(frozen=True, repr=False)
class SymmetricKeys:
    """The keys of one purpose by ``kid``; *current* is the newest. Never shows its values."""

    by_kid: dict[str, bytes]

    @property
    def current(self) -> str:
        """The kid new values are made with."""
        return max(self.by_kid)

    def __repr__(self) -> str:
        return f"SymmetricKeys({sorted(self.by_kid)})"


def load_symmetric(directory: Path, purpose: str) -> SymmetricKeys:
    """The keys under *purpose*/.

    Raises:
        SecretsError: none there, readable by others, or shorter than 256 bits.
    """
    keys = {p.stem: _decode(p) for p in sorted((directory / purpose).glob("*.key"))}
    if not keys:
        raise SecretsError(f"no key in {directory / purpose}: run `latchwire init` or `make up`")
    return SymmetricKeys(keys)


def load_blocklist_key(directory: Path) -> bytes:
    """The key that turns ids into blocklist keys (32 bytes)."""
    return _decode(directory / "blocklist.key")


def load_seed(directory: Path, name: str) -> str:
    """The nkey seed of credential *name*."""
    return read_private(directory / "nats" / f"{name}.seed")


def read_private(path: Path) -> str:
    """The stripped text of a secret file.

    Raises:
        SecretsError: missing, or readable by group or others.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii").strip()
    except OSError as error:
        raise SecretsError(f"cannot read {path}: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretsError(f"{path} is readable by others: chmod 600 {path}")
    return text


def write_private(path: Path, text: str) -> None:
    """Create *path* with mode 0600, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(path.name + ".new")
    temporary.touch(mode=0o600)
    temporary.write_text(text + "\n", "ascii")
    temporary.replace(path)


def create_secrets(directory: Path, *, date: str, credentials: tuple[str, ...]) -> None:
    """Make what is missing, keep what is there. *date* (YYYYMMDD) begins each new kid."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for purpose in SYMMETRIC:
        if not list((directory / purpose).glob("*.key")):
            path = directory / purpose / f"{new_kid(date, purpose)}.key"
            write_private(path, b64url(secrets.token_bytes(32)))
    if not (directory / "blocklist.key").exists():
        write_private(directory / "blocklist.key", b64url(secrets.token_bytes(32)))
    if not list((directory / "signing").glob("*.pem")):
        path = directory / "signing" / f"{new_kid(date, 'sig')}.pem"
        write_private(path, new_private_pem("RS256"))
    if not (directory / "clients.json").exists():
        write_private(directory / "clients.json", "{}")
    for name in credentials:
        if not (directory / "nats" / f"{name}.seed").exists():
            write_private(directory / "nats" / f"{name}.seed", new_seed())
    write_jwks(directory)
    _make_operator_key(directory, date)


def _make_operator_key(directory: Path, date: str) -> None:
    # Where the private half was taken elsewhere, the public one stays, and no other is made.
    if not operator_paths(directory) and not (directory / OPERATOR_JWKS).exists():
        path = directory / "operator" / f"{new_kid(date, 'op')}.pem"
        write_private(path, new_private_pem("EdDSA"))
    write_operator_jwks(directory)


def new_kid(date: str, purpose: str) -> str:
    """A name of its own for each key: what is said of one must not be heard of another."""
    return f"{date}-{purpose}-{secrets.token_hex(3)}"


def new_seed() -> str:
    """A fresh user nkey seed."""
    import nkeys

    return str(nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER).decode())


def public_key(seed: str) -> str:
    """The public nkey of *seed*, as NATS's configuration names it."""
    import nkeys

    return str(nkeys.from_seed(seed.encode()).public_key.decode())


def write_jwks(directory: Path) -> None:
    """Write jwks.json from the private keys in signing/: public members only (RFC 7517)."""
    keys = [public_jwk(p.stem, load_signing_key(p)) for p in signing_paths(directory)]
    write_public(directory / "jwks.json", {"keys": keys})


def write_public(path: Path, document: dict[str, Any]) -> None:
    """Write a public document in place: a container may have this very file mounted."""
    path.write_text(json.dumps(document, indent=2) + "\n", "ascii")


def operator_paths(directory: Path) -> list[Path]:
    """The operator's private keys, oldest first; none where they are kept elsewhere."""
    return sorted((directory / "operator").glob("*.pem"))


def write_operator_jwks(directory: Path) -> None:
    """Add the public halves of operator/ to operator.jwks.json; what is there already stays."""
    path = directory / OPERATOR_JWKS
    known = json.loads(path.read_text("ascii"))["keys"] if path.exists() else []
    own = [public_jwk(p.stem, load_operator_key(p)) for p in operator_paths(directory)]
    kids = {key["kid"] for key in known}
    added = [key for key in own if key["kid"] not in kids]
    if added:
        write_public(path, {"keys": [*known, *added]})


def load_operator_key(path: Path) -> ed25519.Ed25519PrivateKey:
    """An operator's private key.

    Raises:
        SecretsError: not Ed25519, or not readable.
    """
    key = load_signing_key(path)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise SecretsError(f"{path} is not an Ed25519 key")
    return key


def load_operator_keys(directory: Path) -> KeyRing:
    """The public keys that documents are checked with.

    Raises:
        SecretsError: there is no operator.jwks.json, or it cannot be used.
    """
    path = directory / OPERATOR_JWKS
    try:
        return KeyRing.from_jwks(path.read_text("ascii"))
    except (OSError, ValueError, InvalidJWKSError) as error:
        raise SecretsError(f"cannot use {path} ({error}): run `latchwire init`") from error


def signing_paths(directory: Path) -> list[Path]:
    """The signing keys, oldest first."""
    return sorted((directory / "signing").glob("*.pem"))


def load_signing_key(path: Path) -> SigningKey:
    """The private key of a PEM file; its kind says with which algorithm it signs (`algorithm_of`).

    Raises:
        SecretsError: not RSA of at least 2048 bits, not P-256, not Ed25519, or not readable.
    """
    text = read_private(path)
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SecretsError(f"{path} is not a private key in PEM without a password") from error
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    raise SecretsError(f"{path} is not an RSA key of at least {RSA_BITS} bits, P-256 or Ed25519")


def algorithm_of(key: SigningKey) -> str:
    """The one algorithm *key* signs with (RFC 7518 §3.1, RFC 8037 §3.1)."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    return "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "EdDSA"


def new_private_pem(algorithm: str) -> str:
    """A fresh private key for *algorithm* (RS256, ES256 or EdDSA)."""
    key: SigningKey
    if algorithm == "RS256":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    elif algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    return (
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
        .strip()
    )


def public_jwk(kid: str, key: SigningKey) -> dict[str, str]:
    """The public half as a JWK (RFC 7517)."""
    return {"use": "sig", "alg": algorithm_of(key), "kid": kid, **_public_members(key)}


def _public_members(key: SigningKey) -> dict[str, str]:
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": _b64_number(numbers.n), "e": _b64_number(numbers.e)}
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raw = key.public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": b64url(raw)}
    point = key.public_key().public_numbers()
    x, y = (b64url(number.to_bytes(32, "big")) for number in (point.x, point.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def _b64_number(number: int) -> str:
    return b64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _decode(path: Path) -> bytes:
    text = read_private(path)
    key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(key) < 32:
        raise SecretsError(f"{path} holds fewer than 256 bits")
    return key
