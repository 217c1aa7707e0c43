"""``services.yaml``: which service answers where, and who may call it. What is not here is refused.

    services:
      demo:
        host: app.example.com          # optional; without it every host
        paths: [/demo]                 # prefixes by segment: /demo and /demo/…, never /demonstration
        upstream: http://127.0.0.1:9100
        require_auth: true             # false: open to everybody
        roles: [admin]                 # any one of them; empty: everybody who is signed in
        emails: ["@acme.com", sam@partner.org]
        public_paths: [/demo/public]   # open although the service is not
        max_staleness: 10s             # how old the proof of the blocklist may be

Exact host before any host, then the longest prefix. A rule whose reading could differ between two
readers is refused, with its line and the cure.
"""

import difflib
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.durations import MAX_STALENESS_SECONDS, parse_duration
from shared.strict_yaml import Lines, StrictYAMLError, read_yaml

MAX_BYTES = 1 << 20

# Unreserved characters only (RFC 3986 §2.3): others have two spellings, which readers compare differently.
_PREFIX = r"^/$|^(?:/\.{0,2}[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)+$"
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"

PathPrefix = Annotated[str, StringConstraints(pattern=_PREFIX, max_length=1024)]
Host = Annotated[
    str,
    StringConstraints(pattern=rf"^(?:{_LABEL}\.)*{_LABEL}$", max_length=253),
]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Role = Annotated[str, StringConstraints(pattern=r"^[!-+\--~]{1,255}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\sA-Z]*@[^@\sA-Z]+$", max_length=254)]
Upstream = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$")]
Duration = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,7}(?:ms|s|m)$")]

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


class ServiceDocument(BaseModel):
    """One entry under ``services``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    host: Host | None = None
    paths: list[PathPrefix] = Field(default=["/"], min_length=1)
    upstream: Upstream
    require_auth: bool = True
    roles: list[Role] = []
    emails: list[Email] = []
    public_paths: list[PathPrefix] = []
    max_staleness: Duration | None = None


class CatalogueDocument(BaseModel):
    """The whole file; `model_json_schema` gives editors its schema."""

    model_config = ServiceDocument.model_config

    services: dict[Name, ServiceDocument]


@dataclass(frozen=True, slots=True)
class Service:
    """One service behind the gateway. *host* is lower-case, or None for every host.

    With both *roles* and *emails* a caller needs one of each.
    """

    name: str
    host: str | None
    paths: tuple[str, ...]
    upstream: str
    require_auth: bool = True
    roles: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    public_paths: tuple[str, ...] = ()
    max_staleness_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All services, in the order of the file."""

    services: tuple[Service, ...]


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


def _service(name: str, entry: ServiceDocument) -> Service:
    staleness = None if entry.max_staleness is None else parse_duration(entry.max_staleness)
    return Service(
        name,
        None if entry.host is None else entry.host.lower(),
        tuple(entry.paths),
        entry.upstream,
        entry.require_auth,
        tuple(entry.roles),
        tuple(entry.emails),
        tuple(entry.public_paths),
        staleness,
    )


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
        known = CatalogueDocument if len(path) == 1 else ServiceDocument
        close = difflib.get_close_matches(str(path[-1]), known.model_fields, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known.model_fields)}"
        return f"unknown key; {hint}"
    if error["type"] == "missing":
        return "is missing: add it"
    field = next((part for part in reversed(path) if isinstance(part, str)), "")
    cure = _CURES["services"] if len(path) == 2 else _CURES.get(field, "")
    if error["type"] == "string_pattern_mismatch":
        return f"is not right: {cure}"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}" + (f" ({cure})" if cure else "")
