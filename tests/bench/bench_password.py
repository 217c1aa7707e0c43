"""Password logins of one auth worker: what they cost beside the hash itself, and whether its loop goes on.

The floor of a login is its own hash: what auth's hashing threads use, while everything else goes on beside
them. A bare hash, in as many threads at once and in turns with the logins, has the processor's caches for
itself and is shown too. A loop that does nothing runs beside auth and notes how late it comes: what both have
is the machine's.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from services.auth.adapters.argon2_hasher import NICE, OWASP, Argon2Hasher, available_cores
from tests.bench.accounts import PASSWORD, AccountSite, accounts_site
from tests.bench.bench_auth import cpu_seconds, timed
from tests.bench.goals import at_most, ratio_at_most
from tests.support.servers import ROOT

ROUNDS = 7
LOGINS = 60
AT_ONCE = 200
WAVES = 5
RETRY = 0.2  # seconds


class Door:
    """Logs people in, each from a browser of their own that stays the same."""

    def __init__(self, http: aiohttp.ClientSession, base: str) -> None:
        self.http, self.base = http, base
        self.browsers: dict[str, str] = {}
        self.refused = 0

    async def log_in(self, number: int) -> None:
        """One login with the right password; again when it is not now (503), as long as it takes."""
        while not await self._logged_in(number):
            self.refused += 1
            await asyncio.sleep(RETRY)

    async def _logged_in(self, number: int) -> bool:
        email = f"person{number % AT_ONCE}@example.com"
        headers = {"Cookie": self.browsers[email]} if email in self.browsers else {}
        body = {"email": email, "password": PASSWORD}
        url = f"{self.base}/auth/login"
        async with self.http.post(url, json=body, headers=headers) as answer:
            text = await answer.text()
            assert answer.status in {200, 503}, (answer.status, text[:200])
            for name, morsel in answer.cookies.items():
                self.browsers[email] = f"{name}={morsel.value}"
            return answer.status == 200

    async def meet(self) -> None:
        """Everybody logs in once: from then on nobody is told of a new browser."""
        await timed(AT_ONCE, self.log_in, AT_ONCE)


async def bare_cpu(hasher: Argon2Hasher, stored: str) -> float:
    """Processor seconds of one check of a password, with all threads at work."""

    async def check(_number: int) -> None:
        assert (await hasher.verify(stored, PASSWORD)).matches

    before = time.process_time()
    await timed(LOGINS, check, available_cores())
    return (time.process_time() - before) / LOGINS


def hash_seconds(pid: int) -> float:
    """User and system time, so far, of the threads of *pid* that hash: the ones that are nicer."""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    threads = [text.rpartition(")")[2].split() for text in stats]
    ticks = [int(t[11]) + int(t[12]) for t in threads if int(t[16]) >= NICE]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


async def measure_cost(door: Door, pid: int) -> None:
    """Logins and bare hashes in turns."""
    hasher = Argon2Hasher()
    stored = await hasher.hash(PASSWORD)
    rounds = []
    for _ in range(ROUNDS + 1):
        all_before, hash_before = cpu_seconds(pid), hash_seconds(pid)
        seconds = await timed(LOGINS, door.log_in, 2 * available_cores())
        cost, own = cpu_seconds(pid) - all_before, hash_seconds(pid) - hash_before
        rounds.append(
            (LOGINS / seconds, cost / LOGINS, own / LOGINS, await bare_cpu(hasher, stored))
        )
    hasher.close()
    rounds = rounds[1:]  # the first only warms up
    rate, cost, own, bare = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"password logins {rate:8.1f} per second, {1 / cost:.1f} per second and core")
    print(f"CPU of each     {cost * 1e3:8.1f} ms; its hash {own * 1e3:.1f} ms", end="; ")
    print(f"of {OWASP.prefix} alone {bare * 1e3:.1f} ms")
    print(
        f"of the hash     {ratio_at_most(statistics.median(c / h for _, c, h, _ in rounds), 1.1)}"
    )
    against_bare = statistics.median(c / b for _, c, _, b in rounds)
    print(f"of a bare hash that runs alone {against_bare:.2f}")


async def waves(door: Door) -> tuple[float, float]:
    """When AT_ONCE logins at once, WAVES times, began and ended."""
    began = time.monotonic()
    for _ in range(WAVES):
        await timed(AT_ONCE, door.log_in, AT_ONCE)
    return began, time.monotonic()


def p99(path: Path, began: float, ended: float) -> float:
    """The 99th percentile of how late a loop came in that time, in ms."""
    late = [late for at, late in json.loads(path.read_text()) if began <= at <= ended]
    return statistics.quantiles(late, n=100)[98] * 1e3


@asynccontextmanager
async def bare_loop(path: Path) -> AsyncIterator[None]:
    """A loop with nothing to do, in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.measured_auth", str(path), "bare"]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk/src'}"}
    process = subprocess.Popen(command, env=env, cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(15)


@asynccontextmanager
async def crowd(accounts: AccountSite) -> AsyncIterator[Door]:
    """Everybody has an account, and has logged in once."""
    await accounts.add(*(f"person{number}@example.com" for number in range(AT_ONCE)))
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar()
    ) as http:
        door = Door(http, accounts.site.base)
        await door.meet()
        yield door


async def measure_lateness(folder: Path) -> None:
    """In a process of its own: the notes cost 200 turns of the loop each second, which are no login's."""
    own, bare = folder / "auth", folder / "bare"
    async with (
        accounts_site(auth=("tests.bench.measured_auth", str(own))) as accounts,
        crowd(accounts) as door,
    ):
        door.refused = 0
        async with bare_loop(bare):
            began, ended = await waves(door)
        print(f"{WAVES} x {AT_ONCE} logins at once, asked again after a 503: {door.refused}")
    print(f"loop late, p99, {AT_ONCE} logins at once {at_most(p99(own, began, ended), 20, 'ms')}")
    print(f"a loop with nothing to do beside it   {p99(bare, began, ended):6.1f} ms")


async def main() -> None:
    """Measure and print."""
    async with accounts_site() as accounts, crowd(accounts) as door:
        await measure_cost(door, accounts.site.pid)
    with TemporaryDirectory() as folder:
        await measure_lateness(Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
