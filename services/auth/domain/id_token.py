"""What an ID Token must say before anybody is signed in by it (OIDC Core §3.1.3.7; yardstick O-03, O-04).

The signature is checked before (`services.auth.adapters.provider_keys`); here are the claims, in order.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.auth.domain.provider import ProviderConfig, Unproven
from shared.ids import b64url

LEEWAY_SECONDS = 60  # a provider's clock is not ours
MAX_AGE_SECONDS = 900

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_SUBJECT = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)  # OIDC Core §2


@dataclass(frozen=True)
class Expected:
    """What this login asked for, and what came beside the token."""

    config: ProviderConfig
    nonce: str = field(repr=False)
    algorithm: str
    access_token: str = field(default="", repr=False)


def judge_id_token(claims: Mapping[str, Any], expected: Expected, now_ms: int) -> Unproven | None:
    """The first rule that *claims* break, or None: they prove (iss, sub)."""
    checks = (
        ("iss", issuer_of(claims, expected.config) is not None),
        ("sub", is_subject(claims.get("sub"))),
        ("aud", _is_for(claims, expected.config.client_id)),
        ("time", _is_current(claims, now_ms // 1000)),
        ("nonce", _equal(claims.get("nonce"), expected.nonce)),
        ("at_hash", _fits_access_token(claims, expected)),
    )
    return next((Unproven(f"id_token_{name}") for name, holds in checks if not holds), None)


def issuer_of(claims: Mapping[str, Any], config: ProviderConfig) -> str | None:
    """The issuer of *claims* when it is the configured one, its tenant filled in; None otherwise."""
    issuer = claims.get("iss")
    expected = fill_tenant(config.issuer, claims.get("tid"), config.tenants)
    return expected if expected and isinstance(issuer, str) and issuer == expected else None


def fill_tenant(template: str, tenant: object, tenants: frozenset[str]) -> str | None:
    """*template* with its ``{tenantid}`` filled in; None when *tenant* is no id, or not one of *tenants*."""
    if "{tenantid}" not in template:
        return template
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        return None
    if tenants and tenant not in tenants:
        return None
    return template.replace("{tenantid}", tenant)


def is_subject(value: object) -> bool:
    """Whether *value* can be a subject: a string of 1 to 255 visible ASCII characters."""
    return isinstance(value, str) and _SUBJECT.fullmatch(value) is not None


def _is_for(claims: Mapping[str, Any], client_id: str) -> bool:
    """We are the audience; where there are others, ``azp`` says that it was made for us."""
    audience, party = claims.get("aud"), claims.get("azp")
    if party is not None and party != client_id:
        return False
    if isinstance(audience, str):
        return audience == client_id
    if not isinstance(audience, list) or client_id not in audience:
        return False
    return len(audience) == 1 or party == client_id


def _is_current(claims: Mapping[str, Any], now: int) -> bool:
    issued, expires, before = claims.get("iat"), claims.get("exp"), claims.get("nbf", 0)
    if not (_is_time(issued) and _is_time(expires) and _is_time(before)):
        return False
    assert isinstance(issued, int | float)
    assert isinstance(expires, int | float)
    assert isinstance(before, int | float)
    fresh = now - MAX_AGE_SECONDS - LEEWAY_SECONDS <= issued <= now + LEEWAY_SECONDS
    return fresh and expires > now - LEEWAY_SECONDS and before <= now + LEEWAY_SECONDS


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1 << 40


def _fits_access_token(claims: Mapping[str, Any], expected: Expected) -> bool:
    """OIDC Core §3.1.3.8: the left half of the hash, when it is there."""
    stated = claims.get("at_hash")
    if stated is None:
        return True
    hash_ = _HASHES.get(
        expected.algorithm[-3:], hashlib.sha512
    )  # EdDSA: Ed25519 hashes with SHA-512
    digest = hash_(expected.access_token.encode()).digest()
    return bool(expected.access_token) and _equal(stated, b64url(digest[: len(digest) // 2]))


def _equal(stated: object, expected: str) -> bool:
    return isinstance(stated, str) and hmac.compare_digest(stated.encode(), expected.encode())
