"""What waits for a durable, as its leader sees it: two gauges, looked at every ten seconds.

By the consumers themselves, because each may ask about its own durable and nobody else has to. Several
workers of one role say the same; take the greatest.
"""

import asyncio
import contextlib
import json
from collections.abc import Coroutine
from typing import Any

import nats.errors
from nats.aio.client import Client
from prometheus_client import Gauge

from shared.contract import Durable

EVERY_SECONDS = 10.0
TIMEOUT = 2.0  # seconds

PENDING = Gauge("latchwire_consumer_pending", "Messages that were not delivered yet.", ["consumer"])
UNACKNOWLEDGED = Gauge(
    "latchwire_consumer_unacknowledged",
    "Messages that were delivered and not acknowledged: at work, or waiting for their next try.",
    ["consumer"],
)


async def measured(client: Client, durable: Durable, work: Coroutine[Any, Any, None]) -> None:
    """Do *work*, and set the gauges of *durable* as long as it takes."""
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(_keep_looking(client, durable))
        await work
        looking.cancel()


async def _keep_looking(client: Client, durable: Durable) -> None:
    """What is not answered leaves the gauges as they are."""
    while True:
        with contextlib.suppress(nats.errors.Error, KeyError):
            await _look(client, durable)
        await asyncio.sleep(EVERY_SECONDS)


async def _look(client: Client, durable: Durable) -> None:
    """Raises KeyError when JetStream answers with an error."""
    name = f"$JS.API.CONSUMER.INFO.{durable.stream.name}.{durable.name}"
    info = json.loads((await client.request(name, b"", timeout=TIMEOUT)).data)
    PENDING.labels(durable.name).set(info["num_pending"])
    UNACKNOWLEDGED.labels(durable.name).set(info["num_ack_pending"])
