"""Does the time of an answer tell whether an address may sign in? Allowed and not allowed ones, interleaved."""

import asyncio
import math
import statistics
import time

import aiohttp

from tests.bench.bench_auth import running_site

LANES, PAIRS = 4, 150
GOAL = 0.001  # below this probability the two kinds can be told apart


def rank_sum_p(one: list[float], two: list[float]) -> float:
    """Mann-Whitney, two-sided: how likely such a difference is when there is none (normal approximation)."""
    values = sorted([*one, *two])
    ranks: dict[float, float] = {}
    ties, start = 0, 0
    while start < len(values):
        end = start
        while end < len(values) and values[end] == values[start]:
            end += 1
        ranks[values[start]], ties = (
            (start + 1 + end) / 2,
            ties + (end - start) ** 3 - (end - start),
        )
        start = end
    n, m, total = len(one), len(two), len(values)
    u = sum(ranks[value] for value in one) - n * (n + 1) / 2
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    return math.erfc(abs(u - n * m / 2) / math.sqrt(2 * variance))


async def seconds_of(http: aiohttp.ClientSession, base: str, email: str) -> float:
    """How long one request for a link takes."""
    began = time.perf_counter()
    async with http.post(f"{base}/auth/login", json={"email": email}) as answer:
        assert answer.status == 202
        await answer.read()
    return time.perf_counter() - began


async def measure(base: str) -> tuple[list[float], list[float]]:
    """Seconds of allowed and of not allowed addresses; who goes first changes with each pair."""
    allowed: list[float] = []
    refused: list[float] = []

    async def lane(number: int) -> None:
        async with aiohttp.ClientSession() as http:
            await seconds_of(http, base, f"warm{number}@acme.com")
            for pair in range(PAIRS):
                both = [
                    (allowed, f"ada{number}-{pair}@acme.com"),
                    (refused, f"eve{number}-{pair}@evil.test"),
                ]
                for found, email in both if pair % 2 else reversed(both):
                    found.append(await seconds_of(http, base, email))

    async with asyncio.TaskGroup() as group:
        for number in range(LANES):
            group.create_task(lane(number))
    return allowed, refused


async def main() -> None:
    """Measure and print."""
    async with running_site(LATCHWIRE_ALLOW="@acme.com") as site:
        allowed, refused = await measure(site.base)
    p = rank_sum_p(allowed, refused)
    for name, found in (("allowed", allowed), ("not allowed", refused)):
        print(f"{name:16}{statistics.median(found) * 1000:10.2f} ms median of {len(found)}")
    verdict = "met" if p >= GOAL else "MISSED"
    print(f"Mann-Whitney p = {p:.3g}; goal: at least {GOAL} ({verdict})")


if __name__ == "__main__":
    asyncio.run(main())
