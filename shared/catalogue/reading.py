"""Reads and checks ``services.yaml``: every problem with its line, its key and the cure."""

import difflib
import re
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from shared.catalogue.contradictions import contradictions
from shared.catalogue.document import (
    CatalogueDocument,
    PermissionNeeds,
    RoleNeeds,
    ServiceDocument,
)
from shared.catalogue.salvage import salvage
from shared.catalogue.service import Catalogue, Needs, RateLimit, Service
from shared.catalogue.words import own_middlewares, rate_of
from shared.durations import parse_duration
from shared.strict_yaml import Lines, StrictYAMLError, read_yaml

MAX_BYTES = 1 << 20

_CURES = {
    "paths": "a prefix begins with / and ends without one, and has letters, digits, - . _ ~, no wildcard",
    "host": "write the bare host name, without scheme, port, path or last dot",
    "upstream": "write http://host:port, without a path",
    "emails": "write ada@acme.com or @acme.com, in lower case",
    "roles": "a role has no space or comma",
    "permissions": "a permission has lower-case letters, digits and . _ : -",
    "organisation": 'write "*" or an organisation\'s id',
    "callers": 'write a service\'s name (lower-case letters, digits and dashes), or "*"',
    "token_types": "write user, service, or both",
    "login_age": "write a number and a unit: 15m",
    "max_staleness": "write a number and a unit: 10s",
    "allowed_origins": 'write it as a browser does, in lower case: https://app.acme.com, or "*"',
    "rate_limit": "write standard, strict, or a number and second, minute or hour: 100/minute",
    "rate_burst": "write a whole number from 1",
    "middlewares": "write a word of ours or the full name of one of yours: compress@file",
    "headers": "write X-Something: claim, with letters, digits and dashes in the name",
    "content_security_policy": "write the policy in one line of ASCII",
    "services": "a name has lower-case letters, digits and dashes",
}
_CURES["public_paths"] = _CURES["paths"]
# Of a value that is another kind of thing than the key wants.
_SHAPES = {
    "list_type": "must be a list: [a, b]",
    "bool_type": "must be true or false",
    "string_type": "must be text; in quotes where YAML takes it for something else",
    "int_type": "must be a whole number",
    "dict_type": "must have keys of its own",
}
_NAMES = "must be a list, [a, b], or {any: [...], all: [...]}"
_NO_SERVICE = "must have keys of its own: upstream at least"
# What people write who expect a pattern there.
_PATTERN_MARK = re.compile(r"[*^$()|\[\]{}+?<>\\]")
_PATTERN = (
    "has no meaning here: a path is no pattern, but a prefix of letters, digits, - . _ ~. It stands for itself "
    "and all that is below it, no wildcard; it begins with / and ends without one"
)
_NESTED = "is one level too many: write its keys one level up, beside upstream"


_Found: TypeAlias = tuple[int, str]  # the line, and what is wrong with the cure


class CatalogueError(Exception):
    """The catalogue cannot be used; each of `problems` names line, key and cure."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def load_catalogue(path: Path, name: str | None = None) -> Catalogue:
    """Read and check the file; *name* stands in messages, its own where none is given.

    Raises:
        CatalogueError: it is missing, unreadable or not right.
    """
    return parse_catalogue(read_text(path, name), name or path.name)


def read_text(path: Path, name: str | None = None) -> str:
    """What the file says; who checks it and then does something with it reads it once.

    Raises:
        CatalogueError: it is missing or no UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError([f"{name or path.name}: {_why_not(error)}"]) from error


_WHY_NOT: tuple[tuple[type[Exception], str], ...] = (
    (FileNotFoundError, "there is no such file"),
    (NotADirectoryError, "there is no such file"),
    (IsADirectoryError, "is a folder: name a file"),
    (PermissionError, "cannot be read: this user may not"),
    (UnicodeDecodeError, "is not UTF-8 text"),
)


def _why_not(error: Exception) -> str:
    found = next((words for kind, words in _WHY_NOT if isinstance(error, kind)), None)
    return found or f"cannot be read: {getattr(error, 'strerror', None) or 'no such name'}"


def parse_catalogue(text: str, name: str = "services.yaml") -> Catalogue:
    """The catalogue in *text*; *name* stands in messages.

    Raises:
        CatalogueError: with every problem found.
    """
    found, document, lines = _read(text, name)
    unread: dict[str, frozenset[str]] = {}
    try:
        entries = CatalogueDocument.model_validate(document).services
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        found += [_explain(e, document, lines) for e in errors]
        entries, unread = salvage(document, [e["loc"] for e in errors])
    services = tuple(_service(key, entry) for key, entry in entries.items())
    found += [
        (_line(lines, ("services", *where)), f"services.{'.'.join(where)}: {what}")
        for where, what in contradictions(entries, services, unread)
    ]
    if found:
        ordered = sorted(found, key=lambda problem: problem[0])
        raise CatalogueError([f"{name}:{line}: {what}" for line, what in ordered])
    return Catalogue(services)


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
        middlewares=own_middlewares(entry),
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
    rate = rate_of(entry)
    if rate is None:
        return None
    number, _, period = rate.partition("/")
    count = int(number)
    return RateLimit(count, _PERIODS[period], entry.rate_burst or max(1, count // 2))


_KNOWN: dict[int, type[BaseModel]] = {1: CatalogueDocument, 3: ServiceDocument}


def _read(text: str, name: str) -> tuple[list[_Found], Any, Lines]:
    """What is no plain YAML, and the document with its lines."""
    if len(text) > MAX_BYTES:
        raise CatalogueError([f"{name}: is larger than {MAX_BYTES} bytes"])
    try:
        return ([], *read_yaml(text))
    except StrictYAMLError as error:
        found = [(error.line, error.problem), *error.more]
        if error.rest is None:
            raise CatalogueError([f"{name}:{line}: {what}" for line, what in found]) from None
        return (found, *error.rest)


def _line(lines: Lines, path: tuple[str | int, ...]) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _explain(error: Any, document: Any, lines: Lines) -> _Found:
    path = tuple(part for part in error["loc"] if part != "[key]")
    dotted = ".".join(str(part) for part in path) or "the file"
    return _line(lines, path), f"{dotted}: {_pattern(document, path) or _say(error, path)}"


def _pattern(document: Any, path: tuple[str | int, ...]) -> str:
    """What is wrong with a path of which somebody thinks that it is a pattern; "" of anything else."""
    if len(path) != 4 or path[2] not in ("paths", "public_paths"):
        return ""
    value = document["services"][path[1]][path[2]][path[3]]
    found = _PATTERN_MARK.search(value) if isinstance(value, str) else None
    return f"{found[0]} {_PATTERN}" if found else ""


def _say(error: Any, path: tuple[str | int, ...]) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown(path)
    if error["type"] == "missing":
        return "is missing: add it"
    if error["type"] == "model_type":
        return _NAMES if len(path) > 2 else _NO_SERVICE
    field = str(path[2]) if len(path) > 2 else ""
    cure = _CURES["services"] if len(path) == 2 else _CURES.get(field, "")
    if error["type"] == "string_pattern_mismatch":
        return f"is not right: {cure}"
    what = _SHAPES.get(error["type"]) or _bound(error)
    return what + (f" ({cure})" if cure else "")


_BOUNDS = {
    "too_short": "needs {min_length} at least",
    "too_long": "has more than {max_length}",
    "string_too_short": "is shorter than {min_length} characters",
    "string_too_long": "is longer than {max_length} characters",
    "greater_than_equal": "must be {ge} at least",
    "less_than_equal": "must be {le} at most",
    "literal_error": "must be one of {expected}",
}


def _bound(error: Any) -> str:
    """A bound in our words; our own sentences as they are."""
    if error["type"] not in _BOUNDS:
        return (
            "is empty: write a value, or remove the key"
            if error["type"] == "empty_key"
            else "is not right"
        )
    given = {key: _plainly(value) for key, value in error.get("ctx", {}).items()}
    return _BOUNDS[error["type"]].format(**given)


def _plainly(value: Any) -> str:
    """Names without the quotes of Python."""
    return str(value).replace("'", "").replace(" or ", ", ")


def _unknown(path: tuple[str | int, ...]) -> str:
    key = str(path[-1])
    if key == "api_gateway":
        return _NESTED
    known = _KNOWN.get(len(path), PermissionNeeds)
    close = difflib.get_close_matches(key, known.model_fields, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known.model_fields)}"
    return f"unknown key; {hint}"
