"""Which rule of the catalogue a request falls under: exact host first, then the longest prefix."""

from dataclasses import dataclass

from shared.catalogue import Catalogue, Service, stamp_of


@dataclass(frozen=True, slots=True)
class Route:
    """The rule that counts: a service, and whether this part of it is open to everybody.

    *stamp* is the entry as a gateway names it that goes by this very catalogue.
    """

    service: Service
    public: bool
    stamp: str


class RouteTable:
    """The catalogue arranged for look-ups; each costs one dictionary access per path segment."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._by_host: dict[str | None, dict[str, Route]] = {}
        own = [s.max_staleness_seconds or 0.0 for s in catalogue.services]
        self.longest_staleness = max(own, default=0.0)  # seconds that any service allows itself
        self.entries: dict[str, Service] = {}  # by their stamps
        for service in catalogue.services:
            stamp = stamp_of(service)
            self.entries[stamp] = service
            table = self._by_host.setdefault(service.host, {})
            for prefix in service.paths:
                table[_key(prefix)] = Route(service, not service.require_auth, stamp)
            for prefix in service.public_paths:
                table[_key(prefix)] = Route(service, True, stamp)

    def find(self, host: str, path: str) -> Route | None:
        """The route of *path* (decoded, unambiguous) on *host* (any case), or None."""
        own = self._by_host.get(_bare_host(host))
        route = _longest(own, path) if own is not None else None
        if route is None and (free := self._by_host.get(None)) is not None:
            route = _longest(free, path)
        return route


def _longest(table: dict[str, Route], path: str) -> Route | None:
    rest = path
    while True:
        route = table.get(rest)
        if route is not None or not rest:
            return route
        rest = rest[: rest.rindex("/")]


def _key(prefix: str) -> str:
    return "" if prefix == "/" else prefix


def _bare_host(host: str) -> str:
    name, colon, port = host.rpartition(":")
    bare = name if colon and port.isdigit() else host
    # Gateways take the fully qualified form for the same host; another rule for it would be a way around.
    return bare.removesuffix(".").lower()
