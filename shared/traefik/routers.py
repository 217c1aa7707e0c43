"""Who is routed where, and in which order past what."""

from collections.abc import Iterator
from typing import Any, Final

from shared.catalogue.service import Catalogue, Service
from shared.catalogue.stamp import stamp_of
from shared.catalogue.words import OURS
from shared.traefik import shields
from shared.traefik.check import forward_auth
from shared.traefik.gateway import Gateway

MIDDLEWARE: Final = OURS  # and the service's name behind a dash
AUTH_PATHS: Final = ("/auth", "/.well-known")
# Above every rule of a service, so that none can catch the way to log in or out.
AUTH_PRIORITY: Final = 1_000_000
# A service that does not answer: found out after this long, and not after a minute or never.
TRANSPORT: Final = "latchwire"
TIMEOUTS: Final = {"dialTimeout": "5s", "responseHeaderTimeout": "60s", "idleConnTimeout": "90s"}
# What a connection may be switched to. Any other protocol that a service agrees to would be a tunnel whose
# requests nobody checks. The second is never passed on: Traefik itself drops it, and clients offer it unasked.
UPGRADES: Final = ("websocket", "h2c")

Table = dict[str, Any]


def render(catalogue: Catalogue, gateway: Gateway) -> Table:
    """Traefik's dynamic configuration (file and HTTP provider, v3)."""
    routers = {"auth": _auth_router(gateway)}
    services = {"auth": _load_balancer(gateway.auth)}
    middlewares: Table = {}
    for service in routed(catalogue, gateway):
        guards = middlewares_of(service, gateway)
        middlewares |= guards
        services[f"service-{service.name}"] = _load_balancer(service.upstream)
        for number, path in enumerate(service.paths):
            chain = [*guards, *service.middlewares]
            routers[f"service-{service.name}-{number}"] = _router(service, path, chain, gateway)
    # Traefik takes no empty table.
    guarded = {"middlewares": middlewares} if middlewares else {}
    transports = {TRANSPORT: {"forwardingTimeouts": TIMEOUTS}}
    tables = {"routers": routers, **guarded, "services": services, "serversTransports": transports}
    return {"http": tables}


def routed(catalogue: Catalogue, gateway: Gateway) -> tuple[Service, ...]:
    """The services that Traefik gets a route to: those not exposed only where there is a place for them."""
    return tuple(s for s in catalogue.services if s.expose_publicly or gateway.internal)


def middlewares_of(service: Service, gateway: Gateway) -> Table:
    """Name and middleware, outermost first: what every answer carries, what shields the edge, the check,

    and last what only the service's own answers get.
    """
    named: Table = {}
    if service.security_headers:
        named[f"{MIDDLEWARE}-headers"] = shields.security_headers(gateway)
    if service.allowed_origins:
        named[f"{MIDDLEWARE}-cors-{service.name}"] = shields.cors(service)
    if service.rate_limit is not None:
        named[f"{MIDDLEWARE}-rate-{service.name}"] = shields.rate_limit(service.rate_limit)
    own = (name for name, _ in service.headers)
    chosen = stamp_of(service) if gateway.stamped else service.name
    check = forward_auth(gateway.edge, chosen, own)
    named[f"{MIDDLEWARE}-check-{service.name}"] = {"forwardAuth": check}
    policy = shields.content_security_policy(service) if service.security_headers else None
    if policy is not None:
        named[f"{MIDDLEWARE}-csp-{service.name}"] = policy
    return named


def path_rule(path: str) -> str:
    """A rule for *path* and what is below it, segment by segment: /demo is not /demolition.

    Raises:
        ValueError: the path cannot be written in Traefik's rule syntax.
    """
    if "`" in path:
        raise ValueError(f"a path cannot contain a backtick: {path}")
    bare = path.rstrip("/")
    return f"(Path(`{bare}`) || PathPrefix(`{bare}/`))" if bare else "PathPrefix(`/`)"


def no_tunnel() -> str:
    """A rule for requests that ask to be switched to nothing, or to one of `UPGRADES` alone.

    Every line of the header has to be one of them, and a matcher of Traefik's takes any line: so it is the
    negation of what begins otherwise. RE2 has no words for "not this word".
    """
    return f"!HeaderRegexp(`Upgrade`, `(?is)^(?:{'|'.join(_other_than(UPGRADES))})`)"


def _other_than(words: tuple[str, ...]) -> Iterator[str]:
    """Beginnings of every text but "" and *words*, which all begin differently."""
    yield f"[^{''.join(word[0] for word in words)}]"
    for word in words:
        for end in range(1, len(word)):
            yield rf"{word[:end]}(?:[^{word[end]}]|\z)"
        yield f"{word}."


def _auth_router(gateway: Gateway) -> Table:
    rule = f"({' || '.join(path_rule(path) for path in AUTH_PATHS)}) && {no_tunnel()}"
    if gateway.auth_host:
        rule = f"Host(`{gateway.auth_host}`) && {rule}"
    return _at_the_door({"rule": rule, "service": "auth", "priority": AUTH_PRIORITY}, gateway)


def _router(service: Service, path: str, chain: list[str], gateway: Gateway) -> Table:
    rule = path_rule(path)
    if service.host:
        rule = f"Host(`{service.host}`) && {rule}"
    rule = f"{rule} && {no_tunnel()}"
    router = {
        "rule": rule,
        "service": f"service-{service.name}",
        "middlewares": chain,
        # A host before none, then the longest path: the order in which the edge looks routes up.
        "priority": (10_000 if service.host else 1) + len(path),
    }
    if service.expose_publicly:
        return _at_the_door(router, gateway)
    return {**router, "entryPoints": [gateway.internal]}


def _at_the_door(router: Table, gateway: Gateway) -> Table:
    tls = {"tls": {"certResolver": gateway.cert_resolver}} if gateway.cert_resolver else {}
    return {**router, "entryPoints": [gateway.entry_point], **tls}


def _load_balancer(url: str) -> Table:
    return {"loadBalancer": {"servers": [{"url": url}], "serversTransport": TRANSPORT}}
