"""Whatever catalogue is accepted, gateway and edge read the same service out of it for every request."""

import json
import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.edge.domain.routes import RouteTable
from shared.catalogue import Catalogue, CatalogueError, parse_catalogue
from shared.traefik import Gateway, render
from tests.support.properties import examples

_PATHS = st.lists(st.sampled_from(["s", "t", "st"]), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)


@st.composite
def _entry(draw: st.DrawFn) -> dict[str, Any]:
    """A service that contradicts at least nothing within itself."""
    paths = draw(st.lists(_PATHS, min_size=1, max_size=2, unique=True))
    below = f"{paths[0].rstrip('/')}/{draw(st.sampled_from(['s', 't', 's/t']))}"
    closed = draw(st.booleans())
    opened = [below] if closed and below not in paths and draw(st.booleans()) else []
    host = draw(st.sampled_from(["a.x", "a.x", "b.x", None]))
    return {"host": host, "paths": paths, "public_paths": opened, "require_auth": closed}


_CATALOGUES = st.lists(_entry(), min_size=1, max_size=3)
# An open path that a service has under another one's: only `paths` are routed on. It is refused.
_STRAYING: list[dict[str, Any]] = [
    {"host": "a.x", "paths": ["/s"], "public_paths": ["/s/t/s"]},
    {"host": "a.x", "paths": ["/s/t"]},
]
GATEWAY = Gateway(auth="http://auth:1", edge="http://edge:1", auth_host="auth.x")


def written(entries: list[dict[str, Any]]) -> str:
    """The entries as a file; a key that says nothing is left out."""
    services = {
        f"s{number}": {"upstream": "http://u:1", **{k: v for k, v in entry.items() if v not in (None, [])}}
        for number, entry in enumerate(entries)
    }  # fmt: skip
    return json.dumps({"services": services})


def read(entries: list[dict[str, Any]]) -> Catalogue | None:
    """The catalogue, or None when it is refused."""
    try:
        return parse_catalogue(written(entries))
    except CatalogueError:
        return None


def by_traefik(catalogue: Catalogue, host: str, path: str) -> str | None:
    """The service that Traefik's rules and priorities choose (v3: the highest priority that matches)."""
    routers = render(catalogue, GATEWAY)["http"]["routers"].values()
    found = [r for r in routers if r["service"] != "auth" and _matches(r["rule"], host, path)]
    best = [r for r in found if r["priority"] == max(f["priority"] for f in found)]
    assert len({router["service"] for router in best}) <= 1, "two of one priority"
    return best[0]["service"].removeprefix("service-") if best else None


def _matches(rule: str, host: str, path: str) -> bool:
    hosts = re.findall(r"Host\(`([^`]+)`\)", rule)
    exact = re.findall(r"\bPath\(`([^`]+)`\)", rule)
    prefixes = re.findall(r"PathPrefix\(`([^`]+)`\)", rule)
    return (not hosts or host in hosts) and (path in exact or any(map(path.startswith, prefixes)))


@given(entries=_CATALOGUES, host=st.sampled_from(["a.x", "b.x", "c.x"]), path=_PATHS)
@example(entries=_STRAYING, host="a.x", path="/s/t/s")
@settings(max_examples=examples(120))
def test_gateway_and_edge_choose_the_same_service(
    entries: list[dict[str, Any]], host: str, path: str
) -> None:
    """Also where services lie within one another, on one host, on several and on every host."""
    catalogue = read(entries)
    if catalogue is None:
        return
    route = RouteTable(catalogue).find(host, path)

    assert (route.service.name if route else None) == by_traefik(catalogue, host, path)


@given(entries=_CATALOGUES, host=st.sampled_from(["a.x", "c.x"]), path=_PATHS)
@settings(max_examples=examples(50))
def test_the_order_of_the_file_decides_nothing(
    entries: list[dict[str, Any]], host: str, path: str
) -> None:
    """Neither who answers nor whether it is open."""
    catalogue = read(entries)
    if catalogue is None:
        return
    table = RouteTable(catalogue)
    turned = RouteTable(Catalogue(tuple(reversed(catalogue.services))))

    assert table.find(host, path) == turned.find(host, path)
