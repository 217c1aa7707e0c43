"""The identity headers: always all of them, so that none a client sent can survive (GHSA-7r4p-vjf4-gxv4).

Values are visible ASCII. Anything else, a space and ``%`` itself are percent-encoded as UTF-8, so that two
different people can never look the same to a service and no value can end a header.
"""

from typing import Final
from urllib.parse import quote

from latchwire.claims import Claims

# Visible ASCII without "%".
_VISIBLE: Final = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) != "%")

USER: Final = "user"
SERVICE: Final = "service"


def header_safe(value: str) -> str:
    """*value* as visible ASCII; different values stay different."""
    return quote(value, safe=_VISIBLE, errors="replace")


def identity_headers(claims: Claims | None) -> tuple[tuple[str, str], ...]:
    """Every identity header but X-Request-Id; empty where not applicable (None: nobody)."""
    if claims is None:
        return _headers()
    if claims.service:  # nothing of a person: a service that reads only X-User-Id finds nobody
        return _headers(kind=SERVICE, service=header_safe(claims.service))
    roles = ",".join(header_safe(role).replace(",", "%2C") for role in claims.roles)
    return _headers(
        header_safe(claims.sub),
        header_safe(claims.email),
        roles,
        header_safe(claims.org),
        header_safe(claims.sid),
        USER,
    )


def _headers(
    sub: str = "",
    email: str = "",
    roles: str = "",
    org: str = "",
    sid: str = "",
    kind: str = "",
    service: str = "",
) -> tuple[tuple[str, str], ...]:
    return (
        ("X-User-Id", sub),
        ("X-User-Email", email),
        ("X-User-Roles", roles),
        ("X-Org-Id", org),
        ("X-Session-Id", sid),
        ("X-Token-Type", kind),
        ("X-Service-Name", service),
        # Comes with the edge's own key; the name is claimed already.
        ("X-Latchwire-Assertion", ""),
    )


def encode_headers(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Header lines as they go on the wire."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")
