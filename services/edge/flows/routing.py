"""What is asked for, and under which rule: read once for each distinct request line.

Method, scheme, host and target decide this alone, so the answer for the same four is the same while the
catalogue is. Whether the caller may have it is asked anew each time.
"""

from dataclasses import dataclass
from typing import Final

from services.edge.domain.decision import Allowed, Denied
from services.edge.domain.original import Asking, Original, read_original
from services.edge.domain.paths import plain_path
from services.edge.domain.routes import Route, RouteTable

CAPACITY: Final = 2_000  # per generation
EARLIER: Final = 8  # catalogues before the one in force: how far a gateway may be behind
MAX_BYTES: Final = 1_024  # longer ones are rare and would cost memory


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that the catalogue knows; *for_anybody* is the answer when it needs no token."""

    original: Original
    route: Route
    for_anybody: Allowed


class Router:
    """Finds the rule of a request; two generations of answers are kept."""

    def __init__(self, routes: RouteTable) -> None:
        self._routes = routes
        self._earlier: tuple[RouteTable, ...] = ()
        self._young: dict[Asking, Asked] = {}
        self._old: dict[Asking, Asked] = {}

    def use(self, routes: RouteTable) -> None:
        """Another catalogue, in one step; the old one counts only for whoever still calls by it."""
        self._earlier = (self._routes, *self._earlier)[:EARLIER]
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

    def find_earlier(self, original: Original, stamp: str) -> Asked | None:
        """What *original* asked for in the last catalogue before this one that has the entry *stamp*.

        None: there is none, or it is another entry's there too.
        """
        table = next((table for table in self._earlier if stamp in table.stamps), None)
        path = plain_path(original.target)
        if table is None or path is None:
            return None
        route = table.find(original.host, path)
        if route is None or route.stamp != stamp:
            return None
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
