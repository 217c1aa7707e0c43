"""Provisioning at start: with the one credential that may, before any worker needs what it makes."""

from pathlib import Path

from shared.bus import connect_bus
from shared.bus.streams import apply_streams
from shared.clock import SystemClock
from shared.contract import Role
from shared.ids import SystemIds
from shared.secrets import load_seed


async def provision(nats_url: str, secrets: Path) -> str:
    """Bring the streams to what the contract says; in words, what was changed."""
    name = Role.PROVISIONER.value
    seed = load_seed(secrets, name)
    clock, ids = SystemClock(), SystemIds()
    async with connect_bus(
        url=nats_url, role=Role.PROVISIONER, name=name, seed=seed, clock=clock, ids=ids
    ) as bus:
        differences = await apply_streams(bus, ids)
    left = [d for d in differences if not d.mended]
    if left:
        return "differ and cannot be changed: " + ", ".join(f"{d.what} {d.field}" for d in left)
    return f"{len(differences)} made or changed" if differences else "as they should be"
