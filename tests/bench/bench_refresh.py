"""Refreshes of one auth worker: processor time of each, and so how many a core does, by kind of signature.

Keycloak's sizing guide counts with 120 per second and core; ten times that is the goal with a fast signature.
The bare signature is measured in turns with them, because the machine is not always equally fast.
"""

import asyncio
import statistics
import time

import aiohttp
import jwt

from shared.secrets import SigningKey, algorithm_of, load_signing_key, load_symmetric, signing_paths
from tests.bench.accounts import accounts_site
from tests.bench.bench_auth import Client, Site, cpu_seconds, running_site, timed
from tests.bench.goals import at_least

ROUNDS = 7
REQUESTS = 600
PEOPLE = 64
GOAL = 1200
SIGNATURES = 50
PAYLOAD = {"sub": "01JD8V6M7Q2Z4X9T3N5R8W0K1B", "email": "person@example.com", "iat": 1, "exp": 2}


def signature_seconds(key: SigningKey) -> float:
    """Processor seconds of one bare token."""
    before = time.process_time()
    for _ in range(SIGNATURES):
        jwt.encode(PAYLOAD, key, algorithm=algorithm_of(key))
    return (time.process_time() - before) / SIGNATURES


async def measure(site: Site) -> tuple[float, float, float]:
    """Medians: refreshes a second, processor seconds of each, and of a bare signature."""
    keys, signing = (
        load_symmetric(site.secrets, "link"),
        load_signing_key(signing_paths(site.secrets)[0]),
    )
    rates, costs, bare = [], [], []
    async with aiohttp.ClientSession() as http:
        client = Client(http, site.base, keys.by_kid[keys.current])
        await timed(PEOPLE, client.login, PEOPLE)
        await timed(PEOPLE, client.exchange)
        for number in range(ROUNDS + 1):
            before = cpu_seconds(site.pid)
            seconds = await timed(REQUESTS, client.renew)
            if number:  # the first round only warms up
                costs.append((cpu_seconds(site.pid) - before) / REQUESTS)
                rates.append(REQUESTS / seconds)
                bare.append(signature_seconds(signing))
    return statistics.median(rates), statistics.median(costs), statistics.median(bare)


async def report(name: str, site: Site, *, goal: bool) -> None:
    """Measure and print one line."""
    rate, cost, bare = await measure(site)
    print(f"{name:24}{rate:8.0f}{cost * 1e6:10.0f}{bare * 1e6:12.0f}{1 / cost:10.0f}", flush=True)
    if goal:
        print(f"{'':24}{at_least(1 / cost, GOAL, 'per second and core')}", flush=True)


async def main() -> None:
    """Measure and print."""
    print(f"{'':24}{'/s':>8}{'CPU us':>10}{'signature':>12}{'/s*core':>10}")
    for algorithm in ("RS256", "ES256", "EdDSA"):
        async with running_site(algorithm=algorithm) as site:
            await report(algorithm, site, goal=algorithm != "RS256")
    async with accounts_site(algorithm="EdDSA") as accounts:
        await report("EdDSA, with accounts", accounts.site, goal=False)


if __name__ == "__main__":
    asyncio.run(main())
