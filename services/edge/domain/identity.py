"""The identity headers: always all of them, so that none a client sent can survive (GHSA-7r4p-vjf4-gxv4).

Values are visible ASCII. Anything else, a space and ``%`` itself are percent-encoded as UTF-8, so that two
different people can never look the same to a service and no value can end a header.
"""

from typing import Final
from urllib.parse import quote

from latchwire.claims import Claims
from shared.catalogue import Service

# Visible ASCII without "%".
_VISIBLE: Final = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) != "%")

USER: Final = "user"
SERVICE: Final = "service"


def header_safe(value: str) -> str:
    """*value* as visible ASCII; different values stay different."""
    return quote(value, safe=_VISIBLE, errors="replace")


def identity_headers(claims: Claims | None) -> tuple[tuple[str, str], ...]:
    """What is the same at every service; empty where not applicable (None: nobody).

    Beside them go `route_headers`, the assertion and X-Request-Id.
    """
    if claims is None:
        return _headers()
    kind, service = (SERVICE, header_safe(claims.service)) if claims.service else (USER, "")
    if not claims.email:  # nothing of a person: a service that reads only X-User-Id finds nobody
        return _headers(org=header_safe(claims.org), kind=kind, service=service)
    return _headers(
        header_safe(claims.sub),
        header_safe(claims.email),
        _listed(claims.roles),
        header_safe(claims.org),
        header_safe(claims.sid),
        kind,
        service,
    )


def route_headers(service: Service, claims: Claims | None) -> tuple[tuple[str, str], ...]:
    """The headers that *service* asks for beside the usual ones; empty for nobody."""
    return tuple((name, _text(claims, claim)) for name, claim in service.headers)


def _text(claims: Claims | None, claim: str) -> str:
    value = "" if claims is None else getattr(claims, claim)
    return _listed(value) if isinstance(value, tuple) else header_safe(str(value))


def _listed(names: tuple[str, ...]) -> str:
    return ",".join(header_safe(name).replace(",", "%2C") for name in names)


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
    )


def encode_headers(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Header lines as they go on the wire."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")


NOBODY: Final = encode_headers(identity_headers(None))
