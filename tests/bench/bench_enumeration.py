"""Does the time of an answer tell whether an address is known, or may sign in? All kinds, interleaved.

The mailer runs beside it: what a mail costs the machine is part of what could be heard. So where asking twice
changes nothing, the second of two requests for an address is what counts, while the first one's mail is under
way, if there is one. The first two kinds are asked about in every round, the others in turn. Each is compared
with the first, and the least likely comparison counts as often as there are comparisons (Bonferroni).
``--only login`` (or link, register, forgot, resend) measures one route.
"""

import argparse
import asyncio
import math
import statistics
import time
from dataclasses import dataclass, field

import aiohttp

from tests.bench.accounts import AccountSite, accounts_site
from tests.bench.bench_auth import timed
from tests.support.servers import free_port
from tests.support.smtp import scripted_smtp

PAIRS = 500  # of the first two kinds
AT_ONCE = 4  # people who ask at the same time
GOAL = (
    0.01  # below this two kinds can be told apart; without the floor it is, by 2 ms of the medians
)
GOAL_MS = 5.0  # between the medians
OTHER = {"password": "not the one that counts"}


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


@dataclass(frozen=True)
class Question:
    """A route, and kinds of addresses that must not be told apart by it."""

    name: str
    path: str
    status: int
    kinds: tuple[str, ...]
    more: dict[str, str] = field(default_factory=dict)
    twice: bool = True

    def round(self, number: int) -> tuple[str, ...]:
        """The kinds that are asked about together; who goes first changes."""
        one, two, *others = self.kinds
        kinds = (one, two, others[number % len(others)])
        first = number // len(others) % len(kinds)
        return (*kinds[first:], *kinds[:first])


def address(kind: str, route: str, number: int) -> str:
    """Of equal length. Nobody is asked about by two routes: a registration changes what somebody is."""
    domain = "evil.com" if kind == "not allowed" else "acme.com"
    name = f"{kind.replace(' ', '-')}-{route}"
    return f"{name:-<20}{number:04}@{domain}"


KNOWN = ("known", "unknown", "unproven", "blocked", "social only")
QUESTIONS = (
    Question("link", "/auth/login", 202, ("known", "not allowed", *KNOWN[1:])),
    Question("login", "/auth/login", 401, KNOWN, OTHER, twice=False),
    # Not twice: whoever is unknown is not any more.
    Question("register", "/auth/register", 202, KNOWN, OTHER, twice=False),
    Question("forgot", "/auth/password/forgot", 202, KNOWN),
    Question("resend", "/auth/register/resend", 202, KNOWN),
)


async def seconds_of(http: aiohttp.ClientSession, base: str, asked: Question, email: str) -> float:
    """How long one request takes."""
    began = time.perf_counter()
    async with http.post(f"{base}{asked.path}", json={"email": email} | asked.more) as answer:
        assert answer.status == asked.status, await answer.text()
        await answer.read()
    return time.perf_counter() - began


async def measure(base: str, asked: Question) -> dict[str, list[float]]:
    """Seconds of each kind."""
    found: dict[str, list[float]] = {kind: [] for kind in asked.kinds}

    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:

        async def one_round(number: int) -> None:
            for kind in asked.round(number):
                email = address(kind, asked.name, number)
                if asked.twice:
                    await seconds_of(http, base, asked, email)
                found[kind].append(await seconds_of(http, base, asked, email))

        await timed(PAIRS, one_round, AT_ONCE)
    return found


def report(asked: Question, found: dict[str, list[float]]) -> None:
    """The medians, how far the farthest is from the first, and how likely the least likely of them is."""
    medians = {kind: statistics.median(seconds) * 1000 for kind, seconds in found.items()}
    first, *others = asked.kinds
    p = min(1.0, len(others) * min(rank_sum_p(found[first], found[other]) for other in others))
    apart = max(medians.values()) - min(medians.values())
    verdict = "met" if p >= GOAL and apart < GOAL_MS else "MISSED"
    kinds = ", ".join(f"{kind} {ms:.2f} ms ({len(found[kind])})" for kind, ms in medians.items())
    print(f"{asked.name:10}{kinds}", flush=True)
    print(
        f"{'':10}{apart:.2f} ms apart, Mann-Whitney p = {p:.3g};"
        f" goal: less than {GOAL_MS:g} ms, at least {GOAL} ({verdict})",
        flush=True,
    )


async def populate(accounts: AccountSite, asked: Question) -> None:
    """All whom *asked* is about and who are in the store."""

    def people(kind: str) -> list[str]:
        return [address(kind, asked.name, number) for number in range(PAIRS)]

    await accounts.add(*people("known"))
    await accounts.add(*people("unproven"), password="", verified_at_ms=None)
    await accounts.add(*people("blocked"), blocked_at_ms=1)
    await accounts.add(*people("social only"), password="")


async def main(only: str | None) -> None:
    """Measure and print."""
    async with scripted_smtp() as mail_server:
        changes = {
            "LATCHWIRE_ALLOW": "@acme.com",
            "LATCHWIRE_MAIL_FROM": "login@acme.com",
            "LATCHWIRE_SMTP_URL": f"smtp://127.0.0.1:{mail_server.port}",
            "LATCHWIRE_MAILER_ADMIN": f"127.0.0.1:{free_port()}",
        }
        async with accounts_site("revocation", "auth", "mailer", **changes) as accounts:
            for asked in QUESTIONS:
                if only in {None, asked.name}:
                    await populate(accounts, asked)
                    report(asked, await measure(accounts.site.base, asked))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=[asked.name for asked in QUESTIONS])
    asyncio.run(main(parser.parse_args().only))
