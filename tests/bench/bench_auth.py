"""Logins, exchanges and refreshes per second of one auth worker, and what bounds them.

Each is paired with its floor on the same machine in the same round: the same number of Redis scripts and
acknowledged JetStream publishes (and, for tokens, RSA signatures) done by a bare client.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from redis.asyncio import Redis

from shared.bus import Bus
from shared.contract import LOGIN_FAILED
from shared.ids import SystemIds
from shared.links import link_token
from shared.messages import LoginFailed
from shared.redis import connect_redis
from shared.secrets import (
    SymmetricKeys,
    load_signing_key,
    load_symmetric,
    new_private_pem,
    signing_paths,
    write_jwks,
    write_private,
)
from tests.bench.goals import memory
from tests.support.servers import ROOT, NatsServer, free_port, make_nats, make_redis, make_secrets
from tests.support.waiting import eventually

ROUNDS = 5
REQUESTS = 600
CONCURRENCY = 16
# The answer to a login request waits for its floor (services/auth/http/pacing.py): with so many at once the
# worker is busy all the same.
LOGIN_CONCURRENCY = 128
LIMITS = {f"LATCHWIRE_LIMIT_{n}": "1000000/m" for n in ("ADDRESS", "NETWORK", "GLOBAL")}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def timed(
    count: int, work: Callable[[int], Awaitable[None]], concurrency: int = CONCURRENCY
) -> float:
    """Seconds for *count* calls, *concurrency* at a time."""
    numbers = iter(range(count))

    async def loop() -> None:
        for number in numbers:
            await work(number)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(loop())
    return time.perf_counter() - started


class Client:
    """One caller of the API."""

    def __init__(self, http: aiohttp.ClientSession, base: str, link_key: bytes) -> None:
        self.http, self.base, self.key = http, base, link_key
        self.logins: list[tuple[str, str]] = []
        self.refresh: list[str] = []

    async def post(self, path: str, body: dict[str, object], status: int) -> dict[str, str]:
        """POST and check the answer."""
        async with self.http.post(f"{self.base}{path}", json=body) as answer:
            text = await answer.text()
            assert answer.status == status, (path, answer.status, text[:200])
            parsed: dict[str, str] = json.loads(text)
            return parsed

    async def login(self, number: int) -> None:
        email = f"person{number}-{len(self.logins)}@example.com"
        answer = await self.post("/auth/login", {"email": email}, 202)
        self.logins.append((answer["login_id"], email))

    async def exchange(self, _number: int) -> None:
        login_id, email = self.logins.pop()
        token = link_token(self.key, "sign_in", login_id, email)
        self.refresh.append((await self.post("/auth/link", {"token": token}, 200))["refresh_token"])

    async def renew(self, _number: int) -> None:
        token = self.refresh.pop()
        answer = await self.post("/auth/refresh", {"refresh_token": token}, 200)
        self.refresh.insert(0, answer["refresh_token"])


class Floor:
    """The least that the work costs: the same stores and signatures, asked by a bare client."""

    def __init__(self, bus: Bus, redis: Redis, secrets: Path) -> None:
        self.bus, self.redis = bus, redis
        self.key = load_signing_key(signing_paths(secrets)[0])

    async def store(self) -> None:
        """One script in Redis."""
        await self.redis.eval("return redis.call('SET', KEYS[1], 'x')", 1, "bench")

    async def publish(self) -> None:
        """One acknowledged event."""
        ulid = SystemIds().ulid(time.time_ns() // 1_000_000)
        await self.bus.publish(LOGIN_FAILED, LoginFailed(id=ulid, at=1, method="x", reason="bench"))

    async def sign(self) -> None:
        """One RS256 signature."""
        self.key.sign(b"x" * 600, padding.PKCS1v15(), hashes.SHA256())

    async def seconds(self, steps: tuple[Callable[[], Awaitable[None]], ...]) -> float:
        """The time of REQUESTS times all *steps*."""

        async def all_steps(_number: int) -> None:
            for step in steps:
                await step()

        return await timed(REQUESTS, all_steps)


async def measure(
    client: Client, floor: Floor, pid: int
) -> dict[str, list[tuple[float, float, float]]]:
    """Per kind of work and round: seconds, the worker's CPU seconds, the floor's seconds."""
    plan = {
        "login requests": (client.login, (floor.store, floor.publish)),
        "link exchanges": (client.exchange, (floor.store, floor.store, floor.publish, floor.sign)),
        "refreshes": (client.renew, (floor.store, floor.store, floor.sign)),
    }
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in plan}
    for _ in range(ROUNDS + 1):
        for name, (work, steps) in plan.items():
            before = cpu_seconds(pid)
            at_once = LOGIN_CONCURRENCY if work == client.login else CONCURRENCY
            seconds = await timed(REQUESTS, work, at_once)
            used = cpu_seconds(pid) - before
            rows[name].append((seconds, used, await floor.seconds(steps)))
    return rows


def print_table(rows: dict[str, list[tuple[float, float, float]]], pid: int) -> None:
    """Medians over the rounds; the first round only warms up."""
    print(f"{'':16}{'per second':>12}{'CPU us each':>13}{'floor/s':>10}{'of floor':>10}")
    for name, samples in rows.items():
        counted = samples[1:]
        rate = statistics.median(REQUESTS / s for s, _, _ in counted)
        cost = statistics.median(u / REQUESTS * 1e6 for _, u, _ in counted)
        base_rate = statistics.median(REQUESTS / f for _, _, f in counted)
        ratio = statistics.median(f / s for s, _, f in counted)
        print(f"{name:16}{rate:12.0f}{cost:13.0f}{base_rate:10.0f}{ratio:10.2f}")
    print("bounded by the worker's own CPU: one core")
    print(f"resident afterwards {memory(resident_mib(pid))}")


async def run_rounds(
    base: str, pid: int, key: SymmetricKeys, bus: Bus, redis_url: str, secrets: Path
) -> None:
    """Measure a running worker and print."""
    connector = aiohttp.TCPConnector(limit=LOGIN_CONCURRENCY)
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        connect_redis(redis_url) as redis,
    ):
        client = Client(http, base, key.by_kid[key.current])
        print_table(await measure(client, Floor(bus, redis, secrets), pid), pid)


@dataclass(frozen=True)
class Site:
    """Running parts; *pid* is auth's."""

    base: str
    pid: int
    secrets: Path
    nats: NatsServer
    redis_url: str


@asynccontextmanager
async def running_site(
    workers: tuple[str, ...] = ("revocation", "auth"),
    *,
    algorithm: str = "RS256",
    auth: tuple[str, ...] = ("services.auth",),
    **changes: str,
) -> AsyncIterator[Site]:
    """The real parts, ended with the block. Tokens are signed with *algorithm*; *auth* is what runs as auth."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        secrets = make_secrets(folder / "secrets")
        if algorithm != "RS256":
            write_private(signing_paths(secrets)[0], new_private_pem(algorithm))
            write_jwks(secrets)
        nats, redis = make_nats(folder / "nats", secrets), make_redis(folder / "redis")
        nats.start()
        await nats.provision()
        redis.start()
        port, ports = free_port(), [free_port(), free_port()]
        env = {
            **os.environ,
            **LIMITS,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk/src'}",
            "LATCHWIRE_URL": f"http://localhost:{port}",
            "LATCHWIRE_ALLOW": "*",
            "LATCHWIRE_SITE_NAME": "Bench",
            "LATCHWIRE_SECRETS_DIR": str(secrets),
            "LATCHWIRE_NATS_URL": nats.url,
            "LATCHWIRE_REDIS_URL": redis.url,
            "LATCHWIRE_AUTH_LISTEN": f"127.0.0.1:{port}",
            "LATCHWIRE_AUTH_ADMIN": f"127.0.0.1:{ports[0]}",
            "LATCHWIRE_REVOCATION_ADMIN": f"127.0.0.1:{ports[1]}",
            "LATCHWIRE_LOG_LEVEL": "warning",
            **changes,
        }
        started = [
            subprocess.Popen(
                [sys.executable, "-m", *(auth if n == "auth" else (f"services.{n}",))],
                env=env,
                cwd=ROOT,
            )
            for n in workers
        ]
        try:
            async with aiohttp.ClientSession() as http:

                async def ready() -> bool:
                    try:
                        async with http.get(f"http://127.0.0.1:{ports[0]}/ready") as answer:
                            return answer.status == 200
                    except aiohttp.ClientError:
                        return False

                await eventually(ready, within=20)
            base = f"http://127.0.0.1:{port}"
            yield Site(base, started[1].pid, secrets, nats, redis.url)
        finally:
            for process in started:
                process.terminate()
                process.wait(15)
            nats.kill()
            redis.kill()


async def main() -> None:
    """Measure."""
    async with running_site() as site:
        key = load_symmetric(site.secrets, "link")
        async with site.nats.connect("auth") as bus:
            await run_rounds(site.base, site.pid, key, bus, site.redis_url, site.secrets)


if __name__ == "__main__":
    asyncio.run(main())
