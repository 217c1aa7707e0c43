"""Edges as processes of their own, with tokens signed by the installation's key."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp

from shared.clock import SystemClock
from shared.secrets import load_signing_key, signing_paths
from tests.support.edge import CATALOGUE, ORIGIN, request
from tests.support.servers import ROOT, NatsServer, Server, free_port
from tests.support.tokens import SigningKey, make_claims, sign


class EdgeProcess(Server):
    """``python -m services.edge``; `start` returns when its door is open (it may still say 503)."""

    admin: int
    secrets_dir: Path

    async def check(self, uri: str = "/demo", **fields: Any) -> tuple[int, str]:
        """Status and reason of a check, as Traefik would ask it."""
        headers = [
            (name.decode(), value.decode())
            for name, values in request(uri, **fields).items()
            for value in values
        ]
        url = f"http://127.0.0.1:{self.port}/check/traefik"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status, answer.headers.get("X-Latchwire-Reason", "")

    async def ready(self) -> tuple[int, dict[str, str]]:
        """``/ready`` of the admin port: status and problems."""
        status, body = await self._ask_admin("/ready")
        return status, json.loads(body)["problems"]

    async def metrics(self) -> str:
        """``/metrics`` of the admin port."""
        return (await self._ask_admin("/metrics"))[1]

    async def _ask_admin(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.admin}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    def token(self, **claims: Any) -> bytes:
        """A good token of this installation, issued now."""
        path = signing_paths(self.secrets_dir)[-1]
        key = SigningKey(path.stem, "RS256", load_signing_key(path))
        return sign(make_claims(now_ms=SystemClock().now_ms(), **claims), key)


def make_edge(
    nats: NatsServer,
    directory: Path,
    *,
    edge_id: str = "edge-1",
    services: str = CATALOGUE,
    **settings: str,
) -> EdgeProcess:
    """An edge (not started) on *nats*. *settings*: further ``LATCHWIRE_*`` values, in lower case."""
    port, admin = free_port(), free_port()
    catalogue = directory / "services.yaml"
    catalogue.write_text(services)
    values = {
        "url": ORIGIN,
        "nats_url": nats.url,
        "secrets_dir": str(nats.secrets_dir),
        "catalogue": str(catalogue),
        "edge_id": edge_id,
        "edge_listen": f"127.0.0.1:{port}",
        "edge_admin": f"127.0.0.1:{admin}",
        **settings,
    }
    variables = [f"LATCHWIRE_{name.upper()}={value}" for name, value in values.items()]
    variables += [f"PYTHONPATH={ROOT}:{ROOT / 'sdk' / 'src'}", f"PATH={os.defpath}"]
    command = ["env", "-i", *variables, sys.executable, "-m", "services.edge"]
    edge = EdgeProcess(command, port, directory / f"{edge_id}.log")
    edge.admin, edge.secrets_dir = admin, nats.secrets_dir
    return edge
