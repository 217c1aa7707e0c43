"""Does the time of an answer tell whether an address is known, or may sign in? Both kinds, interleaved.

The mailer runs beside it: what a mail costs the machine is part of what could be heard. So where asking twice
changes nothing, the second of two requests for an address is what counts, while the first one's mail is under
way, if there is one. ``--only login`` (or link, register, forgot, resend) measures one of them.
"""

import argparse
import asyncio
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from tests.bench.accounts import AccountSite, accounts_site
from tests.bench.bench_auth import timed
from tests.support.servers import free_port
from tests.support.smtp import scripted_smtp

PAIRS = 500
AT_ONCE = 4  # people who ask at the same time
GOAL = 0.01  # below this the two kinds can be told apart; without the floor it is, by 2 ms of the medians
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
    """A route, and two kinds of addresses that must not be told apart by it."""

    name: str
    path: str
    status: int
    kinds: tuple[str, str]
    emails: tuple[Callable[[int], str], Callable[[int], str]]
    more: dict[str, str] = field(default_factory=dict)
    twice: bool = True


def at(name: str, domain: str = "acme.com") -> Callable[[int], str]:
    """Addresses of equal length."""
    return lambda number: f"{name:-<9}{number:04}@{domain}"


KNOWN = ("known", "unknown")
QUESTIONS = (
    Question(
        "link",
        "/auth/login",
        202,
        ("allowed", "not allowed"),
        (at("link"), at("link", "evil.com")),
    ),
    Question("login", "/auth/login", 401, KNOWN, (at("known"), at("stranger")), OTHER, twice=False),
    # Not twice: whoever is unknown is not any more.
    Question(
        "register", "/auth/register", 202, KNOWN, (at("known"), at("newcomer")), OTHER, twice=False
    ),
    Question("forgot", "/auth/password/forgot", 202, KNOWN, (at("known"), at("forgetful"))),
    Question(
        "resend",
        "/auth/register/resend",
        202,
        ("registered", "unknown"),
        (at("waiting"), at("nobody")),
    ),
)


async def seconds_of(http: aiohttp.ClientSession, base: str, asked: Question, email: str) -> float:
    """How long one request takes."""
    began = time.perf_counter()
    async with http.post(f"{base}{asked.path}", json={"email": email} | asked.more) as answer:
        assert answer.status == asked.status, await answer.text()
        await answer.read()
    return time.perf_counter() - began


async def measure(base: str, asked: Question) -> tuple[list[float], list[float]]:
    """Seconds of the two kinds; who goes first changes with each pair."""
    found: tuple[list[float], list[float]] = ([], [])

    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:

        async def pair(number: int) -> None:
            for kind in (0, 1) if number % 2 else (1, 0):
                email = asked.emails[kind](number)
                if asked.twice:
                    await seconds_of(http, base, asked, email)
                found[kind].append(await seconds_of(http, base, asked, email))

        await timed(PAIRS, pair, AT_ONCE)
    return found


def report(asked: Question, found: tuple[list[float], list[float]]) -> None:
    """The medians, their difference, and how likely it is."""
    one, two = (statistics.median(seconds) * 1000 for seconds in found)
    p, apart = rank_sum_p(*found), abs(one - two)
    verdict = "met" if p >= GOAL and apart < GOAL_MS else "MISSED"
    kinds = f"{asked.kinds[0]} {one:.2f} ms, {asked.kinds[1]} {two:.2f} ms"
    print(f"{asked.name:10}{kinds}, {len(found[0])} of each", flush=True)
    print(
        f"{'':10}{apart:.2f} ms apart, Mann-Whitney p = {p:.3g};"
        f" goal: less than {GOAL_MS:g} ms, at least {GOAL} ({verdict})",
        flush=True,
    )


async def populate(accounts: AccountSite) -> None:
    """Those who are known, and those who are not proven yet."""
    await accounts.add(*map(at("known"), range(PAIRS)))
    await accounts.add(*map(at("waiting"), range(PAIRS)), password="", verified_at_ms=None)


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
            await populate(accounts)
            for asked in QUESTIONS:
                if only in {None, asked.name}:
                    report(asked, await measure(accounts.site.base, asked))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=[asked.name for asked in QUESTIONS])
    asyncio.run(main(parser.parse_args().only))
