"""Provisioning at start: with the one credential that may, before any worker needs what it makes."""

from contextlib import suppress
from pathlib import Path

from shared.bus import Bus, connect_bus
from shared.bus.streams import Difference, apply_streams
from shared.clock import SystemClock
from shared.contract import Role
from shared.ids import Ids, SystemIds
from shared.secrets import load_seed

# Of a few seconds each: a disk that is busy with the very start may keep one request for so long.
TRIES = 5


async def provision(nats_url: str, secrets: Path) -> str:
    """Bring the streams to what the contract says; in words, what was changed."""
    name = Role.PROVISIONER.value
    seed = load_seed(secrets, name)
    clock, ids = SystemClock(), SystemIds()
    async with connect_bus(
        url=nats_url, role=Role.PROVISIONER, name=name, seed=seed, clock=clock, ids=ids
    ) as bus:
        differences = await apply_patiently(bus, ids)
    left = [d for d in differences if not d.mended]
    if left:
        return "differ and cannot be changed: " + ", ".join(f"{d.what} {d.field}" for d in left)
    return f"{len(differences)} made or changed" if differences else "as they should be"


async def apply_patiently(bus: Bus, ids: Ids) -> list[Difference]:
    """`apply_streams`, tried again where a request runs out: what differed when it came through.

    Raises:
        TimeoutError: none of `TRIES` did.
    """
    for _ in range(TRIES - 1):
        with suppress(TimeoutError):
            return await apply_streams(bus, ids)
    return await apply_streams(bus, ids)
