"""What is asked for, and under which rule: read once for each distinct request line.

Method, scheme, host and target decide this alone, so the answer for the same four is the same while the
catalogue is. Whether the caller may have it is asked anew each time.
"""

from dataclasses import dataclass, field
from typing import Final

from services.edge.domain.decision import Allowed, Denied
from services.edge.domain.original import Asking, Original, read_original
from services.edge.domain.paths import plain_path
from services.edge.domain.routes import Route, RouteTable
from shared.catalogue import Catalogue, Service

CAPACITY: Final = 2_000  # per generation
EARLIER: Final = 8  # entries of each service: how far a gateway may be behind
MAX_BYTES: Final = 1_024  # longer ones are rare and would cost memory


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that the catalogue knows; *for_anybody* is the answer when it needs no token.

    *earlier* is what it asks for by earlier entries of the service, by their stamps, as far as that was read.
    """

    original: Original
    route: Route
    for_anybody: Allowed
    earlier: dict[str, "Asked | Denied"] = field(default_factory=dict, compare=False, repr=False)


class Router:
    """Finds the rule of a request; two generations of answers are kept."""

    def __init__(self, routes: RouteTable) -> None:
        self._routes = routes
        # By service and stamp, the last one last.
        self._earlier: dict[str, dict[str, RouteTable]] = {}
        self._young: dict[Asking, Asked] = {}
        self._old: dict[Asking, Asked] = {}

    def use(self, routes: RouteTable) -> None:
        """Another catalogue, in one step; entries of the old one count only for whoever still calls by them."""
        for stamp, service in self._routes.entries.items():
            kept = self._earlier.setdefault(service.name, {})
            kept.pop(stamp, None)
            kept[stamp] = RouteTable(Catalogue((service,)))
            if len(kept) > EARLIER:
                del kept[next(iter(kept))]
        names = {service.name for service in routes.entries.values()}
        self._earlier = {name: kept for name, kept in self._earlier.items() if name in names}
        self._routes, self._young, self._old = routes, {}, {}

    def find(self, asking: Asking) -> Asked | Denied:
        """What *asking* asks for, or why that cannot be told."""
        known = self._young.get(asking)
        if known is not None:
            return known
        asked = self._old.get(asking) or self._read(asking)
        if isinstance(asked, Asked) and len(asking.target) + len(asking.host) <= MAX_BYTES:
            self._keep(asking, asked)
        return asked

    def find_earlier(self, asked: Asked, stamp: str) -> Asked | Denied:
        """What *asked* is for a gateway that is behind, by the last entry of the service with *stamp*.

        Remembered with *asked*, so for as long as the catalogue is the same.
        """
        known = asked.earlier.get(stamp)
        if known is None:
            known = self._read_earlier(asked, stamp)
            if len(asked.earlier) < EARLIER:
                asked.earlier[stamp] = known
        return known

    def _read_earlier(self, asked: Asked, stamp: str) -> Asked | Denied:
        original, now = asked.original, asked.route.service
        table = self._earlier.get(now.name, {}).get(stamp)
        if table is None:  # too old, or new: gateway and edge will agree
            return Denied("stale", stamp, original, now.name)
        path = plain_path(original.target)
        route = None if path is None else table.find(original.host, path)
        if route is None:
            return Denied("wrong_service", stamp, original, now.name)
        lacking = ", ".join(sorted(_header_names(now) - _header_names(route.service)))
        if lacking:  # the gateway would let a client's own pass, and the service believe it
            return Denied("stale", f"{stamp} without {lacking}", original, now.name)
        return Asked(original, route, Allowed(route, None))

    def _read(self, asking: Asking) -> Asked | Denied:
        original = read_original(asking)
        if original is None:
            return Denied("bad_forwarded")
        path = plain_path(original.target)
        if path is None:
            return Denied("ambiguous_path", original=original)
        route = self._routes.find(original.host, path)
        if route is None:
            return Denied("no_route", original=original)
        return Asked(original, route, Allowed(route, None))

    def _keep(self, asking: Asking, asked: Asked) -> None:
        if len(self._young) >= CAPACITY:
            self._old, self._young = self._young, {}
        self._young[asking] = asked


def _header_names(service: Service) -> frozenset[str]:
    return frozenset(name.lower() for name, _ in service.headers)
