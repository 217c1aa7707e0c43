"""What forwardAuth adds at a real Traefik: with our edge, beside nginx that says yes to everybody.

One Traefik, one upstream (nginx, a static answer) and four ways to it: without a check, checked by an nginx
that answers the same headers out of its configuration, checked by our edge (a cached token,
100,000 revoked ones, everything asked each time), and by the same edge with its fast path off. They take
turns with the same number of requests, in another order each round, so what the machine does meanwhile hits
all of them. A forwardAuth costs Traefik more than it costs either server; nginx shows how much of it is the
edge's own. Where there are two cores Traefik has one to itself, and all others share the other.
"""

import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from typing import Any, Final

import uvloop

from shared.clock import SystemClock
from tests.bench.bench_edge import IDENTITY, start
from tests.bench.goals import at_most, ratio_at_least
from tests.support.servers import binary, free_port, wait_for_port
from tests.support.tokens import jwks, make_claims, sign, signing_key

ROUNDS: Final = 12
REQUESTS: Final = 1_500
WARM_UP: Final = 500
FEW, MANY = 2, 64  # connections
KINDS: Final = ("none", "nginx", "edge", "slow")
GOAL_ADDED_MS: Final = 0.16  # over nginx, p50
GOAL_RATE: Final = 0.95  # of nginx's
ANSWER: Final = "".join(f'add_header {n} "{v or "-"}";\n' for n, v in IDENTITY.items())


@dataclass
class Run:
    """One run over one way: the milliseconds of each answer."""

    request: bytes
    left: int
    done: "asyncio.Future[None]"
    open: int
    times: list[float] = field(default_factory=list)

    def fail(self, answer: bytes) -> None:
        """An answer that is not the expected one makes the figure meaningless."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"unexpected answer {answer[:300]!r}"))


class Asker(asyncio.Protocol):
    """A closed loop: the next request when the whole answer to the last one is here."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.transport: Any = None
        self.began = 0.0
        self.got = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self.got += data
        if not self.got.startswith(b"HTTP/1.1 200 "):
            self.transport.abort()
            self.run.fail(self.got)
            return
        if not self.got.endswith(b"ok\n"):
            return  # the rest is on its way
        self.got = b""
        self.run.times.append((time.perf_counter() - self.began) * 1e3)
        self._next()

    def _next(self) -> None:
        if self.run.left > 0:
            self.run.left -= 1
            self.began = time.perf_counter()
            self.transport.write(self.run.request)
            return
        self.transport.close()
        self.run.open -= 1
        if self.run.open == 0 and not self.run.done.done():
            self.run.done.set_result(None)


@dataclass(frozen=True)
class Figures:
    """Milliseconds, requests per second, and microseconds of processor per request in Traefik and the check."""

    p50: float
    p99: float
    rate: float
    traefik: float
    check: float


@dataclass(frozen=True)
class Site:
    """The port of Traefik, its process, the processes that answer checks, and a request for each way."""

    port: int
    traefik: int
    checks: dict[str, int]
    requests: dict[str, bytes]

    async def measure(self, kind: str, count: int, connections: int) -> Figures:
        """One run, with what it cost the processes."""
        watched = (self.traefik, self.checks.get(kind, self.traefik))
        before = [cpu_seconds(pid) for pid in watched]
        figures = await measure(self.port, self.requests[kind], count, connections)
        spent = [cpu_seconds(pid) - was for pid, was in zip(watched, before, strict=True)]
        traefik, check = (seconds / count * 1e6 for seconds in spent)
        return replace(figures, traefik=traefik, check=check if kind in self.checks else 0.0)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, from the scheduler's own clock (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


async def measure(port: int, request: bytes, count: int, connections: int) -> Figures:
    """One run, by the clock."""
    loop = asyncio.get_running_loop()
    run = Run(request, count, loop.create_future(), connections)
    began = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Asker(run), "127.0.0.1", port)
    await run.done
    seconds = time.perf_counter() - began
    cuts = statistics.quantiles(run.times, n=100)
    return Figures(cuts[49], cuts[98], count / seconds, 0.0, 0.0)


@contextmanager
def running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server until the end of the block."""
    process = subprocess.Popen(command)
    try:
        wait_for_port(port, process)
        yield process
    finally:
        process.terminate()
        process.wait()


def nginx_files(directory: Path, port: int, server: str) -> list[str]:
    """An nginx process of its own with this one *server* location."""
    directory.mkdir()
    stores = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    path = directory / "nginx.conf"
    path.write_text(
        f"daemon off; master_process off; worker_processes 1; pid {directory}/pid;\n"
        f"error_log {directory}/error.log;\nevents {{}}\n"
        "http { access_log off; keepalive_requests 1000000;\n"
        + "".join(f"{store}_temp_path {directory}/{store};\n" for store in stores)
        + f"server {{ listen 127.0.0.1:{port}; location / {{ {server} }} }}\n}}\n"
    )
    return [binary("nginx"), "-p", str(directory), "-c", str(path)]


def traefik_files(directory: Path, door: int, upstream: int, checks: dict[str, int]) -> list[str]:
    """Traefik with one router for each way; the header ``X-Way`` chooses."""
    middlewares = {
        name: {
            "forwardAuth": {
                "address": f"http://127.0.0.1:{port}/check/traefik/demo",
                "authResponseHeaders": list(IDENTITY),
                "trustForwardHeader": False,
            }
        }
        for name, port in checks.items()
    }
    routers = {
        name: {
            "rule": f"PathPrefix(`/demo`) && Header(`X-Way`, `{name}`)",
            "service": "app",
            "middlewares": [name] if name in checks else [],
        }
        for name in KINDS
    }
    services = {"app": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{upstream}"}]}}}
    http = {"routers": routers, "services": services, "middlewares": middlewares}
    (directory / "dynamic.yml").write_text(json.dumps({"http": http}))
    static = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
        "entryPoints": {"web": {"address": f"127.0.0.1:{door}"}},
        "providers": {"file": {"filename": str(directory / "dynamic.yml")}},
    }
    path = directory / "traefik.yml"
    path.write_text(json.dumps(static))
    return [binary("traefik"), "--configFile", str(path)]


def summary(values: list[float], digits: int = 2) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:8.{digits}f}  ({low:.{digits}f} to {high:.{digits}f})"


async def turns(site: Site, connections: int) -> dict[str, list[Figures]]:
    """All rounds with so many connections."""
    for kind in KINDS:
        await site.measure(kind, WARM_UP, connections)
    orders = list(permutations(KINDS))[:: len(KINDS) - 1]
    found: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
    for number in range(ROUNDS):
        for kind in orders[number % len(orders)]:
            found[kind].append(await site.measure(kind, REQUESTS, connections))
    return found


def report(found: dict[str, list[Figures]], connections: int) -> None:
    """Each way, and the differences and ratios of paired runs."""
    print(
        f"{connections} connections, {ROUNDS} rounds of {REQUESTS} requests (median and quartiles)"
    )
    for kind in KINDS:
        runs = found[kind]
        print(
            f"  {kind:5} p50 {summary([r.p50 for r in runs])} ms   p99 {summary([r.p99 for r in runs])} ms"
        )
        print(f"        {summary([r.rate for r in runs], 0)} a second; processor: "
              f"Traefik {summary([r.traefik for r in runs], 0)} us, "
              f"check {summary([r.check for r in runs], 0)} us")  # fmt: skip
    pairs = list(zip(found["none"], found["nginx"], found["edge"], strict=True))
    added = [e.p50 - n.p50 for n, _, e in pairs]
    print(f"  forwardAuth adds, p50: edge {summary(added)} ms, nginx "
          f"{summary([x.p50 - n.p50 for n, x, _ in pairs])} ms")  # fmt: skip
    over = statistics.median(e.p50 - x.p50 for _, x, e in pairs)
    rate = statistics.median(e.rate / x.rate for _, x, e in pairs)
    plain = statistics.median(e.rate / n.rate for n, _, e in pairs)
    goal = at_most(over, GOAL_ADDED_MS, "ms") if connections == FEW else ""
    print(f"  edge over nginx, p50: {over:.3f} ms {goal}")
    print(f"  p99, edge / nginx: {statistics.median(e.p99 / x.p99 for _, x, e in pairs):.2f}")
    print(f"  throughput, edge / no check: {plain:.2f}")
    goal = ratio_at_least(rate, GOAL_RATE) if connections == MANY else f"{rate:.2f}"
    print(f"  throughput, edge / nginx: {goal}", flush=True)
    both = list(zip(found["edge"], found["slow"], strict=True))
    print(f"  edge / the same without its fast path: p50 {summary([e.p50 / s.p50 for e, s in both])}, "
          f"throughput {summary([e.rate / s.rate for e, s in both])}, "
          f"its processor {summary([e.check / s.check for e, s in both])}", flush=True)  # fmt: skip


def pin(pid: int, core: int) -> None:
    """All threads of *pid* (0: this process) on one core, where there are several."""
    if (os.cpu_count() or 1) > 1:
        for thread in Path(f"/proc/{pid or 'self'}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


async def main() -> None:
    """Few connections for the time of one answer, many for throughput."""
    upstream, check, door = free_port(), free_port(), free_port()
    token = sign(make_claims(now_ms=SystemClock().now_ms()))
    keys = signing_key().kid, json.dumps(jwks())
    edge, slow = start("edge", *keys), start("slow", *keys)
    with ExitStack() as stack:
        for server in (edge, slow):
            stack.callback(server.process.wait)
            stack.callback(server.process.kill)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        app = nginx_files(directory / "app", upstream, 'return 200 "ok\\n";')
        origin = stack.enter_context(running(app, upstream))
        always = nginx_files(directory / "yes", check, f"{ANSWER} return 200;")
        yes = stack.enter_context(running(always, check))
        checks = {"nginx": check, "edge": edge.port, "slow": slow.port}
        files = traefik_files(directory, door, upstream, checks)
        traefik = stack.enter_context(running(files, door))
        requests = {kind: _request(kind, token) for kind in KINDS}
        pids = {"nginx": yes.pid, "edge": edge.process.pid, "slow": slow.process.pid}
        pin(traefik.pid, 0)
        for pid in (0, yes.pid, origin.pid, edge.process.pid, slow.process.pid):
            pin(pid, 1)
        site = Site(door, traefik.pid, pids, requests)
        await asyncio.sleep(5)  # Traefik listens before it has read its routes
        for connections in (FEW, MANY):
            report(await turns(site, connections), connections)


def _request(kind: str, token: bytes) -> bytes:
    head = f"GET /demo/api/items?page=2 HTTP/1.1\r\nHost: localhost:8080\r\nX-Way: {kind}\r\n"
    return head.encode() + b"Authorization: Bearer " + token + b"\r\n\r\n"


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
