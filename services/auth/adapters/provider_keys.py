"""Check the signature of an ID Token with its provider's own keys and its own list of algorithms."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.exceptions import PyJWTError

from services.auth.adapters.kept_document import KeptDocument
from services.auth.domain.id_token import fill_tenant
from services.auth.domain.plain_json import NotPlainJSONError, parse_plain_object
from services.auth.domain.provider import ProviderConfig, Unproven

MAX_TOKEN = 16 * 1024
# Which kinds of key an algorithm is for; none of them is a shared secret (``oct``).
KINDS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
_STRICT = jwt.PyJWS(algorithms=list(KINDS), options={"enforce_minimum_key_length": True})


@dataclass(frozen=True)
class Signed:
    """Claims that the provider has signed, with *algorithm*."""

    claims: Mapping[str, Any]
    algorithm: str


async def read_signed(
    token: object, keys: KeptDocument, config: ProviderConfig
) -> Signed | Unproven:
    """What *token* says, if a key of the provider signed it.

    Raises:
        ProviderUnavailableError, ProviderBrokenError: there are no keys to check it with.
    """
    header = _header(token)
    if header is None or not isinstance(token, str):
        return Unproven("id_token_form")
    algorithm = header.get("alg")
    if algorithm not in config.algorithms or algorithm not in KINDS:
        return Unproven("id_token_alg")
    key = _find(await keys.read(), header, algorithm)
    if key is None:
        key = _find(await keys.read(renew=True), header, algorithm)
    if key is None:
        return Unproven("id_token_key")
    return _verified(token, key, algorithm, config)


def _header(token: object) -> Mapping[str, Any] | None:
    """Nothing is proven by it yet: it says which key to try, and PyJWT reads it again, strictly."""
    if not isinstance(token, str) or len(token) > MAX_TOKEN or not token.isascii():
        return None
    head = token.partition(".")[0]
    try:
        header = parse_plain_object(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:  # no base64url, or no JSON object
        return None
    return None if "crit" in header or "b64" in header else header


def _find(
    document: Mapping[str, Any], header: Mapping[str, Any], algorithm: str
) -> Mapping[str, Any] | None:
    """The key that *header* names; without a name the only one that fits. Two that fit are none."""
    listed = document.get("keys")
    keys = [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
    fitting = [key for key in keys if _fits(key, algorithm)]
    if "kid" in header:
        fitting = [key for key in fitting if key.get("kid") == header["kid"]]
    return fitting[0] if len(fitting) == 1 else None


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    kind = key.get("kty") == KINDS[algorithm]
    return kind and key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm


def _verified(
    token: str, key: Mapping[str, Any], algorithm: str, config: ProviderConfig
) -> Signed | Unproven:
    try:
        public = jwt.PyJWK.from_dict(dict(key), algorithm=algorithm)
        payload = _STRICT.decode_complete(token, public, algorithms=[algorithm])["payload"]
        claims = parse_plain_object(payload)
    except NotPlainJSONError:
        return Unproven("id_token_form")
    except (PyJWTError, ValueError, TypeError):
        return Unproven("id_token_signature")
    return Signed(claims, algorithm) if _may_sign(key, claims, config) else Unproven("id_token_key")


def _may_sign(key: Mapping[str, Any], claims: Mapping[str, Any], config: ProviderConfig) -> bool:
    """Microsoft's keys name whose tokens they sign: one tenant's must not sign for another."""
    owner = key.get("issuer")
    if "{tenantid}" not in config.issuer or owner is None:
        return True
    return isinstance(owner, str) and claims.get("iss") == fill_tenant(
        owner, claims.get("tid"), config.tenants
    )
