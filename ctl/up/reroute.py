"""A running `up` whose catalogue changes: Traefik gets the routes that the edges have taken."""

import json
from pathlib import Path
from typing import Any

from ctl import traefik
from ctl.up.ports import LOOPBACK
from shared.catalogue import Catalogue


def adds_app(catalogue: Path) -> bool:
    """Whether the `up` that runs beside *catalogue* adds an application to it."""
    return bool(_run_file(catalogue.parent).get("app"))


def reroute(secrets_dir: Path, catalogue: Catalogue) -> bool:
    """Let the Traefik of the `up` with these secrets route as *catalogue* says; False: it is not one."""
    ports = _run_file(secrets_dir.parent).get("ports")
    path = secrets_dir.parent / "traefik" / "dynamic.yml"
    if not ports or not path.exists():
        return False
    gateway = traefik.Gateway(
        auth=f"http://{LOOPBACK}:{ports['auth']}", edge=f"http://{LOOPBACK}:{ports['edge']}"
    )
    # Whole or not at all: Traefik watches the file.
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(traefik.render(catalogue, gateway), indent=2), "utf-8")
    temporary.replace(path)
    return True


def _run_file(state: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((state / "run.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found
