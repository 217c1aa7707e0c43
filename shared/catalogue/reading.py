"""Reads and checks ``services.yaml``: every problem with its line, its key and the cure."""

import difflib
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from shared.catalogue.document import (
    CatalogueDocument,
    PermissionNeeds,
    RoleNeeds,
    ServiceDocument,
)
from shared.catalogue.service import Catalogue, Needs, RateLimit, Service
from shared.durations import MAX_STALENESS_SECONDS, parse_duration
from shared.strict_yaml import Lines, StrictYAMLError, read_yaml

MAX_BYTES = 1 << 20

_CURES = {
    "paths": "a prefix begins with / and ends without one, and has letters, digits, - . _ ~, no wildcard",
    "host": "write the bare host name, without scheme, port, path or last dot",
    "upstream": "write http://host:port, without a path",
    "emails": "write ada@acme.com or @acme.com, in lower case",
    "roles": "a role has no space or comma",
    "max_staleness": "write a number and a unit: 10s",
    "services": "a name has lower-case letters, digits and dashes",
}
_CURES["public_paths"] = _CURES["paths"]


class CatalogueError(Exception):
    """The catalogue cannot be used; each of `problems` names line, key and cure."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def load_catalogue(path: Path) -> Catalogue:
    """Read and check the file.

    Raises:
        CatalogueError: it is missing, unreadable or not right.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError([f"{path.name}: cannot be read: {type(error).__name__}"]) from error
    return parse_catalogue(text, path.name)


def parse_catalogue(text: str, name: str = "services.yaml") -> Catalogue:
    """The catalogue in *text*; *name* stands in messages.

    Raises:
        CatalogueError: with every problem found.
    """
    document, lines = _read(text, name)
    try:
        model = CatalogueDocument.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        raise CatalogueError([_explain(e, lines, name) for e in found]) from None
    services = tuple(_service(key, entry) for key, entry in model.services.items())
    problems = [
        f"{name}:{_line(lines, ('services', *where))}: services.{'.'.join(where)}: {what}"
        for where, what in _contradictions(services)
    ]
    if problems:
        raise CatalogueError(problems)
    return Catalogue(services)


def is_under(path: str, prefix: str) -> bool:
    """Whether *path* is *prefix* or below it, by segment."""
    return prefix == "/" or path == prefix or path.startswith(prefix + "/")


# The owner's words for two limits, as requests a minute.
_NAMED_RATES = {"standard": "100/minute", "strict": "20/minute"}
_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}


def _service(name: str, entry: ServiceDocument) -> Service:
    return Service(
        name=name,
        host=None if entry.host is None else entry.host.lower(),
        paths=tuple(entry.paths),
        upstream=entry.upstream,
        require_auth=entry.require_auth,
        roles=_needs(entry.roles),
        emails=tuple(entry.emails),
        public_paths=tuple(entry.public_paths),
        max_staleness_seconds=_seconds(entry.max_staleness),
        expose_publicly=entry.expose_publicly,
        permissions=_needs(entry.permissions),
        organisations=tuple(entry.organisation),
        callers=tuple(entry.callers),
        token_types=tuple(entry.token_types),
        login_age_seconds=_seconds(entry.login_age),
        allowed_origins=tuple(entry.allowed_origins),
        allow_credentials=entry.allow_credentials,
        rate_limit=_rate_limit(entry),
        middlewares=tuple(entry.middlewares),
        headers=tuple(entry.headers.items()),
        security_headers=entry.security_headers,
        content_security_policy=entry.content_security_policy,
    )


def _needs(written: RoleNeeds | PermissionNeeds) -> Needs:
    return Needs(tuple(written.any), tuple(written.all))


def _seconds(text: str | None) -> float | None:
    return None if text is None else parse_duration(text)


def _rate_limit(entry: ServiceDocument) -> RateLimit | None:
    """The burst is half the count when it is not written: 100/minute with 50, 20/minute with 10."""
    if entry.rate_limit is None:
        return None
    number, _, period = _NAMED_RATES.get(entry.rate_limit, entry.rate_limit).partition("/")
    count = int(number)
    return RateLimit(count, _PERIODS[period], entry.rate_burst or max(1, count // 2))


_KNOWN: dict[int, type[BaseModel]] = {1: CatalogueDocument, 3: ServiceDocument}

Where = tuple[str, ...]


def _contradictions(services: tuple[Service, ...]) -> list[tuple[Where, str]]:
    alone = [problem for service in services for problem in _within(service)]
    return alone + [problem for a, b in combinations(services, 2) for problem in _between(a, b)]


def _within(service: Service) -> list[tuple[Where, str]]:
    found: list[tuple[Where, str]] = []
    for public in service.public_paths:
        if not any(is_under(public, prefix) for prefix in service.paths):
            cure = "is outside the service's paths: add its prefix to paths or remove it"
            found.append(((service.name, "public_paths"), f"{public} {cure}"))
        if public in service.paths:
            cure = "is the whole service: write require_auth: false instead"
            found.append(((service.name, "public_paths"), f"{public} {cure}"))
    if not service.require_auth and (service.roles or service.emails or service.public_paths):
        cure = "contradicts roles, emails and public_paths: remove those, or write true"
        found.append(((service.name, "require_auth"), f"false {cure}"))
    staleness = service.max_staleness_seconds
    if staleness is not None and not 1 <= staleness <= MAX_STALENESS_SECONDS:
        found.append(((service.name, "max_staleness"), "must be from 1s to 15m, a token's life"))
    twice = {p for p in service.paths if service.paths.count(p) > 1}
    found += [((service.name, "paths"), f"{p} stands twice: remove one") for p in sorted(twice)]
    return found


def _between(a: Service, b: Service) -> list[tuple[Where, str]]:
    if a.host is not None and b.host is not None and a.host != b.host:
        return []
    if a.host == b.host:
        shared = sorted(set(_rules(a)) & set(_rules(b)))
        cure = f"belongs to services.{a.name} too: change one of them"
        found = [((b.name, "paths"), f"{prefix} {cure}") for prefix in shared]
        return found + _strays(a, b) + _strays(b, a)
    # Exact host first and longest prefix first must not give two answers.
    bound, free = (a, b) if a.host is not None else (b, a)
    return [
        (
            (free.name, "paths"),
            f"{longer} lies under services.{bound.name}'s {shorter} on {bound.host}: give it a host",
        )
        for longer in _rules(free)
        for shorter in _rules(bound)
        if longer != shorter and is_under(longer, shorter)
    ]


def _strays(a: Service, b: Service) -> list[tuple[Where, str]]:
    """Open paths of *a* for which the gateway calls *b*: only paths are routed on, the longest first."""
    return [
        ((a.name, "public_paths"), f"{public} lies under services.{b.name}'s {path}: open it there")
        for public in a.public_paths
        for path in b.paths
        if public != path and is_under(public, path) and not _is_nearer(a, public, path)
    ]


def _is_nearer(service: Service, path: str, other: str) -> bool:
    return any(is_under(path, own) and len(own) > len(other) for own in service.paths)


def _rules(service: Service) -> tuple[str, ...]:
    return service.paths + service.public_paths


def _read(text: str, name: str) -> tuple[Any, Lines]:
    if len(text) > MAX_BYTES:
        raise CatalogueError([f"{name}: is larger than {MAX_BYTES} bytes"])
    try:
        return read_yaml(text)
    except StrictYAMLError as error:
        raise CatalogueError([f"{name}:{error.line}: {error.problem}"]) from None


def _line(lines: Lines, path: tuple[str | int, ...]) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _explain(error: Any, lines: Lines, name: str) -> str:
    path = tuple(part for part in error["loc"] if part != "[key]")
    dotted = ".".join(str(part) for part in path) or "the file"
    return f"{name}:{_line(lines, path)}: {dotted}: {_say(error, path)}"


def _say(error: Any, path: tuple[str | int, ...]) -> str:
    if error["type"] == "extra_forbidden":
        known = _KNOWN.get(len(path), PermissionNeeds)
        close = difflib.get_close_matches(str(path[-1]), known.model_fields, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known.model_fields)}"
        return f"unknown key; {hint}"
    if error["type"] == "missing":
        return "is missing: add it"
    field = str(path[2]) if len(path) > 2 else ""
    cure = _CURES["services"] if len(path) == 2 else _CURES.get(field, "")
    if error["type"] == "string_pattern_mismatch":
        return f"is not right: {cure}"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}" + (f" ({cure})" if cure else "")
