"""The edges' own keys: each signs its assertions with one (Ed25519), and the operator certifies them.

    secrets/edges/<edge_id>.key   the private half (PEM, 0600)          that edge alone
    secrets/edges.jwks.json       all public halves that count          auth, edges, services; ctl writes it

A ``kid`` is ``<edge_id>.<8 hex>``, the digits being the beginning of the public key's SHA-256.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwire.keys import InvalidJWKSError, KeyRing
from shared.secrets import (
    SecretsError,
    load_operator_key,
    new_private_pem,
    public_jwk,
    write_private,
    write_public,
)

JWK = dict[str, Any]
EDGES_JWKS: Final = "edges.jwks.json"
DIRECTORY: Final = "edges"


@dataclass(frozen=True, repr=False)
class EdgeKey:
    """An edge's private key."""

    kid: str
    private: Ed25519PrivateKey

    @classmethod
    def load(cls, secrets_dir: Path, edge_id: str) -> Self | None:
        """The key of *edge_id*, None when it has none.

        Raises:
            SecretsError: its file is readable by others, or is no Ed25519 key.
        """
        path = key_path(secrets_dir, edge_id)
        if not path.exists():
            return None
        return cls.named(edge_id, load_operator_key(path))

    @classmethod
    def named(cls, edge_id: str, private: Ed25519PrivateKey) -> Self:
        """The key *private* under the name that follows from it."""
        digest = hashlib.sha256(private.public_key().public_bytes_raw()).hexdigest()
        return cls(f"{edge_id}.{digest[:8]}", private)

    def sign(self, signed: bytes) -> bytes:
        """The signature over *signed* (RFC 8037 §3.1)."""
        return self.private.sign(signed)

    @property
    def public(self) -> JWK:
        """The public half."""
        return dict(public_jwk(self.kid, self.private))


def key_path(secrets_dir: Path, edge_id: str) -> Path:
    """Where the private key of *edge_id* lies."""
    return secrets_dir / DIRECTORY / f"{edge_id}.key"


def edge_of(kid: str) -> str:
    """The edge whose key *kid* is."""
    return kid.rpartition(".")[0]


def ensure_edge_key(secrets_dir: Path, edge_id: str) -> EdgeKey:
    """The key of *edge_id*, made when it is missing.

    Raises:
        SecretsError: the file that is there cannot be used.
    """
    found = EdgeKey.load(secrets_dir, edge_id)
    if found is None:
        write_private(key_path(secrets_dir, edge_id), new_private_pem("EdDSA"))
        found = EdgeKey.load(secrets_dir, edge_id)
    assert found is not None
    return found


def read_edge_jwks(secrets_dir: Path) -> list[JWK]:
    """The public keys of the file, none when it is missing or empty.

    Raises:
        SecretsError: it cannot be used.
    """
    path = secrets_dir / EDGES_JWKS
    try:
        if not path.exists():
            return []
        keys: list[JWK] = json.loads(path.read_text("ascii"))["keys"]
        if keys:
            KeyRing.from_jwks({"keys": keys})
    except (OSError, ValueError, KeyError, TypeError, InvalidJWKSError) as error:
        raise SecretsError(
            f"cannot use {path} ({type(error).__name__}): run `latchwire edges certify`"
        ) from error
    return keys


def write_edge_jwks(secrets_dir: Path, keys: list[JWK]) -> None:
    """Write the start state."""
    write_public(secrets_dir / EDGES_JWKS, {"keys": keys})


def ring_of(keys: list[JWK]) -> KeyRing:
    """The ring of *keys*, which may be none.

    Raises:
        InvalidJWKSError: one of them cannot be used.
    """
    return KeyRing.from_jwks({"keys": keys}) if keys else KeyRing(())


def make_edge_keys(secrets_dir: Path, edge_ids: tuple[str, ...]) -> None:
    """A key for each of *edge_ids* that lacks one, its public half in the file; what is there stays.

    For the start of an installation: later the document ``edges`` says which count.

    Raises:
        SecretsError: a file that is there cannot be used.
    """
    known = read_edge_jwks(secrets_dir)
    named = {edge_of(key["kid"]) for key in known}
    # One whose private half is on another machine is certified already.
    fresh = [e for e in edge_ids if e not in named or key_path(secrets_dir, e).exists()]
    own = [ensure_edge_key(secrets_dir, edge_id).public for edge_id in fresh]
    kids = {key["kid"] for key in known}
    added = [key for key in own if key["kid"] not in kids]
    if added or not (secrets_dir / EDGES_JWKS).exists():
        write_edge_jwks(secrets_dir, [*known, *added])
