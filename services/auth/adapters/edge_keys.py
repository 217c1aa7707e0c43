"""The edges' public keys: of the file at the start, then of the operator's document ``edges``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import structlog

from latchwire.keys import KeyRing
from shared.edge_keys import JWK, read_edge_jwks

log = structlog.get_logger()


class EdgeKeys:
    """*jwks* is one object for the life of the process, always current; it may have no keys."""

    def __init__(self, keys: list[JWK]) -> None:
        self.jwks: dict[str, Any] = {"keys": keys}

    @classmethod
    def load(cls, secrets_dir: Path) -> Self:
        """Those of the file.

        Raises:
            SecretsError: it cannot be used.
        """
        return cls(read_edge_jwks(secrets_dir))

    def follow(self, body: Mapping[str, Any], generation: int) -> None:
        """Take the operator's document.

        Raises:
            InvalidJWKSError: a key in it cannot be used.
        """
        ring = KeyRing.from_jwks({"keys": body["keys"]})
        self.jwks["keys"] = list(body["keys"])
        log.info("edges.in_force", generation=generation, kids=sorted(ring.kids))
