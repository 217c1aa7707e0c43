"""Verify an access token (RFC 9068) offline, stricter than the RFCs ask.

Every outcome is a value and nothing here raises, whatever the bytes. Cheap checks come first; what is
read before the signature is checked can only refuse. Nothing is fetched: keys come from the ring.
Revocation is not looked at here: ask a `latchwire.blocklist.Blocklist` on every request as well.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from latchwire._strict import decode_base64url, parse_json_object
from latchwire.claims import Claims, build_claims, find_bad_claim
from latchwire.keys import KeyRing, VerificationKey

MAX_TOKEN_BYTES = 4096
MAX_LEEWAY_SECONDS = 60
HEADER_MEMBERS = frozenset({"alg", "typ", "kid"})
TYPES = frozenset({"at+jwt", "application/at+jwt"})

RefusalCode: TypeAlias = Literal["token_invalid", "token_expired", "token_revoked", "stale"]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a token does not count.

    *code* may be told to the client. *detail* is for logs only, a fixed word that never repeats the
    token's content. ``token_expired`` and ``token_revoked`` are said of genuine tokens only. ``stale`` says
    nothing about the token: whether it is revoked cannot be known now. The codes are the edge's; this module
    gives the first two, `latchwire.verifier` all four.
    """

    code: RefusalCode
    detail: str


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """Whose tokens, for whom. *leeway_seconds* is the one allowance for clocks, for every claim.

    Raises:
        ValueError: issuer or audience empty, or a number outside its range.
    """

    issuer: str
    audience: str
    leeway_seconds: int = 5
    max_lifetime_seconds: int = 900

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ValueError("issuer and audience must be given")
        if not 0 <= self.leeway_seconds <= MAX_LEEWAY_SECONDS:
            raise ValueError(f"leeway_seconds must be 0 to {MAX_LEEWAY_SECONDS}")
        if self.max_lifetime_seconds <= 0:
            raise ValueError("max_lifetime_seconds must be positive")


def verify_access_token(
    token: bytes, ring: KeyRing, policy: TokenPolicy, *, now_ms: int
) -> Claims | Refused:
    """The claims of *token* if it is genuine, for *policy*, and valid at *now_ms* (Unix ms)."""
    claims = decode_access_token(token, ring, policy)
    if isinstance(claims, Refused):
        return claims
    return check_times(claims, policy, now_ms) or claims


def decode_access_token(token: bytes, ring: KeyRing, policy: TokenPolicy) -> Claims | Refused:
    """Everything but the clock: form, key, types, issuer, audience, lifetime and signature.

    The answer for a token does not change while *ring* and *policy* do not, so it may be cached
    beside `check_times` and the blocklist, which are asked each time.
    """
    parts = _split(token)
    if isinstance(parts, Refused):
        return parts
    key = _find_key(parts.header, ring)
    if isinstance(key, Refused):
        return key
    claims = _read_claims(parts.payload, key, policy)
    if isinstance(claims, Claims) and not key.verifies(parts.signature, parts.signed):
        return _invalid("signature")
    return claims


def check_times(claims: Claims, policy: TokenPolicy, now_ms: int) -> Refused | None:
    """Refuse *claims* that have run out, or that come from the future, at *now_ms* (Unix ms).

    The last moment of a token is ``exp`` plus leeway, exclusive (RFC 7519 §4.1.4).
    """
    leeway_ms = policy.leeway_seconds * 1000
    if now_ms >= claims.exp * 1000 + leeway_ms:
        return Refused("token_expired", "exp")
    # A session or token from the future would outlive a revocation made now.
    latest = max(claims.iat * 1000, claims.iat_ms, claims.sst, claims.auth_time * 1000)
    if latest > now_ms + leeway_ms:
        return _invalid("issued in the future")
    return None


@dataclass(frozen=True, slots=True)
class _Parts:
    header: bytes
    payload: bytes
    signature: bytes
    signed: bytes


def _invalid(detail: str) -> Refused:
    return Refused("token_invalid", detail)


def _split(token: bytes) -> _Parts | Refused:
    if not isinstance(token, bytes):
        return _invalid("not bytes")
    if len(token) > MAX_TOKEN_BYTES:
        return _invalid("too long")
    segments = token.split(b".")
    if len(segments) != 3 or not all(segments):
        return _invalid("not three segments")
    header, payload, signature = map(decode_base64url, segments)
    if header is None or payload is None or signature is None:
        return _invalid("not canonical base64url")
    return _Parts(header, payload, signature, token[: token.rindex(b".")])


def _find_key(header_bytes: bytes, ring: KeyRing) -> VerificationKey | Refused:
    header = parse_json_object(header_bytes)
    if header is None:
        return _invalid("header is not one JSON object")
    # Exactly these members: jwk, jku, x5u, crit, b64, zip, enc, cty and whatever comes are refused.
    if header.keys() != HEADER_MEMBERS or not all(type(v) is str for v in header.values()):
        return _invalid("header members")
    if header["typ"].lower() not in TYPES:
        return _invalid("typ")
    key = ring.find(header["kid"])
    if key is None:
        return _invalid("kid unknown")
    # The header may repeat the key's algorithm; it never chooses one (RFC 8725 §3.1).
    return key if header["alg"] == key.alg else _invalid("alg is not the key's")


def _read_claims(payload: bytes, key: VerificationKey, policy: TokenPolicy) -> Claims | Refused:
    members = parse_json_object(payload)
    if members is None:
        return _invalid("payload is not one JSON object")
    bad = find_bad_claim(members) or _against(members, policy)
    return _invalid(bad) if bad else build_claims(members, key.kid)


def _against(members: dict[str, Any], policy: TokenPolicy) -> str | None:
    if members["iss"] != policy.issuer:
        return "iss is another"
    if members["aud"] != policy.audience:
        return "aud is another"
    if members["exp"] - members["iat"] > policy.max_lifetime_seconds:
        return "lifetime above the ceiling"
    return None
