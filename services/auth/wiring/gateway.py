"""The routes that auth tells the gateway."""

import json
from urllib.parse import urlsplit

from services.auth.adapters.bus_edges import BusEdges
from services.auth.adapters.feed_revocations import FeedRevocations
from services.auth.adapters.live_catalogue import LiveCatalogue
from services.auth.flows.gateway import GatewayRoutes
from services.auth.settings import AuthSettings
from shared.bus import Bus
from shared.catalogue import Catalogue
from shared.traefik import Gateway, render


def open_gateway(
    settings: AuthSettings, bus: Bus, catalogue: LiveCatalogue, revocations: FeedRevocations
) -> GatewayRoutes:
    """Routes of *catalogue* and of each that follows it.

    The feed's proof covers the documents: while it is fresh, no newer catalogue can be unread.
    """
    gateway = gateway_of(settings)

    def write(found: Catalogue) -> bytes:
        return json.dumps(render(found, gateway), separators=(",", ":")).encode()

    routes = GatewayRoutes(BusEdges(bus), write, lambda: revocations.not_ready() is None)
    if catalogue.known:
        routes.take(catalogue.catalogue, catalogue.generation)
    catalogue.on_change.append(routes.take)
    return routes


def gateway_of(settings: AuthSettings) -> Gateway:
    """How the gateway reaches the parts, and people the gateway.

    The login is limited to the host of LATCHWIRE_URL where that is a public one; on a developer's machine
    localhost has several names.
    """
    return Gateway(
        auth=settings.gateway_auth,
        edge=settings.gateway_edge,
        entry_point=settings.gateway_entry_point,
        auth_host=urlsplit(settings.url).hostname if settings.secure else None,
        cert_resolver=settings.gateway_cert_resolver,
        internal=settings.gateway_internal,
        secure=settings.secure,
    )
