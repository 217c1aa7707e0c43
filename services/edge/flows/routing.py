"""What is asked for, and under which rule: read once for each distinct request line.

The four forwarded headers decide this alone, so the answer for the same four is the same while the
catalogue is. Whether the caller may have it is asked anew each time.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from services.edge.domain.decision import Allowed, Denied
from services.edge.domain.original import Fields, Original, read_original
from services.edge.domain.paths import plain_path
from services.edge.domain.routes import Route, RouteTable

CAPACITY: Final = 2_000  # per generation
MAX_BYTES: Final = 1_024  # longer ones are rare and would cost memory

_Lines: TypeAlias = tuple[bytes, bytes, bytes, bytes]


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
        self._young: dict[_Lines, Asked] = {}
        self._old: dict[_Lines, Asked] = {}

    def use(self, routes: RouteTable) -> None:
        """Another catalogue, in one step; nothing of the old one is remembered."""
        self._routes, self._young, self._old = routes, {}, {}

    def find(self, fields: Fields) -> Asked | Denied:
        """What *fields* ask for, or why that cannot be told."""
        try:
            (method,), (proto,) = fields[b"x-forwarded-method"], fields[b"x-forwarded-proto"]
            (host,), (target,) = fields[b"x-forwarded-host"], fields[b"x-forwarded-uri"]
        except (KeyError, ValueError):
            return Denied("bad_forwarded")  # missing or repeated
        lines = method, proto, host, target
        known = self._young.get(lines)
        if known is not None:
            return known
        asked = self._old.get(lines) or self._read(fields)
        if isinstance(asked, Asked) and len(target) + len(host) <= MAX_BYTES:
            self._keep(lines, asked)
        return asked

    def _read(self, fields: Fields) -> Asked | Denied:
        original = read_original(fields)
        if original is None:
            return Denied("bad_forwarded")
        path = plain_path(original.target)
        if path is None:
            return Denied("ambiguous_path", original=original)
        route = self._routes.find(original.host, path)
        if route is None:
            return Denied("no_route", original=original)
        return Asked(original, route, Allowed(route, None))

    def _keep(self, lines: _Lines, asked: Asked) -> None:
        if len(self._young) >= CAPACITY:
            self._old, self._young = self._young, {}
        self._young[lines] = asked
