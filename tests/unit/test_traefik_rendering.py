"""What the catalogue becomes at Traefik: order, limits, CORS, security headers, internal services, labels."""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from shared.catalogue import Catalogue, Needs, RateLimit, Service, load_catalogue, stamp_of
from shared.traefik import IDENTITY_HEADERS, Gateway, labels_of, render

GATEWAY = Gateway(auth="http://auth:8000", edge="http://edge:9000", internal="internal")
EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "proxies" / "services.yaml"
SHOP = Service("shop", None, ("/shop",), "http://shop:3000")


def tables(service: Service, gateway: Gateway = GATEWAY) -> dict[str, Any]:
    """What is rendered for one service."""
    found: dict[str, Any] = render(Catalogue((service,)), gateway)["http"]
    return found


def chain(service: Service, gateway: Gateway = GATEWAY) -> list[str]:
    """The names of its middlewares, outermost first."""
    found: list[str] = tables(service, gateway)["routers"]["service-shop-0"]["middlewares"]
    return found


def test_every_shield_has_its_place_around_the_check() -> None:
    """Refusals carry security headers and CORS; the limit shields the edge; the policy is the service's own."""
    whole = replace(
        SHOP,
        allowed_origins=("https://app.acme.com",),
        rate_limit=RateLimit(100, 60.0, 50),
        middlewares=("compress@file",),
    )

    assert chain(whole) == [
        "latchwire-headers",
        "latchwire-cors-shop",
        "latchwire-rate-shop",
        "latchwire-check-shop",
        "latchwire-csp-shop",
        "compress@file",
    ]
    assert set(tables(whole)["middlewares"]) == set(chain(whole)) - {"compress@file"}


@pytest.mark.parametrize(
    ("said", "policy"),
    [
        # Nothing that an ordinary page needs: its scripts, styles, images and forms go on.
        (None, "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"),
        ("default-src 'none'", "default-src 'none'"),
        ("upstream", None),
    ],
)
def test_a_policy_is_the_usual_one_the_operators_or_left_to_the_service(
    said: str | None, policy: str | None
) -> None:
    """Traefik replaces a service's own, so the catalogue has a word for not touching it."""
    service = replace(SHOP, content_security_policy=said)
    found = tables(service)["middlewares"].get("latchwire-csp-shop")

    assert found == (policy and {"headers": {"contentSecurityPolicy": policy}})
    assert ("latchwire-csp-shop" in chain(service)) is (policy is not None)
    assert "latchwire-headers" in chain(service)


@pytest.mark.parametrize("open_to_all", [True, False])
def test_no_service_is_without_the_check(open_to_all: bool) -> None:
    """Open ones too: only the edge's answer removes identity headers that a client made up."""
    bare = replace(SHOP, require_auth=not open_to_all, security_headers=False)

    assert chain(bare) == ["latchwire-check-shop"]


@pytest.mark.parametrize(
    ("limit", "average", "period", "burst"),
    [
        (RateLimit(100, 60.0, 50), 100, "60s", 50),
        (RateLimit(20, 60.0, 10), 20, "60s", 10),
        (RateLimit(5, 1.0, 2), 5, "1s", 2),
        (RateLimit(1000, 3600.0, 500), 1000, "3600s", 500),
    ],
)
def test_a_limit_is_of_one_address_and_one_ipv6_subscriber(
    limit: RateLimit, average: int, period: str, burst: int
) -> None:
    """Standard, strict, and numbers of one's own."""
    found = tables(replace(SHOP, rate_limit=limit))["middlewares"]["latchwire-rate-shop"]

    strategy = {"ipStrategy": {"ipv6Subnet": 64}}
    expected = {"average": average, "period": period, "burst": burst, "sourceCriterion": strategy}
    assert found == {"rateLimit": expected}


def test_hsts_is_said_where_people_come_by_https_and_nowhere_else() -> None:
    """RFC 6797, section 7.2: not over plain http."""
    plain = tables(SHOP)["middlewares"]["latchwire-headers"]["headers"]
    secure = tables(SHOP, replace(GATEWAY, secure=True))["middlewares"]["latchwire-headers"]

    assert "stsSeconds" not in plain
    assert secure["headers"]["stsSeconds"] == 31_536_000
    assert plain["contentTypeNosniff"]
    assert plain["frameDeny"]


def test_a_service_that_is_not_exposed_has_a_route_at_the_internal_entry_point_alone() -> None:
    """And none at all where there is no such entry point."""
    hidden = replace(SHOP, expose_publicly=False)

    routers = tables(hidden)["routers"]
    assert routers["service-shop-0"]["entryPoints"] == ["internal"]
    assert set(tables(hidden, replace(GATEWAY, internal=None))["routers"]) == {"auth"}


def test_a_services_own_headers_are_taken_from_the_client_in_every_spelling() -> None:
    """As the usual ones: listed, and matched with dots and underscores."""
    own = replace(SHOP, headers=(("X-User-Permissions", "permissions"),))

    check = tables(own)["middlewares"]["latchwire-check-shop"]["forwardAuth"]
    assert set(check["authResponseHeaders"]) == {*IDENTITY_HEADERS, "X-User-Permissions"}
    assert re.search(check["authResponseHeadersRegex"], "x_user.permissions")
    assert "X-User-Permissions" not in check["authRequestHeaders"]


def test_every_service_of_the_example_is_routed_past_its_own_check() -> None:
    """All ten, by their names."""
    catalogue = load_catalogue(EXAMPLE)
    found = render(catalogue, GATEWAY)["http"]

    for service in catalogue.services:
        address = f"http://edge:9000/check/traefik/{stamp_of(service)}"
        check = found["middlewares"][f"latchwire-check-{service.name}"]["forwardAuth"]
        assert check["address"] == address
        for number in range(len(service.paths)):
            router = found["routers"][f"service-{service.name}-{number}"]
            assert f"latchwire-check-{service.name}" in router["middlewares"]
    assert len(catalogue.services) == 10


OTHERWISE: dict[str, object] = {
    "name": "store",
    "host": "shop.acme.com",
    "paths": ("/shop", "/basket"),
    "upstream": "http://shop:3001",
    "require_auth": False,
    "roles": Needs(any=("clerk",)),
    "emails": ("@acme.com",),
    "public_paths": ("/shop/window",),
    "max_staleness_seconds": 5.0,
    "expose_publicly": False,
    "permissions": Needs(all=("shop.read",)),
    "organisations": ("*",),
    "callers": ("till",),
    "token_types": ("user", "service"),
    "login_age_seconds": 3600.0,
    "allowed_origins": ("https://b.acme.com",),
    "allow_credentials": True,
    "rate_limit": RateLimit(20, 60.0, 11),
    "middlewares": ("office-only@file",),
    "headers": (("X-Tenant", "org"), ("X-More", "sub")),
    "security_headers": False,
    "content_security_policy": "upstream",
}


@pytest.mark.parametrize("key", [field.name for field in fields(Service)])
def test_the_stamp_changes_with_all_that_traefik_gets_of_an_entry_and_with_nothing_else(
    key: str,
) -> None:
    """Each key of an entry, a new one too: what the edges' opening relies on must be there at Traefik."""
    whole = replace(
        SHOP,
        allowed_origins=("https://a.acme.com",),
        rate_limit=RateLimit(20, 60.0, 10),
        headers=(("X-Tenant", "org"),),
    )
    other = replace(whole, **{key: OTHERWISE[key]})  # type: ignore[arg-type]
    by_name = replace(GATEWAY, stamped=False)

    rendered = tables(other, by_name) != tables(whole, by_name)
    assert (stamp_of(other) != stamp_of(whole)) is rendered
    assert getattr(other, key) != getattr(whole, key)


def test_which_claim_a_header_carries_is_the_edges_affair() -> None:
    """Traefik lists its name."""
    org, sub = (replace(SHOP, headers=(("X-Tenant", claim),)) for claim in ("org", "sub"))

    assert stamp_of(org) == stamp_of(sub)


def test_every_name_that_a_router_uses_is_there() -> None:
    """Traefik drops a router with an unknown middleware, service or transport."""
    found = render(load_catalogue(EXAMPLE), GATEWAY)["http"]

    for router in found["routers"].values():
        assert router["service"] in found["services"]
        ours = {name for name in router.get("middlewares", ()) if "@" not in name}
        assert ours <= found["middlewares"].keys()
    transports = {s["loadBalancer"]["serversTransport"] for s in found["services"].values()}
    assert transports <= found["serversTransports"].keys()


def test_labels_say_the_same_as_the_file() -> None:
    """Each value of the rendered tables stands in one label."""
    service = replace(SHOP, rate_limit=RateLimit(20, 60.0, 10), allowed_origins=("*",))
    labels = dict(line.split("=", 1) for line in labels_of(Catalogue((service,)), GATEWAY, "shop"))

    middlewares = "traefik.http.middlewares."
    assert labels["traefik.enable"] == "true"
    address = labels[f"{middlewares}latchwire-check-shop.forwardAuth.address"]
    assert (
        address == "http://edge:9000/check/traefik/shop"
    )  # it outlives what the edges know of entries
    assert labels[f"{middlewares}latchwire-rate-shop.rateLimit.average"] == "20"
    assert labels[f"{middlewares}latchwire-cors-shop.headers.accessControlAllowOriginList"] == "*"
    assert labels["traefik.http.services.service-shop.loadBalancer.server.port"] == "3000"
    assert labels["traefik.http.routers.service-shop-0.middlewares"] == ",".join(chain(service))
    assert not [name for name in labels if ".auth." in name]


def test_labels_of_a_service_without_a_route_are_refused() -> None:
    """Unknown, or not exposed where there is no entry point for it."""
    hidden = Catalogue((replace(SHOP, expose_publicly=False),))

    for name, gateway in (("other", GATEWAY), ("shop", replace(GATEWAY, internal=None))):
        with pytest.raises(KeyError):
            labels_of(hidden, gateway, name)


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        *((line, True) for line in ("websocket", "WebSocket", "h2c", "H2C", "")),
        *((line, False) for line in ("foo", "w", "web", "socket", "h", "h2", "h2c-14", "h2c, websocket")),
        *((line, False) for line in ("websocket2", "websocket, h2c", "xwebsocket", "TLS/1.0", " ", "2")),
    ],
)  # fmt: skip
def test_nothing_but_a_websocket_may_be_switched_to(line: str, passes: bool) -> None:
    """Each rule says so, auth's too; h2c Traefik itself drops (`tests/integration/test_proxies_lies.py`)."""
    rules = [router["rule"] for router in tables(SHOP)["routers"].values()]
    assert len(rules) == 2  # the service's, and auth's
    for rule in rules:
        found = re.search(r" && !HeaderRegexp\(`Upgrade`, `([^`]+)`\)$", rule)

        assert found is not None
        refused = re.compile(found[1].replace(r"\z", r"\Z"))
        assert (refused.search(line) is None) is passes
