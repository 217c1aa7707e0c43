"""Access tokens: signed with PyJWT, read with the SDK's verifier, as every edge reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt

from latchwire.claims import Claims
from latchwire.keys import KeyRing
from latchwire.tokens import Refused, TokenPolicy, decode_access_token, verify_access_token
from shared.secrets import (
    SecretsError,
    SigningKey,
    algorithm_of,
    load_signing_key,
    signing_paths,
)


class PyJWTTokens:
    """`services.auth.ports.AccessTokens`. Signing takes about 0.6 ms with RSA of 2048 bits.

    The newest key's kind is the algorithm: RSA signs RS256, P-256 ES256, Ed25519 EdDSA.
    """

    def __init__(self, kid: str, key: SigningKey, ring: KeyRing, policy: TokenPolicy) -> None:
        self.kid = kid
        self._key, self._algorithm = key, algorithm_of(key)
        self._headers = {"typ": "at+jwt", "kid": kid}
        self._ring = ring
        self._policy = policy

    @classmethod
    def load(cls, secrets_dir: Path, policy: TokenPolicy) -> "PyJWTTokens":
        """Sign with the newest key under signing/, accept every one of jwks.json.

        Raises:
            SecretsError: there is no signing key, or jwks.json does not have it.
        """
        paths = signing_paths(secrets_dir)
        if not paths:
            raise SecretsError(f"no key in {secrets_dir / 'signing'}: run `latchwire init`")
        kid = paths[-1].stem
        ring = KeyRing.from_jwks((secrets_dir / "jwks.json").read_text("ascii"))
        if ring.find(kid) is None:
            raise SecretsError(f"jwks.json does not have the signing key {kid}")
        return cls(kid, load_signing_key(paths[-1]), ring, policy)

    def sign(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(dict(claims), self._key, algorithm=self._algorithm, headers=self._headers)

    def read(self, token: str, now_ms: int) -> Claims | str:
        result = verify_access_token(_bytes(token), self._ring, self._policy, now_ms=now_ms)
        return result.code if isinstance(result, Refused) else result

    def read_expired(self, token: str) -> Claims | None:
        result = decode_access_token(_bytes(token), self._ring, self._policy)
        return None if isinstance(result, Refused) else result


def _bytes(token: str) -> bytes:
    # aiohttp keeps bytes that are not UTF-8 as surrogates: here they become a refusal, not a crash.
    return token.encode("utf-8", "surrogatepass")
