"""Real Traefik takes everything that is rendered from the example of ten services: no router is left out."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from shared.catalogue import load_catalogue
from shared.traefik import Gateway, render
from tests.support.servers import Server, binary, free_port, start_in_thread
from tests.support.waiting import eventually

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "proxies" / "services.yaml"
CATALOGUE = load_catalogue(EXAMPLE)
GATEWAY = Gateway(
    "http://127.0.0.1:9", "http://127.0.0.1:9", auth_host="auth.acme.com", internal="internal", secure=True
)  # fmt: skip
# What the operator brings: the middleware that the service wiki names.
OWN = {"http": {"middlewares": {"compress": {"compress": {}}}}}


@asynccontextmanager
async def traefik(directory: Path, *tables: dict[str, Any]) -> AsyncIterator[str]:
    """A Traefik with these dynamic configurations; the address of its own API."""
    files = directory / "dynamic"
    files.mkdir()
    for number, table in enumerate(tables):
        (files / f"{number}.yml").write_text(json.dumps(table))
    doors = {
        name: {"address": f"127.0.0.1:{free_port()}"} for name in ("web", "internal", "traefik")
    }
    static = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "entryPoints": doors,
        "api": {"insecure": True},
        "providers": {"file": {"directory": str(files)}},
    }
    configuration = directory / "traefik.yml"
    configuration.write_text(json.dumps(static))
    address = doors["traefik"]["address"]
    argv = [binary("traefik"), f"--configFile={configuration}"]
    server = Server(argv, int(address.rpartition(":")[2]), directory / "traefik.log")
    await start_in_thread(server)
    try:
        yield f"http://{address}/api/http"
    finally:
        server.kill()


async def states(api: str, kind: str, count: int) -> dict[str, dict[str, Any]]:
    """What Traefik made of each, by name, once there are *count*."""

    async def listed() -> list[dict[str, Any]]:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{api}/{kind}?per_page=200") as answer,
        ):
            found: list[dict[str, Any]] = await answer.json() if answer.status == 200 else []
            ours = [each for each in found if each["provider"] == "file"]
            return ours if len(ours) >= count else []

    found = await eventually(listed, within=60)
    return {each["name"].removesuffix("@file"): each for each in found}


async def test_every_router_middleware_and_service_of_the_example_is_in_force(
    tmp_path: Path,
) -> None:
    """All ten services, with their limits, origins, policies, headers and transports."""
    tables = render(CATALOGUE, GATEWAY)["http"]
    async with traefik(tmp_path, render(CATALOGUE, GATEWAY), OWN) as api:
        for kind in ("routers", "middlewares", "services"):
            found = await states(api, kind, len(tables[kind]))
            broken = {
                name: each.get("error")
                for name, each in found.items()
                if each["status"] != "enabled"
            }

            assert broken == {}
            assert tables[kind].keys() <= found.keys()


async def test_a_router_that_names_an_unknown_middleware_is_left_out_and_its_service_closed(
    tmp_path: Path,
) -> None:
    """Not served without it: what an operator asked for is never quietly left away."""
    count = len(render(CATALOGUE, GATEWAY)["http"]["routers"])
    async with traefik(tmp_path, render(CATALOGUE, GATEWAY)) as api:
        found = await states(api, "routers", count)

    broken = {name for name, each in found.items() if each["status"] != "enabled"}
    assert broken == {"service-wiki-0"}
