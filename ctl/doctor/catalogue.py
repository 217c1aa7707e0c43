"""What is allowed by the catalogue, and was perhaps not meant; and service tokens nobody looks after."""

from collections.abc import Iterable, Iterator

from ctl.doctor.findings import Finding
from shared.catalogue import Catalogue, Service
from shared.messages import ServiceTokenRow

LONG_STALENESS_SECONDS = 60.0
DAY_MS = 86_400_000
SOON_DAYS, UNUSED_DAYS, FAR_DAYS = 14, 30, 180


def judge_catalogue(catalogue: Catalogue) -> list[Finding]:
    """The smells of every service."""
    return [found for service in catalogue.services for found in _smells(service)]


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
    if not service.security_headers:
        yield Finding("catalogue.bare", name, "security_headers: false")
    if (service.max_staleness_seconds or 0) > LONG_STALENESS_SECONDS:
        yield Finding("catalogue.staleness", name, f"{service.max_staleness_seconds:g} s")


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
