"""``revokers.yaml``: which service may revoke what. Who is not here may revoke nothing.

    shop: [session, token]     # the credential service-shop; it says token.revoked.by.shop
    reports: []                # reads the feed only

Scopes are ``session``, ``token`` and ``subject``. A key or a service is revoked by operators alone.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import structlog

from shared.strict_yaml import Lines, StrictYAMLError, read_yaml

# What a service may be allowed at all: the other scopes close a whole installation.
SERVICE_SCOPES = ("session", "token", "subject")
MAX_BYTES = 64 * 1024
MAX_SERVICES = 256

log = structlog.get_logger()

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)


class RevokersError(Exception):
    """The table cannot be used; the message names file, line and cure."""


class MayRevoke(Protocol):
    """Says who may."""

    def allows(self, name: str, scope: str) -> bool:
        """Whether the service *name* may revoke in *scope*."""
        ...

    def names(self) -> Collection[str]:
        """The services that may revoke in some scope."""
        ...


@dataclass(frozen=True)
class Revokers:
    """The table: the scopes of each service by its name."""

    scopes: dict[str, frozenset[str]] = field(default_factory=dict)

    def allows(self, name: str, scope: str) -> bool:
        """Whether the service *name* may revoke in *scope*."""
        return scope in SERVICE_SCOPES and scope in self.scopes.get(name, ())

    def names(self) -> Collection[str]:
        """The services that may revoke in some scope."""
        return self._names

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(name for name, scopes in self.scopes.items() if scopes)


class RevokersFile:
    """The table in the file *path*, read again when the file was changed.

    A change that cannot be used is logged, and the table before it stays in force.

    Raises:
        RevokersError: at the start, it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._table = load_revokers(path)

    def allows(self, name: str, scope: str) -> bool:
        """Whether the service *name* may revoke in *scope*, by the file as it is now."""
        return self._now().allows(name, scope)

    def names(self) -> Collection[str]:
        """The services that may revoke in some scope, by the file as it is now."""
        return self._now().names()

    def _now(self) -> Revokers:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            self._read()
        return self._table

    def _read(self) -> None:
        try:
            self._table = load_revokers(self._path)
        except RevokersError as error:
            log.warning("revokers.unusable", problem=str(error))
        else:
            log.info("revokers.read", services=len(self._table.scopes))


def load_revokers(path: Path) -> Revokers:
    """The table in the file *path*; without a file nobody may revoke.

    Raises:
        RevokersError: it is there and cannot be used.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode("utf-8")
    except FileNotFoundError:
        return Revokers()
    except OSError as error:
        raise RevokersError(f"{path.name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RevokersError(f"{path.name}: is not UTF-8: save it as UTF-8") from None
    return parse_revokers(text, path.name)


def parse_revokers(text: str, name: str = "revokers.yaml") -> Revokers:
    """The table in *text*; *name* is the file's, for errors.

    Raises:
        RevokersError: at the first mistake.
    """
    if len(text.encode()) > MAX_BYTES:
        raise RevokersError(f"{name}: is larger than {MAX_BYTES} bytes: list services only")
    try:
        document, lines = read_yaml(text)
    except StrictYAMLError as error:
        raise RevokersError(f"{name}:{error.line}: {error.problem}") from None
    if not isinstance(document, dict):
        raise RevokersError(f"{name}:1: is no table: write shop: [session]")
    if len(document) > MAX_SERVICES:
        raise RevokersError(f"{name}: has more than {MAX_SERVICES} services: remove some")
    return Revokers({key: _row(name, lines, key, value) for key, value in document.items()})


def valid_service_name(name: str) -> bool:
    """Whether a service can have this name: it is a token of a subject, and a part of a file's name."""
    return bool(_NAME.fullmatch(name))


def _row(name: str, lines: Lines, service: str, scopes: Any) -> frozenset[str]:
    if not valid_service_name(service):
        cure = (
            "begin with a lower-case letter; then lower-case letters, digits and dashes, 40 at most"
        )
        raise RevokersError(f"{name}:{lines[(service,)]}: that is no service's name: {cure}")
    place = f"{name}:{lines[(service,)]}: {service}"
    if not isinstance(scopes, list):
        raise RevokersError(f"{place}: write a list: [session, token], or [] for none")
    for index, scope in enumerate(scopes):
        if scope not in SERVICE_SCOPES:
            line = lines[(service, index)]
            raise RevokersError(f"{name}:{line}: {service}: {_wrong(scope)}")
    if len(set(scopes)) != len(scopes):
        raise RevokersError(f"{place}: a scope stands twice: remove one")
    return frozenset(scopes)


def _wrong(scope: Any) -> str:
    if scope in ("key", "service"):
        return f"scope {scope} is for operators alone: remove it"
    return f"no such scope: write {', '.join(SERVICE_SCOPES)}"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What differs when the file was changed; None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
