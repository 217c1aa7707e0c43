"""What is tried with a real token: where none belongs, changed, and tokens of auth's that are for nobody here.

RFC 6750 §2 and §5.3, RFC 8725 §2.1 and §3, CVE-2015-9235 (``HS256`` by the public key), CVE-2018-0114 (``jwk``
in the header).
"""

import base64
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ctl.doctor.tricks import Lines
from shared.cookies import CookieNames
from shared.ids import Ids, b64url
from shared.secrets import (
    SecretsError,
    SigningKey,
    algorithm_of,
    load_signing_key,
    public_jwk,
    signing_paths,
)

SERVICE: Final = "lws_"
NOBODY: Final = "latchwire-doctor@latchwire-doctor.invalid"
AUDIENCE: Final = "latchwire"
LIFETIME_SECONDS: Final = 60
HOUR_SECONDS: Final = 3_600
# Where other gateways and frameworks take tokens from.
HEADERS: Final = (
    "X-Access-Token", "X-Auth-Token", "X-Api-Key", "X-Authorization", "X-Forwarded-Authorization",
    "X-Original-Authorization", "X-Forwarded-Access-Token", "X-Auth-Request-Access-Token",
    "Proxy-Authorization", "X-Latchwire-Assertion", "Sec-WebSocket-Protocol",
)  # fmt: skip
COOKIES: Final = ("access_token", "token", "jwt", "Authorization", "session", "_oauth2_proxy")
PARAMETERS: Final = ("access_token", "token", "auth", "jwt", "api_key", "authorization")


def bearer(token: str) -> Lines:
    """*token* in its place."""
    return (("Authorization", f"Bearer {token}"),)


def misplaced(token: str, *, disposable: bool) -> Iterator[tuple[str, str, Lines]]:
    """*token* where none belongs, as (name, query, header lines).

    In an address only what is *disposable*: proxies write addresses into their logs.
    """
    yield from ((name, "", lines) for name, lines in _written_otherwise(token))
    for name in HEADERS:
        yield f"the token in {name}", "", ((name, token),)
        yield f"Bearer and the token in {name}", "", ((name, f"Bearer {token}"),)
    for name in (*COOKIES, *(_session_cookies() if token.startswith(SERVICE) else ())):
        yield f"the token in a cookie ({name})", "", (("Cookie", f"{name}={token}"),)
    if disposable:
        for name in PARAMETERS:
            yield f"the token in the address ({name}=)", f"?{name}={token}", ()
            yield f"Bearer and the token in the address ({name}=)", f"?{name}=Bearer%20{token}", ()


def _written_otherwise(token: str) -> Iterator[tuple[str, Lines]]:
    """Beside another credential, or under another scheme."""
    good, other = f"Bearer {token}", "Bearer x"
    yield (
        "the token, and another Authorization",
        (("Authorization", good), ("Authorization", other)),
    )
    yield (
        "another Authorization, and the token",
        (("Authorization", other), ("Authorization", good)),
    )
    yield "the token twice", (("Authorization", good), ("Authorization", good))
    yield "two tokens in one line", (("Authorization", f"{good}, {other}"),)
    yield "the token without a scheme", (("Authorization", token),)
    yield "the token under the scheme Token", (("Authorization", f"Token {token}"),)
    for name, pair in (("the name", f"{token}:"), ("the password", f"x:{token}")):
        basic = base64.b64encode(pair.encode()).decode()
        yield f"the token as {name} of Basic", (("Authorization", f"Basic {basic}"),)


def _session_cookies() -> Iterable[str]:
    """Where people's tokens belong, and a service's does not."""
    kinds = ((secure, domain) for secure in (True, False) for domain in (None, "x"))
    return {CookieNames.derive(secure=secure, domain=domain).access for secure, domain in kinds}


def altered(token: str, keys: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Other tokens made of *token*, as (name, token). *keys*: the public ones, as auth shows them."""
    if token.startswith(SERVICE):
        yield "with its last character changed", token[:-1] + ("a" if token[-1] != "a" else "b")
        kinds = ("_live_", "_dev_") if "_live_" in token else ("_dev_", "_live_")
        yield "with another kind", token.replace(*kinds)
        yield "in other letters", token.swapcase()
        return
    parts = token.split(".")
    claims = _read(parts[1]) if len(parts) == 3 else None
    if claims is None:
        return
    header = _read(parts[0]) or {}
    raised = _segment({**claims, "roles": ["admin", "auditor"], "permissions": ["*"]})
    yield "with other claims", f"{parts[0]}.{raised}.{parts[2]}"
    yield "without its signature", f"{parts[0]}.{parts[1]}."
    for algorithm in ("none", "None"):
        yield f"with alg {algorithm}", f"{_segment({**header, 'alg': algorithm})}.{parts[1]}."
    stranger = ed25519.Ed25519PrivateKey.generate()
    told = {**header, "alg": "EdDSA"}
    yield "signed by a stranger", _sign(told, claims, stranger)
    own = public_jwk(str(header.get("kid", "")), stranger)
    yield "signed by a key of its own header", _sign({**told, "jwk": own}, claims, stranger)
    for key in keys:
        if key.get("kid") == header.get("kid"):
            yield from _by_public_key(header, parts[1], key)


def _by_public_key(
    header: Mapping[str, Any], payload: str, key: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """For readers that let the header choose the algorithm: everybody has the public key."""
    signed = f"{_segment({**header, 'alg': 'HS256'})}.{payload}"
    try:
        public = jwt.PyJWK(dict(key)).key
    except (jwt.PyJWKError, jwt.InvalidKeyError, KeyError, ValueError):
        return
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.new(pem, signed.encode(), "sha256").digest()
    yield "with alg HS256 by the public key", f"{signed}.{b64url(mac)}"


@dataclass(frozen=True, repr=False)
class Signer:
    """A key of auth's that lies here, and its name."""

    kid: str
    key: SigningKey


def signer_of(secrets: Path, keys: Iterable[Mapping[str, Any]]) -> Signer | None:
    """The newest key here whose public half is among *keys*; None where there is none, or it cannot be read."""
    shown = {key.get("kid") for key in keys}
    for path in reversed(signing_paths(secrets)):
        if path.stem in shown:
            try:
                return Signer(path.stem, load_signing_key(path))
            except SecretsError:
                return None
    return None


# What is wrong with each; in all else they are as auth makes them. None becomes good later, or elsewhere.
WRONG: Final[tuple[tuple[str, dict[str, Any], str], ...]] = (
    ("signed, for another audience", {"aud": "latchwire-doctor"}, "at+jwt"),
    ("signed, of another issuer", {"iss": "https://latchwire-doctor.invalid"}, "at+jwt"),
    (
        "signed, and run out",
        {"iat": -HOUR_SECONDS - LIFETIME_SECONDS, "exp": -HOUR_SECONDS},
        "at+jwt",
    ),
    ("signed, as another kind of token", {}, "latchwire-doctor+jwt"),
)


def signed_wrongly(
    signer: Signer, *, issuer: str, now_ms: int, ids: Ids
) -> Iterator[tuple[str, str]]:
    """Tokens that auth's own key signed, each with one thing wrong, about a person who is nobody."""
    for name, changes, kind in WRONG:
        yield name, signed_token(signer, changes, kind, issuer=issuer, now_ms=now_ms, ids=ids)


def signed_token(
    signer: Signer, changes: Mapping[str, Any], kind: str, *, issuer: str, now_ms: int, ids: Ids
) -> str:
    """One of them. *changes*: claims, times in seconds from now."""
    now = now_ms // 1000
    iat = now + changes.get("iat", 0)
    claims = {
        "iss": changes.get("iss", issuer),
        "aud": changes.get("aud", AUDIENCE),
        "sub": NOBODY,
        "email": NOBODY,
        "sid": ids.ulid(now_ms),
        "jti": ids.ulid(now_ms),
        "client_id": "latchwire-doctor",
        "auth_time": iat,
        "iat": iat,
        "exp": now + changes.get("exp", LIFETIME_SECONDS),
        "iat_ms": iat * 1000,
        "sst": iat * 1000,
    }
    header = {"typ": kind, "alg": algorithm_of(signer.key), "kid": signer.kid}
    return _sign(header, claims, signer.key)


def _sign(header: Mapping[str, Any], claims: Mapping[str, Any], key: SigningKey) -> str:
    signed = f"{_segment(header)}.{_segment(claims)}"
    signature = jwt.get_algorithm_by_name(algorithm_of(key)).sign(signed.encode(), key)
    return f"{signed}.{b64url(signature)}"


def _segment(content: Mapping[str, Any]) -> str:
    return b64url(json.dumps(content, separators=(",", ":")).encode())


def _read(segment: str) -> dict[str, Any] | None:
    try:
        content = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
