"""Access tokens: signed with PyJWT, read with the SDK's verifier, as every edge reads them.

Which keys count, and which one signs, the operator's document says; before there is one, the files.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import structlog

from latchwire.claims import Claims
from latchwire.documents import DOCUMENT_TYPE, DocumentError
from latchwire.keys import KeyRing
from latchwire.tokens import Refused, TokenPolicy, decode_access_token, verify_access_token
from shared.documents import read_keys_body
from shared.ids import b64url
from shared.pauses import pause
from shared.secrets import (
    SecretsError,
    SigningKey,
    algorithm_of,
    load_signing_key,
    public_jwk,
    signing_paths,
)

log = structlog.get_logger()

RESCAN_SECONDS = 1.0


@dataclass(frozen=True, repr=False)
class Signer:
    """A private key and the name of it."""

    kid: str
    key: SigningKey

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The compact JWS of an access token (RFC 9068)."""
        headers = {"typ": "at+jwt", "kid": self.kid}
        algorithm = algorithm_of(self.key)
        return jwt.encode(dict(claims), self.key, algorithm=algorithm, headers=headers)

    def sign_document(self, payload: Mapping[str, Any]) -> bytes:
        """The compact JWS of a document: its type keeps it from ever being read as an access token."""
        algorithm = algorithm_of(self.key)
        # Not by `jwt.encode`, whose header begins as an access token's: to the eye, and to who looks for tokens
        # where none belongs, this is none.
        header = _segment({"typ": DOCUMENT_TYPE, "alg": algorithm, "kid": self.kid})
        signed = header + b"." + _segment(payload)
        signature = jwt.get_algorithm_by_name(algorithm).sign(signed, self.key)
        return signed + b"." + b64url(signature).encode("ascii")

    def is_in(self, ring: KeyRing) -> bool:
        """Whether *ring* has the public half of this very key under this name."""
        own = KeyRing.from_jwks({"keys": [public_jwk(self.kid, self.key)]})
        return own.find(self.kid) == ring.find(self.kid)


class PyJWTTokens:
    """`services.auth.ports.AccessTokens`. Signing takes about 0.6 ms with RSA of 2048 bits.

    A key's kind is its algorithm: RSA signs RS256, P-256 ES256, Ed25519 EdDSA. *jwks* is one object for the
    life of the process, always current.
    """

    def __init__(self, secrets_dir: Path, policy: TokenPolicy) -> None:
        """Start with the files: accept every key of jwks.json, sign with the newest of them that is here.

        Raises:
            SecretsError: there is no signing key, or jwks.json has none of them.
        """
        self._secrets_dir = secrets_dir
        self._policy = policy
        self.generation = 0
        self._ring = KeyRing.from_jwks((secrets_dir / "jwks.json").read_text("ascii"))
        self._recognised = self._ring
        self.jwks: dict[str, Any] = _parsed(secrets_dir / "jwks.json")
        self._signer = self._newest()
        self._wanted = self._signer.kid
        self._complaint = ""

    @classmethod
    def load(cls, secrets_dir: Path, policy: TokenPolicy) -> "PyJWTTokens":
        """See `__init__`."""
        return cls(secrets_dir, policy)

    @property
    def kid(self) -> str:
        """The name of the key that signs now."""
        return self._signer.kid

    @property
    def recognised(self) -> KeyRing:
        """Every key that was never compromised: what documents of auth are judged by here."""
        return self._recognised

    def sign_document(self, payload: Mapping[str, Any]) -> bytes:
        """A document under the key that signs now."""
        return self._signer.sign_document(payload)

    def follow(self, body: Mapping[str, Any], generation: int) -> None:
        """Take the operator's document: keys, and which of them signs once it is here.

        Raises:
            DocumentError: the body is not one of ``keys``.
            InvalidJWKSError: a key in it cannot be used.
        """
        wanted = read_keys_body(body)
        if wanted is None:
            raise DocumentError("body is not keys and sign_with")
        ring = KeyRing.from_jwks({"keys": wanted.keys})
        self._recognised = KeyRing.from_jwks({"keys": [*wanted.keys, *wanted.former]})
        self._ring, self._wanted = ring, wanted.sign_with
        self.jwks["keys"] = list(wanted.keys)
        self.generation = generation
        log.info("keys.in_force", generation=generation, kids=sorted(ring.kids))
        self.rescan()

    def rescan(self) -> None:
        """Sign with the key that is wanted, if it has come to signing/ by now."""
        if self._wanted == self.kid:
            self._complaint = ""
            return
        found = self._find(self._wanted)
        if isinstance(found, Signer):
            log.info("signing_key.changed", kid=found.kid, before=self.kid)
            self._signer, self._complaint = found, ""
        elif found != self._complaint:
            self._complaint = found
            log.warning("signing_key.missing", kid=self._wanted, signs=self.kid, reason=found)

    async def watch(self, stopping: asyncio.Event) -> None:
        """`rescan` once a second until *stopping*."""
        while not stopping.is_set():
            self.rescan()
            await pause(RESCAN_SECONDS, stopping)

    def not_ready(self) -> str | None:
        """For /ready: None, or that nobody accepts what is signed here."""
        if self._signer.is_in(self._ring):
            return None
        return self.remark() or f"the file of the signing key {self.kid} is another key"

    def remark(self) -> str | None:
        """None, or that another key ought to sign, and why it does not."""
        if not self._complaint:
            return None
        return f"{self._wanted} ought to sign instead of {self.kid}: {self._complaint}"

    def sign(self, claims: Mapping[str, Any]) -> str:
        return self._signer.sign(claims)

    def read(self, token: str, now_ms: int) -> Claims | str:
        result = verify_access_token(_bytes(token), self._ring, self._policy, now_ms=now_ms)
        return result.code if isinstance(result, Refused) else result

    def read_expired(self, token: str) -> Claims | None:
        """Under a retired key too: it says whose browser this is, and lets nobody in."""
        result = decode_access_token(_bytes(token), self._recognised, self._policy)
        return None if isinstance(result, Refused) else result

    def _newest(self) -> Signer:
        paths = signing_paths(self._secrets_dir)
        if not paths:
            raise SecretsError(f"no key in {self._secrets_dir / 'signing'}: run `latchwire init`")
        named = [path for path in paths if self._ring.find(path.stem) is not None]
        if not named:
            raise SecretsError(f"jwks.json does not have the signing key {paths[-1].stem}")
        return Signer(named[-1].stem, load_signing_key(named[-1]))

    def _find(self, kid: str) -> Signer | str:
        """The signer named *kid*, or why there is none."""
        path = next((p for p in signing_paths(self._secrets_dir) if p.stem == kid), None)
        if path is None:
            return "its private key is not under signing/"
        try:
            signer = Signer(kid, load_signing_key(path))
        except SecretsError:
            return "its file under signing/ cannot be used"
        return signer if signer.is_in(self._ring) else "its file under signing/ is another key"


def _parsed(path: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(path.read_text("ascii"))
    return parsed


def _segment(value: Mapping[str, Any]) -> bytes:
    return b64url(json.dumps(value, separators=(",", ":")).encode("ascii")).encode("ascii")


def _bytes(token: str) -> bytes:
    # aiohttp keeps bytes that are not UTF-8 as surrogates: here they become a refusal, not a crash.
    return token.encode("utf-8", "surrogatepass")
