"""Places of the catalogue that no request comes to: the gateway has the way to the login above all services."""

from pathlib import Path
from urllib.parse import urlsplit

from ctl.installation import find_url
from shared.catalogue import Catalogue, is_under
from shared.traefik.routers import AUTH_PATHS


def shadowed(catalogue: Catalogue, auth_host: str | None) -> list[str]:
    """Paths at or below the login's own, of services that answer on *auth_host*; None: it is on every host."""
    return [
        f"{service.host or '*'}{path}"
        for service in catalogue.services
        if auth_host is None or service.host in {None, auth_host.lower()}
        for path in (*service.paths, *service.public_paths)
        if any(is_under(path, own) for own in AUTH_PATHS)
    ]


def shadow_lines(catalogue: Catalogue, state: Path | None) -> list[str]:
    """A warning for each, for the installation of *state*."""
    found = shadowed(catalogue, urlsplit(find_url(state)).hostname)
    return [
        f"warning: the gateway sends {place} to the login, not to the service" for place in found
    ]
