"""Traefik's configuration, rendered from the catalogue: who is routed where, and past which check.

Every service of the catalogue goes through the edge, the open paths too: there the edge answers with
empty identity headers, which is what removes the ones a client may have sent (SECURITY.md, F-01).
Each has a middleware of its own, which tells the edge what Traefik chose: where the edge reads the request
otherwise, it refuses, and so no difference between the two readings opens anything.
"""

from dataclasses import dataclass
from typing import Any

from shared.catalogue import Catalogue, Service

MIDDLEWARE = "latchwire"  # and the service's name behind a dash

# Set by the edge on every request it lets pass; Traefik deletes the client's own before it sets them.
IDENTITY_HEADERS = (
    "X-User-Id",
    "X-User-Email",
    "X-User-Roles",
    "X-Org-Id",
    "X-Session-Id",
    "X-Token-Type",
    "X-Service-Name",
    "X-Request-Id",
    "X-Latchwire-Assertion",
)
# The same names in every spelling that CGI-like upstreams fold into one (X.User_Id, X~User~Id): deleted too.
IDENTITY_ALIASES = (
    "(?i)^(" + "|".join(n.replace("-", "[^A-Za-z0-9]") for n in IDENTITY_HEADERS) + ")$"
)
# All that a decision may depend on. X-Forwarded-* are Traefik's own and always sent.
CHECK_HEADERS = (
    "Accept",
    "Access-Control-Request-Method",
    "Authorization",
    "Cookie",
    "Origin",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-WebSocket-Key",
    "X-CSRF-Token",
    "X-Request-Id",
    "X-Requested-With",
)
# The edge's answers have no body; one that has is not the edge's.
MAX_ANSWER_BYTES = 4096
AUTH_PATHS = ("/auth", "/.well-known")
# Above every rule of a service, so that none can catch the way to log in or out.
AUTH_PRIORITY = 1_000_000


@dataclass(frozen=True)
class Gateway:
    """What the rendering needs to know besides the catalogue. URLs without a path.

    *auth_host* limits the login to one host name; *cert_resolver* switches TLS on.
    """

    auth: str
    edge: str
    entry_point: str = "web"
    auth_host: str | None = None
    cert_resolver: str | None = None


def render(catalogue: Catalogue, gateway: Gateway) -> dict[str, Any]:
    """Traefik's dynamic configuration (file provider, v3)."""
    routers = {"auth": _auth_router(gateway)}
    services = {"auth": _load_balancer(gateway.auth)}
    for service in catalogue.services:
        services[f"service-{service.name}"] = _load_balancer(service.upstream)
        for number, path in enumerate(service.paths):
            routers[f"service-{service.name}-{number}"] = _router(service, path, gateway)
    middlewares = {
        _middleware(s): {"forwardAuth": forward_auth(gateway.edge, s.name)}
        for s in catalogue.services
    }
    # Traefik takes no empty table.
    checks = {"middlewares": middlewares} if middlewares else {}
    return {"http": {"routers": routers, **checks, "services": services}}


def forward_auth(edge: str, service: str) -> dict[str, Any]:
    """The middleware of *service*: ask the edge at *edge* (a URL without a path) about each request."""
    return {
        "address": f"{edge}/check/traefik/{service}",
        # What a client says about the original request is dropped, aliases with _ too.
        "trustForwardHeader": False,
        "authRequestHeaders": list(CHECK_HEADERS),
        "authResponseHeaders": list(IDENTITY_HEADERS),
        "authResponseHeadersRegex": IDENTITY_ALIASES,
        "maxResponseBodySize": MAX_ANSWER_BYTES,
    }


def path_rule(path: str) -> str:
    """A rule for *path* and what is below it, segment by segment: /demo is not /demolition.

    Raises:
        ValueError: the path cannot be written in Traefik's rule syntax.
    """
    if "`" in path:
        raise ValueError(f"a path cannot contain a backtick: {path}")
    bare = path.rstrip("/")
    return f"(Path(`{bare}`) || PathPrefix(`{bare}/`))" if bare else "PathPrefix(`/`)"


def _auth_router(gateway: Gateway) -> dict[str, Any]:
    rule = " || ".join(path_rule(path) for path in AUTH_PATHS)
    if gateway.auth_host:
        rule = f"Host(`{gateway.auth_host}`) && ({rule})"
    return _with_tls({"rule": rule, "service": "auth", "priority": AUTH_PRIORITY}, gateway)


def _router(service: Service, path: str, gateway: Gateway) -> dict[str, Any]:
    rule = path_rule(path)
    if service.host:
        rule = f"Host(`{service.host}`) && {rule}"
    router = {
        "rule": rule,
        "service": f"service-{service.name}",
        "middlewares": [_middleware(service)],
        # A host before none, then the longest path: the order in which the edge looks routes up.
        "priority": (10_000 if service.host else 1) + len(path),
    }
    return _with_tls(router, gateway)


def _middleware(service: Service) -> str:
    return f"{MIDDLEWARE}-{service.name}"


def _with_tls(router: dict[str, Any], gateway: Gateway) -> dict[str, Any]:
    tls = {"tls": {"certResolver": gateway.cert_resolver}} if gateway.cert_resolver else {}
    return {**router, "entryPoints": [gateway.entry_point], **tls}


def _load_balancer(url: str) -> dict[str, Any]:
    return {"loadBalancer": {"servers": [{"url": url}]}}
