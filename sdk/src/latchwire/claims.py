"""What an access token says, and the strict types and ranges of every claim (RFC 9068 §2.2).

``iat``, ``exp`` and ``auth_time`` are Unix seconds; ``iat_ms`` and ``sst`` (session start) are Unix
milliseconds of the one clock that revocation watermarks use too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_TEXT_BYTES = 255
MAX_ROLES = 64
MIN_SECONDS = 1_577_836_800  # 2020-01-01
MAX_SECONDS = 4_102_444_800  # 2100-01-01
SECONDS = range(MIN_SECONDS, MAX_SECONDS)
MILLISECONDS = range(MIN_SECONDS * 1000, MAX_SECONDS * 1000)


@dataclass(frozen=True, slots=True)
class Claims:
    """A verified access token. ``org``, ``permissions`` and ``csrf`` are empty where they do not apply.

    *roles* that begin with ``org:`` are held in the organisation *org*, the others were granted by an operator.
    *service* is the name of the service that calls, which is then ``sub`` and ``client_id`` too and has no
    *email* and no roles, and *org* where its token is bound to one; "" for a person.
    """

    iss: str
    aud: str
    sub: str
    email: str
    sid: str
    jti: str
    kid: str
    client_id: str
    org: str
    roles: tuple[str, ...]
    amr: tuple[str, ...]
    auth_time: int
    iat: int
    exp: int
    iat_ms: int
    sst: int
    csrf: str
    permissions: tuple[str, ...] = ()
    service: str = ""


def find_bad_claim(payload: Mapping[str, Any]) -> str | None:
    """Name the first claim that is missing or not of its type and range; None when all are right."""
    for name, check in _REQUIRED:
        if name not in payload or not check(payload[name]):
            return name
    bad = _bad_of_kind(payload)
    if bad is not None:
        return bad
    for name, check in _OPTIONAL:
        if name in payload and not check(payload[name]):
            return name
    return _inconsistent(payload)


def build_claims(payload: Mapping[str, Any], kid: str) -> Claims:
    """The claims of a *payload* in which `find_bad_claim` found nothing; unknown members are left out."""
    return Claims(
        kid=kid,
        org=payload.get("org", ""),
        csrf=payload.get("csrf", ""),
        roles=tuple(payload.get("roles", ())),
        amr=tuple(payload.get("amr", ())),
        permissions=tuple(payload.get("permissions", ())),
        service=payload.get("service", ""),
        email=payload.get("email", ""),
        **{name: payload[name] for name, _ in _REQUIRED},
    )


def _bad_of_kind(payload: Mapping[str, Any]) -> str | None:
    """A person has an address; a service has its name three times, and nothing that people have."""
    if "service" not in payload:
        return None if _is_text(payload.get("email")) else "email"
    names = {payload["sub"], payload["client_id"]}
    if not _is_text(payload["service"]) or names != {payload["service"]}:
        return "service"
    return next((name for name in _OF_PEOPLE if payload.get(name)), None)


def _inconsistent(payload: Mapping[str, Any]) -> str | None:
    if payload["exp"] <= payload["iat"]:
        return "exp"
    # We issue no nbf. One that is present may not ask for a check that we would not make.
    if payload.get("nbf", 0) > payload["iat"]:
        return "nbf"
    # Two ways of saying when; watermarks compare the one, the lifetime ceiling the other.
    if abs(payload["iat_ms"] // 1000 - payload["iat"]) > 1:
        return "iat_ms"
    return None


def _is_text(value: Any) -> bool:
    # Printable excludes control characters, line separators and lone surrogates: these texts
    # become request headers and log fields.
    if type(value) is not str or not value or not value.isprintable():
        return False
    return len(value) <= MAX_TEXT_BYTES and len(value.encode("utf-8")) <= MAX_TEXT_BYTES


def _is_optional_text(value: Any) -> bool:
    return value == "" or _is_text(value)


def _is_role(value: Any) -> bool:
    # Roles travel in one comma-separated header.
    return _is_text(value) and "," not in value


def _are_roles(value: Any) -> bool:
    return type(value) is list and len(value) <= MAX_ROLES and all(map(_is_role, value))


def _is_seconds(value: Any) -> bool:
    return type(value) is int and value in SECONDS


def _is_milliseconds(value: Any) -> bool:
    return type(value) is int and value in MILLISECONDS


_OF_PEOPLE = ("email", "roles", "csrf")
_Check = Callable[[Any], bool]
_REQUIRED: tuple[tuple[str, _Check], ...] = (
    ("iss", _is_text),
    ("aud", _is_text),
    ("sub", _is_text),
    ("sid", _is_text),
    ("jti", _is_text),
    ("client_id", _is_text),
    ("auth_time", _is_seconds),
    ("iat", _is_seconds),
    ("exp", _is_seconds),
    ("iat_ms", _is_milliseconds),
    ("sst", _is_milliseconds),
)
_OPTIONAL: tuple[tuple[str, _Check], ...] = (
    ("org", _is_optional_text),
    ("csrf", _is_optional_text),
    ("roles", _are_roles),
    ("permissions", _are_roles),
    ("amr", _are_roles),
    ("nbf", _is_seconds),
)
