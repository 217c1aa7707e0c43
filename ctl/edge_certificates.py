"""Which keys of edges count: the next body of the document ``edges``, and the files that go with it."""

import os
from collections.abc import Sequence
from pathlib import Path

from shared.edge_keys import (
    JWK,
    EdgeKey,
    edge_of,
    ensure_edge_key,
    key_path,
    read_edge_jwks,
    write_edge_jwks,
)
from shared.secrets import SecretsError, load_operator_key, new_private_pem, write_private

MAX_KEYS = 64


class EdgeKeyError(Exception):
    """It cannot be done; the message is what to print, with the cure."""


class EdgeFiles:
    """The edges' keys below *secrets_dir*: private ones in edges/, the public ones that count in one file."""

    def __init__(self, secrets_dir: Path) -> None:
        self._secrets_dir = secrets_dir
        self._directory = key_path(secrets_dir, "any").parent

    def known(self) -> list[str]:
        """Every edge with a credential or a key here, by name."""
        seeds = {p.stem for p in (self._secrets_dir / "nats").glob("edge*.seed")}
        return sorted(seeds | {p.stem for p in self._directory.glob("edge*.key")})

    def published(self) -> list[JWK]:
        """The public keys of the file. Raises: SecretsError."""
        return read_edge_jwks(self._secrets_dir)

    def make(self, edge_id: str, *, renew: bool) -> JWK:
        """The public half of the edge's key, made when it is missing.

        *renew*: of the one that waits to take its place, made when none does.

        Raises:
            SecretsError: the file that is there cannot be used, or none can be written.
        """
        try:
            made = ensure_edge_key(self._secrets_dir, edge_id).public
            waiting = self._waiting(edge_id)
            if renew and not waiting.exists():
                write_private(waiting, new_private_pem("EdDSA"))
            self._give_to_owner()
        except OSError as error:
            raise SecretsError(f"{self._directory} cannot be written: {error.strerror}") from error
        return EdgeKey.named(edge_id, load_operator_key(waiting)).public if renew else made

    def state_of(self, kid: str) -> str:
        """``in use``: its edge signs with it; ``waiting``: it takes that one's place; else ``not here``.

        Of keys whose private halves are on another machine nobody here can tell more.
        """
        edge_id = edge_of(kid)
        try:
            own = EdgeKey.load(self._secrets_dir, edge_id)
            waiting = self._waiting(edge_id)
            if own is not None and own.kid == kid:
                return "in use"
            if waiting.exists() and EdgeKey.named(edge_id, load_operator_key(waiting)).kid == kid:
                return "waiting"
        except (OSError, SecretsError):
            return "cannot be read here"
        return "not here"

    def publish(self, keys: Sequence[JWK]) -> bool:
        """Keep the file, the start state, in step with the document; False when it is not writable."""
        try:
            if self.published() != list(keys):
                write_edge_jwks(self._secrets_dir, list(keys))
        except (OSError, SecretsError):
            return False
        return True

    def put_away(self, kids: Sequence[str]) -> None:
        """Let no edge use the private halves of *kids*; a key that waits takes the place of its edge's.

        They stay on disk under another name.
        """
        for edge_id in sorted({edge_of(kid) for kid in kids}):
            waiting = self._waiting(edge_id)
            if waiting.exists() and EdgeKey.named(edge_id, load_operator_key(waiting)).kid in kids:
                waiting.unlink()
            own = EdgeKey.load(self._secrets_dir, edge_id)
            if own is not None and own.kid in kids:
                self._replace(edge_id, own.kid)

    def _replace(self, edge_id: str, kid: str) -> None:
        path, waiting = key_path(self._secrets_dir, edge_id), self._waiting(edge_id)
        write_private(path.with_name(f"{kid}.withdrawn"), path.read_text("ascii").strip())
        if waiting.exists():
            # In place: the edge's container has this very file mounted.
            path.write_text(waiting.read_text("ascii"), "ascii")
            waiting.unlink()
        else:
            path.unlink()
        self._give_to_owner()

    def _waiting(self, edge_id: str) -> Path:
        return key_path(self._secrets_dir, edge_id).with_suffix(".key.next")

    def _give_to_owner(self) -> None:
        """A production's secrets belong to the user who runs the containers."""
        if os.getuid() == 0:
            owner = (self._secrets_dir).stat()
            for path in (self._directory, *self._directory.glob("*")):
                os.chown(path, owner.st_uid, owner.st_gid)


def with_keys(known: Sequence[JWK], added: Sequence[JWK]) -> list[JWK]:
    """*known* and what is new of *added*.

    Raises:
        EdgeKeyError: they would be too many.
    """
    kids = {key["kid"] for key in known}
    keys = [*known, *(key for key in added if key["kid"] not in kids)]
    if len(keys) > MAX_KEYS:
        raise EdgeKeyError(
            f"{len(keys)} keys are more than the {MAX_KEYS} there may be: withdraw old ones"
        )
    return keys


def without(known: Sequence[JWK], name: str) -> tuple[list[JWK], list[str]]:
    """*known* without the key *name*, or without all keys of the edge *name*; and the kids that go.

    Raises:
        EdgeKeyError: there is no such key, or none would be left.
    """
    gone = [key["kid"] for key in known if name in {key["kid"], edge_of(key["kid"])}]
    if not gone:
        raise EdgeKeyError(f"{name} has no certified key: `latchwire edges keys` shows them")
    kept = [key for key in known if key["kid"] not in gone]
    if not kept:
        raise EdgeKeyError(
            "no edge would be believed any more: certify another key first "
            f"(`latchwire edges certify {edge_of(gone[0])} --renew`), then withdraw {gone[0]}"
        )
    return kept, gone
