"""Revocation: how soon it is in force at ten edges, how many a second, and what many live ones cost.

``python -m tests.bench.bench_revocation [--quick] [--million] [--only latency|mass|checks|size]``
"""

import argparse
import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench import revocation_checks as checks
from tests.bench import revocation_latency as latency
from tests.bench import revocation_mass as mass
from tests.bench import revocation_size as size
from tests.bench.machine import describe_fsync, describe_machine, describe_nats
from tests.bench.revocation_site import Site, running_site
from tests.support.edge import request

PARTS = ("latency", "mass", "checks", "size")
EDGES = 10
LATENCY_COUNT = 620
MASS_COUNT = 5_000
SIZES = (1_000, 100_000)
MILLION = 1_000_000
CAPACITY_SECONDS = 4.0


@contextlib.asynccontextmanager
async def load(site: Site, rate: float) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Checks at all edges, *rate* per second together (0: as many as they take), while inside."""
    fields = request(bearer=site.edges[0].token(sid="nobody-revokes-this"))
    lines = [b"GET /check/traefik HTTP/1.1", b"Host: edge"]
    lines += [name + b": " + value for name, values in fields.items() for value in values]
    ports = [str(edge.port) for edge in site.edges]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load", str(rate), *ports],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"\r\n".join([*lines, b"", b""]))
    process.stdin.close()
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)


async def answered(process: subprocess.Popen[bytes]) -> float:
    """What an ended load says it was answered, per second."""
    assert process.stdout is not None
    return float(await asyncio.to_thread(process.stdout.read))


async def measure_latency(site: Site, count: int) -> None:
    """Idle, then at half of what the edges take."""
    await latency.confirm(site, "spot")
    await latency.report(site, "idle", count)
    async with load(site, 0) as full:
        await asyncio.sleep(CAPACITY_SECONDS)
    capacity = await answered(full)
    async with load(site, capacity / 2) as half:
        await asyncio.sleep(1)
        await latency.report(site, "half-load", count)
    print(
        f"  half load: {await answered(half):.0f} checks/s of {capacity:.0f} measured\n", flush=True
    )


async def main(arguments: argparse.Namespace) -> None:
    """The parts asked for."""
    wanted = set(arguments.only or PARTS)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        print(f"machine: {describe_machine()}, {describe_nats()}, {describe_fsync(directory)}\n")
        if wanted & {"latency", "mass"}:
            async with running_site(directory / "fleet", edges=EDGES) as site:
                if "latency" in wanted:
                    await measure_latency(site, 120 if arguments.quick else LATENCY_COUNT)
                if "mass" in wanted:
                    await mass.report(site, 500 if arguments.quick else MASS_COUNT)
        if "checks" in wanted:
            await checks.report(sizes(arguments))
        if "size" in wanted:
            for count in sizes(arguments):
                await size.report(directory / f"size-{count}", count)


def sizes(arguments: argparse.Namespace) -> tuple[int, ...]:
    """How many live entries to measure."""
    chosen = SIZES[:1] if arguments.quick else SIZES
    return (*chosen, MILLION) if arguments.million else chosen


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer of everything: to see that it works"
    )
    parser.add_argument("--million", action="store_true", help="a million live entries as well")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be repeated")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(read_arguments()))
