"""What workers tell of themselves, judged. Pure: facts in, findings out."""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from ctl.doctor.findings import Finding
from shared.messages import EdgeList, RedisFacts, SmtpFacts, WorkerFacts

CLOCK_MS = 2_000  # what revocations allow for (max_skew)
KEY_DAYS = 180
LONG_STALENESS_MS = 60_000
FULL = 0.8
# A network that is wider holds more than proxies.
NARROWEST = {4: 20, 6: 56}
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
# What a request must not meet differently at the next process. What each of them has alone wrong is said of it.
ALIKE: Final[dict[str, Callable[[WorkerFacts], str]]] = {
    "version": lambda facts: facts.version,
    "cookie_domain": lambda facts: facts.cookie_domain,
    "trusted_proxies": lambda facts: " ".join(sorted(facts.trusted_proxies)),
    "max_staleness": lambda facts: f"{facts.max_staleness_ms / 1000:g} s",
    "keys": lambda facts: " ".join(sorted(f"{key.purpose}/{key.kid}" for key in facts.keys)),
}
LOCAL = ("http://localhost", "http://127.0.0.1", "http://[::1]")


@dataclass(frozen=True)
class Told:
    """What a worker said, between two moments of our own clock (Unix ms)."""

    facts: WorkerFacts
    asked_at: int
    heard_at: int

    @property
    def off_by_ms(self) -> int:
        """How far its clock is from ours at least; 0 where it may be the same."""
        at = self.facts.at
        return max(0, self.asked_at - at, at - self.heard_at)


def judge_workers(told: Sequence[Told], now_ms: int) -> list[Finding]:
    """All that is wrong by what they said."""
    findings = [found for group in _kinds(told) for found in _judge_kind(group, now_ms)]
    addresses = sorted({one.facts.url for one in told if one.facts.url})
    if len(addresses) > 1:
        findings.append(Finding("worker.url", "LATCHWIRE_URL", " and ".join(addresses)))
    return findings


def _kinds(told: Sequence[Told]) -> list[list[Told]]:
    """The processes of each worker together."""
    kinds: dict[str, list[Told]] = {}
    for one in told:
        kinds.setdefault(one.facts.worker, []).append(one)
    return list(kinds.values())


def _judge_kind(told: Sequence[Told], now_ms: int) -> Iterator[Finding]:
    """What all of one worker's processes suffer from once, the rest with the place of the one that does."""
    found = [dict.fromkeys(_judge(one, now_ms)) for one in told]
    common = [finding for finding in found[0] if all(finding in other for other in found)]
    yield from common
    for one, findings in zip(told, found, strict=True):
        for finding in findings:
            if finding not in common:
                where = f"{finding.where} ({one.facts.worker} on {one.facts.place})"
                yield replace(finding, where=where)
    yield from _differences([one.facts for one in told])


def _differences(facts: Sequence[WorkerFacts]) -> Iterator[Finding]:
    """What processes of one worker must agree on, and do not: it depends on who is asked."""
    for name, of in ALIKE.items():
        values = sorted({of(one) for one in facts})
        if len(values) > 1:
            seen = " and ".join(value or "none" for value in values)
            yield Finding("worker.differs", facts[0].worker, f"{name}: {seen}")


def _judge(told: Told, now_ms: int) -> Iterator[Finding]:
    facts, late = told.facts, told.off_by_ms
    seconds = facts.max_staleness_ms // 1000
    everybody = bool(facts.allows_everybody) and not facts.url.startswith(LOCAL)
    rows = [
        *((True, "worker.problem", said) for said in facts.problems),
        *((True, "worker.note", said) for said in facts.notes),
        *((is_wide(n), "proxies.wide", f"{n} is believed") for n in facts.trusted_proxies),
        (late > CLOCK_MS, "worker.clock", f"{late / 1000:.1f} s from this machine's clock"),
        (everybody, "allow.everybody", "LATCHWIRE_ALLOW is *"),
        (facts.assertion_key is False, "edge.assertion_key", "it has no certified key of its own"),
        (facts.max_staleness_ms > LONG_STALENESS_MS, "edge.staleness", f"{seconds} s"),
    ]
    yield from (Finding(check, facts.worker, seen) for failed, check, seen in rows if failed)
    yield from _judge_keys(facts, now_ms)
    if facts.redis:
        yield from judge_redis(facts.redis)
    if facts.smtp:
        yield from judge_smtp(facts.smtp)


def judge_edges(told: EdgeList) -> Iterator[Finding]:
    """Who should be there and is not, who was there, who is there and has no name, and who shares one."""
    rows = (
        ("edge.missing", told.missing, "LATCHWIRE_EDGES names it, and it is not heard"),
        ("edge.unnamed", told.unnamed, "it is not in LATCHWIRE_EDGES"),
        ("edge.twice", told.twice, "two processes speak under this name"),
    )
    yield from (Finding(check, name, seen) for check, names, seen in rows for name in names)
    for gone in told.gone:
        heard = f"it was heard {gone.age_ms // 60_000} min ago"
        yield Finding("edge.gone", gone.edge_id, heard)


def is_wide(network: str) -> bool:
    """Whether more than a proxy's subnet is trusted; this machine itself is not."""
    try:
        parsed = ipaddress.ip_network(network)
    except ValueError:
        return True
    if any(parsed == own for own in LOOPBACK):
        return False
    return parsed.prefixlen < NARROWEST[parsed.version]


def judge_redis(redis: RedisFacts) -> Iterator[Finding]:
    """Policy, durability and clock of the store."""
    if redis.problem:
        yield Finding("redis.away", "redis", redis.problem)
        return
    logged, late = redis.append_only is not False, abs(redis.ahead_ms)
    rows = (
        (redis.eviction not in ("", "noeviction"), "eviction", f"policy {redis.eviction}"),
        (redis.evicted > 0, "evicted", f"{redis.evicted} keys were evicted"),
        (not logged, "append_only", "appendonly is no"),
        (logged and not redis.fsync, "unknown", "it does not tell appendfsync"),
        (logged and redis.fsync not in ("", "always"), "fsync", f"appendfsync is {redis.fsync}"),
        (not redis.last_write_ok, "write_failed", "its last write to disk failed"),
        (not redis.bounded, "memory", "maxmemory is not set"),
        (redis.used > FULL, "memory", f"{redis.used:.0%} of its memory is used"),
        (late > CLOCK_MS, "clock", f"{late / 1000:.1f} s from the clock of auth"),
    )
    yield from (Finding(f"redis.{name}", "redis", seen) for failed, name, seen in rows if failed)


def judge_smtp(smtp: SmtpFacts) -> Iterator[Finding]:
    """Whether mail goes out, and how protected."""
    if smtp.problem:
        yield Finding("smtp.away", "mail server", smtp.problem)
    if smtp.tls == "none" and not smtp.here:
        yield Finding("smtp.plain", "mail server", "another machine, and no TLS")


def _judge_keys(facts: WorkerFacts, now_ms: int) -> Iterator[Finding]:
    newest = {key.purpose: key for key in sorted(facts.keys, key=lambda key: key.kid)}
    for purpose, key in newest.items():
        days = _age_days(key.made_on, now_ms)
        if days is not None and days > KEY_DAYS:
            yield Finding("keys.old", f"{purpose} key {key.kid}", f"{days} days old")


def _age_days(made_on: str, now_ms: int) -> int | None:
    try:
        made = datetime.strptime(made_on, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return (datetime.fromtimestamp(now_ms / 1000, UTC) - made).days
