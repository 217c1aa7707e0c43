"""The self-test at start: a denied publish is silent in NATS, so a worker asks before it relies on one."""

import asyncio
import contextlib

import nats.errors
from nats.js.errors import APIError, NoStreamResponseError

from shared import contract
from shared.bus.connection import Bus
from shared.contract import Role

WRONG_STREAM = 10060  # err_code: the publish was allowed, and refused because of our own condition
SAMPLE = "self-test"
TIMEOUT = 2.0  # seconds


class GrantError(Exception):
    """This credential may not do what the contract says it must."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(
            "denied or not provisioned: "
            + ", ".join(missing)
            + " (run `latchwire streams apply`, and reload NATS after changing accounts.conf)"
        )
        self.missing = missing


async def verify_grants(bus: Bus) -> None:
    """Prove every stored subject this role publishes and every consumer it owns; stores nothing.

    Raises:
        GrantError: naming what is denied or missing.
    """
    async with asyncio.TaskGroup() as group:
        published = [group.create_task(_publishable(bus, s)) for s in _stored(bus.role)]
        consumed = [
            group.create_task(_consumable(bus, d)) for d in contract.DURABLES if d.role is bus.role
        ]
    missing = [problem for task in (*published, *consumed) if (problem := task.result())]
    if missing:
        raise GrantError(missing)


def _stored(role: Role) -> list[str]:
    names = [s.name for s in contract.SUBJECTS if role in s.producers and s.stored]
    if role is contract.BLOCKLIST_STATE_WRITER:
        names.append(f"{contract.BLOCKLIST_STATE}.*")
    return [name.replace("*", SAMPLE).replace(">", SAMPLE) for name in names]


async def _publishable(bus: Bus, subject: str) -> str | None:
    with contextlib.suppress(nats.errors.Error, NoStreamResponseError):
        try:
            await bus.js.publish(
                subject, b"", timeout=TIMEOUT, headers={"Nats-Expected-Stream": "none"}
            )
        except APIError as error:
            if error.err_code == WRONG_STREAM:
                return None
    return f"publish {subject}"


async def _consumable(bus: Bus, durable: contract.Durable) -> str | None:
    with contextlib.suppress(nats.errors.Error, APIError):
        await bus.js.consumer_info(durable.stream.name, durable.name)
        return None
    return f"consume {durable.stream.name}/{durable.name}"
