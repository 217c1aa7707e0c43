"""The private keys under signing/ on this machine, while they are rotated.

A new one waits as ``<kid>.pem.next``, which nobody signs with, until every edge knows its public half; then it
becomes ``<kid>.pem``. One that is over is put away as ``<kid>.pem.retired`` or ``.compromised``.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from latchwire.keys import InvalidJWKSError, KeyRing
from shared.documents import JWK
from shared.secrets import (
    SecretsError,
    load_signing_key,
    new_kid,
    new_private_pem,
    public_jwk,
    signing_paths,
    write_private,
    write_public,
)

NEXT = ".pem.next"


class SigningFiles:
    """The files below *secrets_dir*."""

    def __init__(self, secrets_dir: Path) -> None:
        self._jwks = secrets_dir / "jwks.json"
        self._secrets_dir = secrets_dir
        self._directory = secrets_dir / "signing"

    def require_writable(self) -> None:
        """Raises: SecretsError: new keys cannot be written here."""
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise SecretsError(
                f"{self._directory} is not writable: a new key is made where auth's keys are"
            )

    def published(self) -> tuple[list[JWK], str]:
        """The keys of jwks.json, and which of them signs while no document says so.

        Raises:
            SecretsError: the files are not there or do not fit.
        """
        keys = self._read_jwks()
        kids = {key["kid"] for key in keys}
        signing = [path.stem for path in signing_paths(self._secrets_dir) if path.stem in kids]
        if not signing:
            raise SecretsError(f"no key of {self._jwks} is in {self._directory}")
        return keys, signing[-1]

    def waiting(self) -> list[str]:
        """New keys that wait, by name."""
        return [p.name.removesuffix(NEXT) for p in sorted(self._directory.glob(f"*{NEXT}"))]

    def prepared(self) -> str | None:
        """A new key that waits, or None."""
        return next(reversed(self.waiting()), None)

    def prepare(self, date: str, algorithm: str) -> str:
        """Make a key that waits; its kid."""
        kid = new_kid(date, "sig")
        write_private(self._directory / f"{kid}{NEXT}", new_private_pem(algorithm))
        return kid

    def has(self, kid: str) -> bool:
        """Whether the private key is here, waiting or in use."""
        return self._path(kid, NEXT).exists() or self._path(kid).exists()

    def public(self, kid: str) -> JWK:
        """The public half. Raises: SecretsError."""
        waiting = self._path(kid, NEXT)
        return dict(
            public_jwk(kid, load_signing_key(waiting if waiting.exists() else self._path(kid)))
        )

    def enable(self, kid: str) -> None:
        """Let auth find it. Safe to repeat."""
        waiting = self._path(kid, NEXT)
        if waiting.exists():
            waiting.rename(self._path(kid))

    def put_away(self, kid: str, why: str) -> None:
        """Let nobody find it any more; it stays on disk under another name."""
        for path in (self._path(kid), self._path(kid, NEXT)):
            if path.exists():
                path.rename(self._path(kid, f".pem.{why}"))

    def publish(self, keys: Sequence[JWK]) -> bool:
        """Keep jwks.json, the start state, in step with the document; False when it is not writable."""
        try:
            if self._read_jwks() != list(keys):
                write_public(self._jwks, {"keys": list(keys)})
        except (OSError, SecretsError):
            return False
        return True

    def _path(self, kid: str, suffix: str = ".pem") -> Path:
        return self._directory / f"{kid}{suffix}"

    def _read_jwks(self) -> list[JWK]:
        try:
            text = self._jwks.read_text("ascii")
            KeyRing.from_jwks(text)
        except (OSError, ValueError, InvalidJWKSError) as error:
            raise SecretsError(f"cannot use {self._jwks}: {error}") from error
        keys: list[JWK] = json.loads(text)["keys"]
        return keys
