"""deploy/proxies/traefik says what the code renders: an operator's copy must not lack a header."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ctl import init
from shared import traefik
from shared.catalogue import parse_catalogue

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "proxies" / "traefik"
GATEWAY = traefik.Gateway(
    auth="http://auth:8000",
    edge="http://edge:9000",
    entry_point="websecure",
    auth_host="auth.example.com",
    cert_resolver="letsencrypt",
    internal="internal",
    secure=True,
)


def test_the_file_is_what_the_starter_catalogue_renders_to() -> None:
    """Routers, middleware, services."""
    copied = replace(GATEWAY, stamped=False)  # by hand: the check names the service alone
    rendered = traefik.render(parse_catalogue(init.CATALOGUE), copied)

    assert yaml.safe_load((FOLDER / "dynamic.yml").read_text()) == rendered


def test_the_labels_are_what_is_rendered_for_the_starter_catalogue() -> None:
    """As the page shows them; each option with its very value."""
    page = (FOLDER / "README.md").read_text()

    labels = traefik.labels_of(parse_catalogue(init.CATALOGUE), GATEWAY, "app")

    assert "```text\n" + "\n".join(labels) + "\n```" in page
    routers = traefik.render(parse_catalogue(init.CATALOGUE), GATEWAY)["http"]["routers"]
    (of_auth,) = [router["rule"] for router in routers.values() if router["service"] == "auth"]
    assert f"\ntraefik.http.routers.latchwire-auth.rule={of_auth}\n" in page


@pytest.mark.parametrize("door", ["websecure", "internal"])
def test_the_static_file_drops_twins_of_headers_and_believes_nobody(door: str) -> None:
    """F-02 and F-04."""
    entry_point = yaml.safe_load((FOLDER / "traefik.yml").read_text())["entryPoints"][door]

    assert entry_point["http"]["aliasHeadersStrategy"] == "delete"
    assert entry_point["http"]["maxHeaderBytes"] == 64 * 1024
    assert entry_point["forwardedHeaders"] == {"trustedIPs": []}
    compose = (FOLDER.parents[2] / "compose.yaml").read_text()
    for flag in ("aliasheadersstrategy=delete", f"maxheaderbytes={64 * 1024}"):
        assert f"--entrypoints.{door}.http.{flag}\n" in compose
