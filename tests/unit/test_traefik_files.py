"""deploy/proxies/traefik says what the code renders: an operator's copy must not lack a header."""

from pathlib import Path

import yaml

from ctl import init, traefik
from shared.catalogue import parse_catalogue

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "proxies" / "traefik"
GATEWAY = traefik.Gateway(
    auth="http://auth:8000",
    edge="http://edge:9000",
    entry_point="websecure",
    auth_host="auth.example.com",
    cert_resolver="letsencrypt",
)


def test_the_file_is_what_the_starter_catalogue_renders_to() -> None:
    """Routers, middleware, services."""
    rendered = traefik.render(parse_catalogue(init.CATALOGUE), GATEWAY)

    assert yaml.safe_load((FOLDER / "dynamic.yml").read_text()) == rendered


def test_the_labels_are_the_same_middleware() -> None:
    """One label for each option, with its very value, and the service in the address."""
    lines = (FOLDER / "README.md").read_text().splitlines()
    begins = "traefik.http.middlewares.latchwire-app.forwardauth."
    labels = dict(
        line.removeprefix(begins).split("=", 1) for line in lines if line.startswith(begins)
    )

    expected = traefik.forward_auth("http://edge:9000", "app")

    assert labels == {name: _label(value) for name, value in expected.items()}


def test_the_static_file_drops_twins_of_headers_and_believes_nobody() -> None:
    """F-02 and F-04."""
    door = yaml.safe_load((FOLDER / "traefik.yml").read_text())["entryPoints"]["websecure"]

    assert door["http"]["aliasHeadersStrategy"] == "delete"
    assert door["forwardedHeaders"] == {"trustedIPs": []}


def _label(value: object) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
