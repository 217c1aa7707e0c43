"""From a save of services.yaml to a protected service at a real Traefik, stage by stage, as `make up` runs it.

The file is seen and published, the edge goes by it, auth knows that every edge does and tells Traefik, Traefik
routes it. Each round adds one service; the first is saved as soon as `up` says that it is ready. The stages'
times are those at which the line, the heartbeat and auth's log record were written, by one machine's clock.
"""

import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import aiohttp

from shared.bus import Bus, connect_bus
from shared.clock import SystemClock
from shared.contract import EDGE_HEARTBEAT, Role
from shared.ids import SystemIds
from shared.messages import Heartbeat
from shared.secrets import load_seed
from tests.bench.goals import at_most
from tests.support.stack import Stack, start_stack

ROUNDS: Final = 20
GOAL: Final = 2.0  # seconds
PAUSE: Final = 0.01  # between two looks
STAGES: Final = (
    "the file is seen, and published",
    "the edge goes by it",
    "every edge does, auth hears",
    "Traefik asks, and routes it",
)
SERVICE: Final = """\
  {name}:
    paths: [/{name}]
    upstream: http://127.0.0.1:{port}
"""


@dataclass
class Round:
    """When each stage was over: Unix seconds, from the save on."""

    saved: float
    published: float
    at_the_edge: float
    told: float
    routed: float

    @property
    def stages(self) -> tuple[float, ...]:
        """How long each took, in ms. A stage that was over before it was noticed took nothing."""
        ends = (self.saved, self.published, self.at_the_edge, self.told, self.routed)
        return tuple(max(0.0, e - b) * 1000 for b, e in pairwise(ends))

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.routed - self.saved


class Watch:
    """Notes when the edge first says that it goes by a generation."""

    def __init__(self) -> None:
        self._first: dict[int, float] = {}

    async def hear(self, beat: Heartbeat) -> None:
        """A heartbeat."""
        self._first.setdefault(beat.catalogue_generation, time.time())

    def reached(self, generation: int) -> float:
        """When *generation* or a later one was first heard."""
        return min(at for known, at in self._first.items() if known >= generation)


async def add_one(stack: Stack, http: aiohttp.ClientSession, watch: Watch, number: int) -> Round:
    """Save one more service and wait until it asks for a login."""
    name, services = f"added-{number}", stack.up.state / "services.yaml"
    text = services.read_text() + SERVICE.format(name=name, port=stack.run["ports"]["demo"])
    line = asyncio.to_thread(_line, stack, f"as generation {number + 2}")
    async with asyncio.TaskGroup() as group:
        published = group.create_task(line)
        await asyncio.sleep(0)
        services.write_text(text)
        saved = time.time()
        while (status := await _status(http, f"{stack.url}/{name}")) != 401:
            if status != 404:
                raise RuntimeError(f"a service that nobody knows yet answered {status}")
            await asyncio.sleep(PAUSE)
        routed = time.time()
    told = _told(stack, number + 2)
    return Round(saved, published.result(), watch.reached(number + 2), told, routed)


def _line(stack: Stack, text: str) -> float:
    stack.up.wait_for(text)
    return time.time()


async def _status(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url) as answer:
        return answer.status


def _told(stack: Stack, generation: int) -> float:
    """When auth began to serve *generation*: the time in its log."""
    lines = (line for line in stack.logs("auth").splitlines() if "gateway.routes_served" in line)
    records = [json.loads(line) for line in lines]
    found = next(r["timestamp"] for r in records if r["generation"] >= generation)
    return datetime.fromisoformat(found).timestamp()


async def measure(stack: Stack) -> list[Round]:
    """All rounds, the first at once."""
    seed = load_seed(Path(stack.run["secrets_dir"]), Role.OPERATOR.value)
    async with (
        connect_bus(
            url=stack.run["nats_url"], role=Role.OPERATOR, name="operator", seed=seed,
            clock=SystemClock(), ids=SystemIds(),
        ) as bus,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):  # fmt: skip
        watch = await _watching(bus)
        return [await add_one(stack, http, watch, number) for number in range(ROUNDS)]


async def _watching(bus: Bus) -> Watch:
    watch = Watch()
    await bus.listen(EDGE_HEARTBEAT, watch.hear)
    return watch


def report(rounds: list[Round]) -> None:
    """The first, then the middle and the worst of each stage."""
    first, all_seconds = rounds[0], sorted(r.seconds for r in rounds)
    print(f"{'saved when `up` was ready':34}{at_most(first.seconds, GOAL, 's')}")
    print(f"{'middle of ' + str(ROUNDS):34}{at_most(statistics.median(all_seconds), GOAL, 's')}")
    print(f"{'worst':34}{at_most(all_seconds[-1], GOAL, 's')}")
    for index, stage in enumerate(STAGES):
        took = sorted(r.stages[index] for r in rounds)
        print(f"  {stage:32}{statistics.median(took):6.0f} ms  worst {took[-1]:6.0f} ms")


def main() -> None:
    """One `up`, all rounds."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        state.mkdir()
        stack = start_stack(state)
        try:
            report(asyncio.run(measure(stack)))
        finally:
            stack.up.kill()


if __name__ == "__main__":
    main()
