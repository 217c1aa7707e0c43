"""Documents as the operator makes them: signed, and the body of ``keys`` with its rules.

How they are read is the SDK's affair (`latchwire.documents`); who may write them NATS's.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from latchwire.documents import DOCUMENT_TYPE, MAX_DOCUMENT_BYTES
from shared.ids import b64url
from shared.messages.base import Identifier, Millis
from shared.secrets import SecretsError, load_operator_key, operator_paths

JWK = dict[str, Any]


class DocumentTooLargeError(Exception):
    """The signed document is larger than the stream takes."""


@dataclass(frozen=True, repr=False)
class OperatorKey:
    """The private key documents are signed with."""

    kid: str
    private: Ed25519PrivateKey

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The newest key of operator/.

        Raises:
            SecretsError: there is none here, or it cannot be read.
        """
        paths = operator_paths(directory)
        if not paths:
            raise SecretsError(
                f"no key in {directory / 'operator'}: documents are signed where the operator's key is"
            )
        return cls(paths[-1].stem, load_operator_key(paths[-1]))

    def sign(self, name: str, generation: int, at: int, body: Any) -> bytes:
        """The compact JWS of a document (RFC 7515 §7.1).

        Raises:
            DocumentTooLargeError: the stream would not take it.
        """
        header = _segment({"alg": "EdDSA", "typ": DOCUMENT_TYPE, "kid": self.kid})
        payload = _segment({"name": name, "generation": generation, "at": at, "body": body})
        signed = f"{header}.{payload}".encode("ascii")
        jws = signed + b"." + b64url(self.private.sign(signed)).encode("ascii")
        if len(jws) > MAX_DOCUMENT_BYTES:
            raise DocumentTooLargeError(f"{name}: {len(jws)} bytes signed, of {MAX_DOCUMENT_BYTES}")
        return jws


def _segment(value: dict[str, Any]) -> str:
    return b64url(json.dumps(value, separators=(",", ":")).encode("ascii"))


class KeyHistory(BaseModel):
    """When a key was added, first signed, was replaced, retired, compromised (Unix ms, None: never).

    *generation* is that of its last change.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    added_at: Millis = 0
    used_at: Millis | None = None
    replaced_at: Millis | None = None
    retired_at: Millis | None = None
    compromised_at: Millis | None = None
    generation: int = 0


class KeysBody(BaseModel):
    """The body of ``keys``.

    *keys* are accepted by everybody; auth signs with *sign_with*. *former* are retired: edges know them no
    more, auth recognises by them whose expired token a browser shows beside its refresh token. A key that
    was compromised is in neither, ever again.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    keys: tuple[JWK, ...]
    sign_with: Identifier
    former: tuple[JWK, ...] = ()
    history: dict[str, KeyHistory] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.sign_with not in self.kids:
            raise ValueError("sign_with is none of keys")
        named = {*self.kids, *(str(key.get("kid")) for key in self.former)}
        if any(self.history[kid].compromised_at for kid in named & self.history.keys()):
            raise ValueError("a key that was compromised is there again")
        return self

    @property
    def kids(self) -> tuple[str, ...]:
        """The names of the keys that are accepted."""
        return tuple(str(key.get("kid")) for key in self.keys)

    def since(self, kid: str) -> KeyHistory:
        """What is known of *kid*."""
        return self.history.get(kid, KeyHistory())


def read_keys_body(body: Any) -> KeysBody | None:
    """The body of ``keys``, None when it is not one."""
    try:
        return KeysBody.model_validate(body)
    except ValidationError:
        return None
