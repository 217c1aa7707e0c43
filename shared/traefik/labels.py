"""The same routes as labels, for a team whose Traefik reads those of its containers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from shared.catalogue.service import Catalogue
from shared.traefik.gateway import Gateway
from shared.traefik.routers import render, routed

_PORTS = {"http": 80, "https": 443}


def labels_of(catalogue: Catalogue, gateway: Gateway, service: str) -> tuple[str, ...]:
    """``key=value`` for the container of *service*, in the order of reading.

    The timeouts are left out: a transport is no container's, only a file's. The check names the service alone:
    labels stay with a container for longer than the edges know an entry.

    Raises:
        KeyError: no such service, or one that is not routed at all.
    """
    found = next((s for s in routed(catalogue, gateway) if s.name == service), None)
    if found is None:
        raise KeyError(service)
    tables = render(Catalogue((found,)), replace(gateway, stamped=False))["http"]
    own = {f"service-{service}"} | {f"service-{service}-{n}" for n in range(len(found.paths))}
    server = urlsplit(found.upstream)
    balancer = {"scheme": server.scheme, "port": server.port or _PORTS[server.scheme]}
    kept = {
        "routers": {name: table for name, table in tables["routers"].items() if name in own},
        "middlewares": tables["middlewares"],
        "services": {f"service-{service}": {"loadBalancer": {"server": balancer}}},
    }
    return ("traefik.enable=true", *(f"traefik.http.{line}" for line in _flat("", kept)))


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flat(f"{key}.", value)
        else:
            yield f"{key}={_text(value)}"


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
