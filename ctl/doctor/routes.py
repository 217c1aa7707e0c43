"""Which addresses of the catalogue are worth an attempt: of each service one protected path and one open."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from posixpath import dirname

from shared.catalogue import Catalogue, Service, is_under

LEAF = "latchwire-doctor"  # no service has that


@dataclass(frozen=True)
class Route:
    """One service as it is attacked. *closed* and *open* are paths, "" where it has none.

    *climb* is an open prefix inside a protected one: ``..`` leads from it to what is protected. *own*: the
    headers that the service gets besides the usual ones. *limited*: the proxy answers only so many requests.
    """

    name: str
    host: str | None
    closed: str
    open: str
    climb: str
    exposed: bool
    own: tuple[str, ...] = ()
    limited: bool = False

    def at(self, path: str) -> str:
        """How people are told where something was tried."""
        return f"{self.name} {self.host or ''}{path}"


def routes_of(catalogue: Catalogue) -> list[Route]:
    """One for each service."""
    return [_route(service, catalogue) for service in catalogue.services]


def _route(service: Service, catalogue: Catalogue) -> Route:
    open_paths = [*service.public_paths, *(() if service.require_auth else service.paths)]
    closed = next(_closed(service, catalogue), "") if service.require_auth else ""
    climb = next((p for p in service.public_paths if _is_inside(p, service)), "")
    return Route(
        service.name,
        service.host,
        closed,
        next(iter(open_paths), ""),
        climb if closed else "",
        service.expose_publicly,
        tuple(name for name, _ in service.headers),
        service.rate_limit is not None,
    )


def _closed(service: Service, catalogue: Catalogue) -> Iterator[str]:
    """Paths that this very service protects: not open, and no other service's by a longer prefix."""
    others = [s for s in catalogue.services if s is not service and s.host == service.host]
    for prefix in service.paths:
        for path in (prefix, f"{prefix.rstrip('/')}/{LEAF}"):
            if not _falls(path, service.public_paths) and not any(
                _falls(path, [p for p in s.paths if len(p) > len(prefix)]) for s in others
            ):
                yield path


def _is_inside(public: str, service: Service) -> bool:
    above = dirname(public.rstrip("/")) or "/"
    return _falls(above, service.paths) and not _falls(above, service.public_paths)


def _falls(path: str, prefixes: Iterable[str]) -> bool:
    return any(is_under(path, prefix) for prefix in prefixes)
