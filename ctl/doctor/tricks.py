"""The attempts: headers, methods and spellings of paths with which gateways were opened before.

From oauth2-proxy GHSA-7x63, GHSA-vjrc and GHSA-pxq7, Traefik GHSA-6384 and GHSA-x677, Caddy GHSA-7r4p,
Oathkeeper GHSA-p224 and GHSA-vhr5, authentik GHSA-fj56, RFC 8725 §2.1.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Final

from shared.catalogue import IDENTITY_HEADERS

EVIL: Final = "https://latchwire-doctor.invalid"
Lines = tuple[tuple[str, str], ...]


def forged_token(issuer: str) -> str:
    """A token of issuer *issuer* that nobody signed (``alg: none``)."""
    claims = {
        "iss": issuer, "aud": "latchwire", "sub": "admin", "email": "admin@example.com", "exp": 4_102_444_800,
        "iat": 0, "jti": "0" * 26, "sid": "0" * 26, "client_id": "doctor", "roles": ["admin"],
    }  # fmt: skip
    parts = (json.dumps(part).encode() for part in ({"alg": "none", "typ": "at+jwt"}, claims))
    return ".".join(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts) + "."


def headers(public: str, issuer: str) -> Iterator[tuple[str, Lines]]:
    """What to send to a protected path; none of it may open it. *public* is a path that is open, or ``/``."""
    yield from _who(issuer)
    yield from _where(public)
    yield from (
        (f"{name}: OPTIONS", ((name, "OPTIONS"),))
        for name in ("X-Forwarded-Method", "X-Original-Method", "X-HTTP-Method-Override")
    )
    preflight = (("Origin", EVIL), ("Access-Control-Request-Method", "GET"))
    yield "preflight by X-Forwarded-Method", (("X-Forwarded-Method", "OPTIONS"), *preflight)
    yield "preflight by X-Original-Method", (("X-Original-Method", "OPTIONS"), *preflight)
    for name in ("X-Forwarded-Proto", "X-Forwarded-Host", "X_Forwarded_Proto", "X_Forwarded_Host"):
        yield name, ((name, "localhost" if name.endswith("Host") else "https"),)
    yield "User-Agent of a health check", (("User-Agent", "GoogleHC/1.0"),)
    yield "Upgrade", (("Connection", "Upgrade"), ("Upgrade", "websocket"))
    yield (
        "Connection: X-Forwarded-Uri",
        (("Connection", "close, X-Forwarded-Uri, X-Forwarded-For"),),
    )


def _who(issuer: str) -> Iterator[tuple[str, Lines]]:
    """Somebody who is nobody."""
    for name in sorted(IDENTITY_HEADERS):
        yield name, ((name, "admin"),)
    yield "all identity headers", tuple((name, "admin") for name in sorted(IDENTITY_HEADERS))
    yield "Authorization: Basic", (("Authorization", "Basic YWRtaW46YWRtaW4="),)
    yield "Authorization: Bearer x", (("Authorization", "Bearer x"),)
    forged = forged_token(issuer)
    yield "a token nobody signed", (("Authorization", f"Bearer {forged}"),)
    for cookie in ("__Host-latchwire", "__Secure-latchwire", "latchwire-dev"):
        yield f"a cookie nobody signed ({cookie})", (("Cookie", f"{cookie}={forged}"),)
    yield "a broken cookie", (("Cookie", '__Host-latchwire="; latchwire-dev=%00; =;;'),)
    for address in ("127.0.0.1", "::1", "a"):
        yield f"X-Forwarded-For: {address}", (("X-Forwarded-For", address),)
    yield "X-Real-IP", (("X-Real-IP", "127.0.0.1"),)
    yield "Forwarded", (("Forwarded", 'for=127.0.0.1;host=localhost;proto=https;by="_edge"'),)


def _where(public: str) -> Iterator[tuple[str, Lines]]:
    """Somewhere else than where it is."""
    for name in ("X-Forwarded-Uri", "X_Forwarded_Uri", "X-Original-Uri", "X-Rewrite-Url"):
        yield f"{name}: {public}", ((name, public),)
    yield "X-Original-URL", (("X-Original-URL", f"https://localhost{public}"),)
    yield f"X-Forwarded-Prefix: {public}", (("X-Forwarded-Prefix", public),)
    yield "X-Forwarded-Uri twice", (("X-Forwarded-Uri", public), ("X-Forwarded-Uri", public))
    yield "X-Forwarded-Port", (("X-Forwarded-Port", "443"),)


OTHER_SEPARATORS: Final = (
    "!#$%&'*+^`|~"  # what else a name may hold (RFC 9110 §5.6.2) and a reader may fold
)
METHODS: Final = ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "TRACE", "get", "DOCTOR")


def spellings(path: str) -> Iterator[str]:
    """Other spellings of the protected *path* that some reader takes for it."""
    first = path[1:2]
    yield f"/{path}"
    yield f"/.{path}"
    yield f"/x/..{path}"
    yield f"/%2e{path}"
    if first:
        yield f"/%{ord(first):02x}{path[2:]}"
        yield f"/%25{ord(first):02x}{path[2:]}"
        yield f"\\{path[1:]}"
        yield f"/%2f{path[1:]}"
        yield f"/%5c{path[1:]}"
    rest = path.rstrip("/")
    for end in (
        "/.",
        "/..;/",
        ";x=1",
        "%3b",
        "%2f",
        "%5c",
        "%00",
        "%20",
        "%09",
        "#",
        "%23",
        "?x=/public",
        "/%2e",
    ):
        yield f"{rest}{end}"


def climbs(public: str, leaf: str) -> Iterator[str]:
    """Ways from the open prefix *public* to *leaf* beside it."""
    base = public.rstrip("/")
    for step in (
        "/../", "/%2e%2e/", "/.%2e/", "/%2e./", "/..%2f", "/%2e%2e%2f", "/..%5c", "/..\\", "/%252e%252e/",
        "/..%252f", "/..;/", "/..;x=1/", "//../", "/./../", "/x/../../", "/..%00/", "/..%c0%af",
        "/..%ef%bc%8f", "/%u002e%u002e/", "/..%09/", "%2f..%2f", "%2f%2e%2e%2f", "%5c..%5c",
        ";/../", "#/../", "%23/../", "%3f/../",
    ):  # fmt: skip
        yield f"{base}{step}{leaf}"


def upgrades(marker: str) -> Iterator[tuple[str, Lines]]:
    """Protocols that are no WebSocket: whatever a service switches to is a tunnel past every further check.

    h2c is what services understand; *marker* is one that nobody drops because he knows it.
    """
    settings = ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")
    yield "h2c", (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), settings)
    yield marker, (("Connection", "Upgrade"), ("Upgrade", marker))


def identity(marker: str, own: Iterable[str] = ()) -> Iterator[tuple[str, str, str]]:
    """Made-up identity headers as (check, name, value): every value is another, so each is known again.

    *own*: the names that the service's own key ``headers`` adds.
    """
    for number, name in enumerate(own):
        yield "door.own_passes", name, f"{marker}o{number}z"
    # A client's X-Request-Id may be kept: it says who asks of nobody.
    names = sorted(set(IDENTITY_HEADERS) - {"X-Request-Id"})
    for number, name in enumerate(names):
        yield "door.identity_passes", name, f"{marker}n{number}z"
        yield "door.identity_passes", name.upper(), f"{marker}u{number}z"
        for letter, alias in _aliases(name):
            yield "door.alias_passes", alias, f"{marker}{letter}{number}z"
    for number, char in enumerate(OTHER_SEPARATORS):
        yield "door.alias_passes", f"X{char}User{char}Id", f"{marker}s{number}z"


def behind_a_body(name: str, value: str) -> tuple[Lines, bytes]:
    """Header lines and a body in chunks with a trailer (RFC 9112 §7.1.2): a line that no check has seen."""
    lines = (("Transfer-Encoding", "chunked"), ("Trailer", name))
    return lines, f"2\r\nxx\r\n0\r\n{name}: {value}\r\n\r\n".encode()


def _aliases(name: str) -> Iterator[tuple[str, str]]:
    """What CGI-like readers fold to the same name."""
    yield "a", name.replace("-", "_")
    yield "b", name.replace("-", "_", 1)
    yield "c", name.replace("-", ".")
    yield "d", f"{name.rpartition('-')[0]}_{name.rpartition('-')[2]}"
