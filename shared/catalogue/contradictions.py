"""What a catalogue may not say: rules that cancel one another, or that two readers could read differently.

A key that could never count is refused too: whoever wrote it believes that it protects something.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Final, TypeAlias

from shared.catalogue.document import PermissionNeeds, RoleNeeds, ServiceDocument
from shared.catalogue.headers import folded, is_taken
from shared.catalogue.service import ANY, UPSTREAM, Service
from shared.catalogue.words import disagreements, rate_of
from shared.durations import MAX_STALENESS_SECONDS

# The path of a key below ``services``, and what is wrong with it, with the cure.
Problem: TypeAlias = tuple[tuple[str, ...], str]

LOGIN_AGE_SECONDS: Final = (60.0, 30 * 86_400.0)
_OF_PEOPLE: Final = ("roles", "emails", "login_age")
_OF_CALLERS: Final = ("roles", "emails", "organisation", "login_age", "callers", "permissions")
_ANY_PAGE: Final = (
    '"*" with allow_credentials lets any page on the internet act as whoever visits it, with their '
    "cookies: write the origins out, or remove allow_credentials"
)
_ANY_NETWORK: Final = (
    "with allow_credentials lets whoever is on a visitor's network act as them, by a page of their own "
    "in its place: write https://, or remove allow_credentials"
)
_POLICY: Final = "content_security_policy"
_LAST_PORT: Final = 65_535
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def contradictions(
    written: dict[str, ServiceDocument],
    services: tuple[Service, ...],
    unread: Mapping[str, frozenset[str]] = MappingProxyType({}),
) -> list[Problem]:
    """Every problem of *services*, which were made of *written*.

    *unread*: keys by service that are there and have a mistake of their own. They look as if they were absent,
    so nothing is concluded from their absence.
    """
    alone = [
        ((service.name, key), what)
        for service in services
        for key, what in _within(
            service, written[service.name], unread.get(service.name, frozenset())
        )
    ]
    placed = [s for s in services if unread.get(s.name, frozenset()).isdisjoint(_PLACE)]
    return alone + [problem for a, b in combinations(placed, 2) for problem in _between(a, b)]


def is_local(origin: str) -> bool:
    """Whether *origin*, as a browser writes it, is a page of the visitor's own machine (RFC 6761 §6.3)."""
    host = origin.partition("://")[2].partition(":")[0]
    return host in {"localhost", "127.0.0.1"} or host.endswith(".localhost")


def is_under(path: str, prefix: str) -> bool:
    """Whether *path* is *prefix* or below it, by segment."""
    return prefix == "/" or path == prefix or path.startswith(prefix + "/")


_Found: TypeAlias = Iterator[tuple[str, str]]


def _within(service: Service, entry: ServiceDocument, unread: frozenset[str]) -> _Found:
    for keys, check in _CHECKS:
        if unread.isdisjoint(keys):
            yield from check(service, entry)


def _words(_: Service, entry: ServiceDocument) -> _Found:
    yield from (("middlewares", what) for what in disagreements(entry))


def _burst(_: Service, entry: ServiceDocument) -> _Found:
    if entry.rate_burst is not None and rate_of(entry) is None:
        yield "rate_burst", "says nothing without rate_limit: add that, or remove this"


def _policy(service: Service, _: ServiceDocument) -> _Found:
    policy = service.content_security_policy
    if policy is not None and not service.security_headers:
        yield _POLICY, "is sent only with security_headers: remove one of them"
    if policy is not None and policy != UPSTREAM and policy.strip().lower() == UPSTREAM:
        yield _POLICY, "write upstream in lower case"


def _paths(service: Service, _: ServiceDocument) -> _Found:
    for public in service.public_paths:
        if not any(is_under(public, prefix) for prefix in service.paths):
            yield (
                "public_paths",
                f"{public} is outside the service's paths: add its prefix to paths or remove it",
            )
        if public in service.paths:
            yield (
                "public_paths",
                f"{public} is the whole service: write require_auth: false instead",
            )
    for key, paths in (("paths", service.paths), ("public_paths", service.public_paths)):
        for path in sorted({p for p in paths if paths.count(p) > 1}):
            yield key, f"{path} stands twice: remove one"


def _who(service: Service, entry: ServiceDocument) -> _Found:
    if not service.require_auth:
        yield from _anybody(service, entry)
        return
    yield from _kinds(service, entry)
    for key, names in (("callers", service.callers), ("organisation", service.organisations)):
        if ANY in names and len(names) > 1:
            yield key, '"*" stands for all: remove it, or the others'


def _kinds(service: Service, entry: ServiceDocument) -> _Found:
    kinds = service.token_types
    if len(set(kinds)) < len(kinds):
        yield "token_types", "names a kind twice: remove one"
    for key in _OF_PEOPLE if "user" not in kinds else ():
        if _says(entry, key):
            yield key, "is about people, and token_types has no user: add user, or remove this"
    if "user" not in kinds and service.organisations == (ANY,):
        yield (
            "organisation",
            '"*" says nothing of services: write the ids, or add user to token_types',
        )
    if service.callers and "service" not in kinds:
        yield "callers", "is about services, and token_types has no service: add it, or remove this"


def _any_service(service: Service, _: ServiceDocument) -> _Found:
    named = service.callers or service.permissions
    if service.require_auth and "service" in service.token_types and not named:
        yield (
            "token_types",
            'service alone lets every service in: name them in callers, or write callers: ["*"]',
        )


def _anybody(service: Service, entry: ServiceDocument) -> _Found:
    """Of a service that asks nobody who they are."""
    there = [key for key in _OF_CALLERS if _says(entry, key)]
    there += ["public_paths"] if service.public_paths else []
    there += ["token_types"] if "token_types" in entry.model_fields_set else []
    if there:
        names = " and ".join((", ".join(there[:-1]), there[-1])) if there[1:] else there[0]
        yield "require_auth", f"false contradicts {names}: remove {_those(there)}, or write true"


def _those(there: list[str]) -> str:
    return "those" if there[1:] else "that"


def _says(entry: ServiceDocument, key: str) -> bool:
    value = getattr(entry, key)
    if isinstance(value, RoleNeeds | PermissionNeeds):
        return bool(value.any or value.all)
    return bool(value)


def _spans(service: Service, _: ServiceDocument) -> _Found:
    staleness, age = service.max_staleness_seconds, service.login_age_seconds
    if staleness is not None and not 1 <= staleness <= MAX_STALENESS_SECONDS:
        yield "max_staleness", "must be from 1s to 15m, a token's life"
    shortest, longest = LOGIN_AGE_SECONDS
    if age is not None and not shortest <= age <= longest:
        yield "login_age", "must be from 1m, or nobody is back from the login in time, to 720h"


def _addresses(service: Service, _: ServiceDocument) -> _Found:
    # The address itself is not repeated: what is refused at an edge goes into its log.
    if any("*" in email or "@." in email for email in service.emails):
        yield "emails", "is no pattern: @acme.com means everybody of that very domain"
    port = service.upstream.rpartition(":")[2]
    if port.isdigit() and not 1 <= int(port) <= _LAST_PORT:
        yield "upstream", f"has the port {port}: ports go from 1 to {_LAST_PORT}"


def _idle_credentials(service: Service, _: ServiceDocument) -> _Found:
    if service.allow_credentials and not service.allowed_origins:
        yield "allow_credentials", "says nothing without allowed_origins: add those, or remove this"


def _origins(service: Service, _: ServiceDocument) -> _Found:
    origins = service.allowed_origins
    if service.allow_credentials and ANY in origins:
        yield (
            "allowed_origins",
            _ANY_PAGE,
        )
    if ANY in origins and len(origins) > 1:
        yield "allowed_origins", '"*" stands for all: remove it, or the others'
    for origin in origins:
        if service.allow_credentials and origin.startswith("http://") and not is_local(origin):
            yield "allowed_origins", f"{origin} {_ANY_NETWORK}"
        scheme, _mark, rest = origin.partition("://")
        port = rest.rpartition(":")[2] if ":" in rest else ""
        if port and (
            port == _DEFAULT_PORTS[scheme] or port.startswith("0") or int(port) > _LAST_PORT
        ):
            yield "allowed_origins", f"{origin}: no browser writes this port: remove :{port}"


def _headers(service: Service, _: ServiceDocument) -> _Found:
    seen: dict[str, str] = {}
    for name, _claim in service.headers:
        if is_taken(name):
            yield (
                "headers",
                f"{name} already has a meaning, or reads like one that has: take another",
            )
        other = seen.setdefault(folded(name), name)
        if other != name:
            yield "headers", f"{name} and {other} are one header to many servers: remove one"


_PLACE: Final = frozenset({"host", "paths"})
# Each check, and the keys whose absence it concludes from.
_CHECKS: Final[tuple[tuple[frozenset[str], Callable[[Service, ServiceDocument], _Found]], ...]] = (
    (frozenset({"paths"}), _paths),
    (frozenset({"require_auth", "token_types"}), _who),
    (frozenset({"require_auth", "token_types", "callers", "permissions"}), _any_service),
    (frozenset(), _spans),
    (frozenset(), _addresses),
    (frozenset({"allowed_origins"}), _idle_credentials),
    (frozenset(), _origins),
    (frozenset(), _headers),
    (frozenset({"token_types", "allowed_origins", "rate_limit"}), _words),
    (frozenset(), _policy),
    (frozenset({"rate_limit", "middlewares"}), _burst),
)


def _between(a: Service, b: Service) -> list[Problem]:
    if a.host is not None and b.host is not None and a.host != b.host:
        return []
    if a.host == b.host:
        shared = sorted(set(_rules(a)) & set(_rules(b)))
        cure = f"belongs to services.{a.name} too: change one of them"
        found: list[Problem] = [((b.name, "paths"), f"{prefix} {cure}") for prefix in shared]
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


def _strays(a: Service, b: Service) -> list[Problem]:
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
