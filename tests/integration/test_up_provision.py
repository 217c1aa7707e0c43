"""What `up` does with a bus that has too much to do just when everything starts."""

import asyncio
import signal
import subprocess

from ctl.up.streams import apply_patiently
from shared.ids import SystemIds
from tests.conftest import BusFactory
from tests.support.servers import NatsServer
from tests.support.waiting import eventually


async def test_a_request_that_runs_out_is_made_again(
    nats_server: NatsServer, bus_of: BusFactory
) -> None:
    """A disk that keeps the bus busy for three seconds does not end `up`."""
    bus = await bus_of("provisioner")
    nats_server.signal(signal.SIGSTOP)
    try:
        await eventually(lambda: stands_still(nats_server))
        before = bus.client.stats["out_msgs"]
        applying = asyncio.create_task(apply_patiently(bus, SystemIds()))
        await eventually(lambda: bus.client.stats["out_msgs"] >= before + 2 or applying.done())
    finally:
        nats_server.signal(signal.SIGCONT)

    assert await applying == []


def stands_still(server: NatsServer) -> bool:
    """The signal is sent at once and obeyed a moment later."""
    assert server.process is not None
    words = ["ps", "-o", "state=", "-p", str(server.process.pid)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == "T"
