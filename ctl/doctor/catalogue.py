"""What is allowed by the catalogue, and was perhaps not meant; and service tokens nobody looks after."""

from collections.abc import Iterable, Iterator

from ctl.doctor.echo import is_echo
from ctl.doctor.findings import Finding
from shared.catalogue import Catalogue, Service, is_local
from shared.messages import ServiceTokenRow

LONG_STALENESS_SECONDS = 60.0
DAY_MS = 86_400_000
SOON_DAYS, UNUSED_DAYS, FAR_DAYS = 14, 30, 180


def judge_catalogue(catalogue: Catalogue, url: str) -> list[Finding]:
    """The smells of every service; of the doctor's own echo only that it is there.

    *url* is auth's public address, "" when it is not known.
    """
    services = [service for service in catalogue.services if not is_echo(service)]
    echoes = [service for service in catalogue.services if is_echo(service)]
    found = [Finding("catalogue.echo", service.name, service.upstream) for service in echoes]
    found += [smell for service in services for smell in _smells(service)]
    if is_local(url):
        return found
    return found + [smell for service in services for smell in _local_pages(service)]


def _smells(service: Service) -> Iterator[Finding]:
    name = service.name
    is_open = not service.require_auth
    if is_open:
        yield Finding("catalogue.open", name, "require_auth: false")
    if (is_open or service.public_paths) and service.expose_publicly and service.rate_limit is None:
        yield Finding("catalogue.no_limit", name, "open to everybody, and no rate_limit")
    if "*" in service.allowed_origins and not is_open:
        yield Finding("catalogue.any_origin", name, 'allowed_origins: "*"')
    if "*" in service.callers and not service.permissions:
        yield Finding("catalogue.any_service", name, 'callers: "*" without permissions')
    if _asks_of_any_organisation(service):
        yield Finding("catalogue.any_org", name, "roles: org:… without organisation")
    if not service.security_headers:
        yield Finding("catalogue.bare", name, "security_headers: false")
    if (service.max_staleness_seconds or 0) > LONG_STALENESS_SECONDS:
        yield Finding("catalogue.staleness", name, f"{service.max_staleness_seconds:g} s")


def _local_pages(service: Service) -> Iterator[Finding]:
    """Pages of the visitor's machine, which a developer needs and an installation does not."""
    for origin in service.allowed_origins if service.allow_credentials else ():
        if is_local(origin):
            yield Finding("catalogue.local_origin", service.name, f"allowed_origins: {origin}")


def _asks_of_any_organisation(service: Service) -> bool:
    """Whether whoever makes an organisation may have the role that opens *service*."""
    named = (*service.roles.any, *service.roles.all)
    return not service.organisations and any(role.startswith("org:") for role in named)


def judge_tokens(tokens: Iterable[ServiceTokenRow], now_ms: int) -> Iterator[Finding]:
    """Tokens that end soon without a successor, that nobody uses, and that live for very long."""
    for token in tokens:
        where = f"{token.service} …{token.last_four}"
        left = (token.expires_at - now_ms) // DAY_MS
        if token.replaced_by is None and left < SOON_DAYS:
            yield Finding("tokens.expires", where, f"in {max(0, left)} days")
        if left > FAR_DAYS:
            yield Finding("tokens.far", where, f"good for {left} days more")
        age = (now_ms - (token.last_used_at or token.created_at)) // DAY_MS
        if age > UNUSED_DAYS:
            used = "last used" if token.last_used_at else "never used, made"
            yield Finding("tokens.unused", where, f"{used} {age} days ago")
