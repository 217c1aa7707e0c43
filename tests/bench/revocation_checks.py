"""What a check costs with many live revocations, against an empty list: CPU per request of the edge's own door.

The servers and the load are bench_edge's. All servers live at once on one core and take turns, in another
order each round, so a ratio compares neighbours in time.
"""

import json
import os
import random
import statistics

from shared.clock import SystemClock
from tests.bench import bench_edge
from tests.bench.bench_edge import Server, summary
from tests.bench.goals import ratio_at_most
from tests.support.tokens import jwks, make_claims, sign, signing_key

ROUNDS = 12
REQUESTS = 3_000
WARM_UP = 1_000
TOKENS = (
    500  # different ones in turn, or the few records that are looked at would stay in the cache
)
TWIN = "0 again"
NOISE = 0.05  # at least; more where two servers with empty lists differ by more just now


async def report(counts: tuple[int, ...]) -> None:
    """Measure and print *counts* live entries beside none, and beside none once more for the noise."""
    now_ms = SystemClock().now_ms()
    claims = [make_claims(now_ms=now_ms, jti=f"jti-{n}", sid=f"sid-{n}") for n in range(TOKENS)]
    requests = [bench_edge._request(b"Authorization: Bearer " + sign(c)) for c in claims]
    names = ("0", TWIN, *(str(count) for count in counts))
    keys = (signing_key().kid, json.dumps(jwks()))
    bench_edge._pin(os.getpid(), 1)
    servers = {name: bench_edge.start("edge", *keys, name.split()[0]) for name in names}
    try:
        costs = await _measure(servers, requests)
    finally:
        for server in servers.values():
            server.process.kill()
            server.process.wait()
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    print(
        f"a check beside live revocations: {ROUNDS} rounds of {REQUESTS} requests, {TOKENS} tokens in turn"
    )
    print(f"  {'0 entries, CPU us/request':32}{summary(costs['0'])}")
    ratios = {n: [a / b for a, b in zip(costs[n], costs["0"], strict=True)] for n in names[1:]}
    print(f"  {'an empty list again, of that':32}{summary(ratios[TWIN])}")
    noise = max(1 + NOISE, statistics.quantiles(ratios[TWIN], n=4)[2])
    for name in names[2:]:
        line = ratio_at_most(statistics.median(ratios[name]), round(noise, 2))
        print(f"  {name + ' entries, of that':32}{summary(ratios[name])}")
        print(f"  {'':32}{line}: within noise")
    print(flush=True)


async def _measure(servers: dict[str, Server], requests: list[bytes]) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {name: [] for name in servers}
    for server in servers.values():
        await server.run(requests, WARM_UP)
    for _ in range(ROUNDS):
        for name in random.sample(list(servers), len(servers)):
            cost, _rate = await servers[name].run(requests, REQUESTS)
            costs[name].append(cost)
    return costs
