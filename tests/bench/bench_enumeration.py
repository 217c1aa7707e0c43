"""Does the time of an answer tell whether an address may sign in? Allowed and not allowed ones, interleaved.

The mailer runs beside it: what a mail costs the machine is part of what could be heard. So the second
of two requests for an address is what counts, while the first one's mail is under way, if there is one.
"""

import asyncio
import math
import statistics
import time

import aiohttp

from tests.bench.bench_auth import running_site
from tests.support.servers import free_port
from tests.support.smtp import scripted_smtp

PAIRS = 400
GOAL = 0.01  # below this the two kinds can be told apart; without the floor it is, by 2 ms of the medians


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

    async with aiohttp.ClientSession() as http:
        await seconds_of(http, base, "warm@acme.com")
        for pair in range(PAIRS):
            both = [(allowed, f"ada{pair}@acme.com"), (refused, f"eve{pair}@evil.test")]
            for found, email in both if pair % 2 else reversed(both):
                await seconds_of(http, base, email)
                found.append(await seconds_of(http, base, email))
    return allowed, refused


async def main() -> None:
    """Measure and print."""
    async with scripted_smtp() as mail_server:
        changes = {
            "LATCHWIRE_ALLOW": "@acme.com",
            "LATCHWIRE_MAIL_FROM": "login@acme.com",
            "LATCHWIRE_SMTP_URL": f"smtp://127.0.0.1:{mail_server.port}",
            "LATCHWIRE_MAILER_ADMIN": f"127.0.0.1:{free_port()}",
        }
        async with running_site(("revocation", "auth", "mailer"), **changes) as site:
            allowed, refused = await measure(site.base)
    p = rank_sum_p(allowed, refused)
    for name, found in (("allowed", allowed), ("not allowed", refused)):
        print(f"{name:16}{statistics.median(found) * 1000:10.2f} ms median of {len(found)}")
    verdict = "met" if p >= GOAL else "MISSED"
    print(f"Mann-Whitney p = {p:.3g}; goal: at least {GOAL} ({verdict})")


if __name__ == "__main__":
    asyncio.run(main())
