"""What the doctor found: a check that failed, where, and what was seen."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ctl.doctor.checks import CHECKS, Check, Severity
from ctl.output import one_line

MOST_OF_ONE = 8  # places named for one check; the others are counted


@dataclass(frozen=True)
class Finding:
    """*check* is a name of the table, *where* a route, worker, credential or file, *seen* what happened."""

    check: str
    where: str
    seen: str

    @property
    def of(self) -> Check:
        """Its row of the table."""
        return CHECKS[self.check]

    @property
    def is_leak(self) -> bool:
        """Whether the doctor fails by it."""
        return self.of.severity is Severity.LEAK


@dataclass
class Examination:
    """What was looked at so far: *findings*, how much of what was *looked_at*, and what was out of reach."""

    findings: list[Finding] = field(default_factory=list)
    looked_at: Counter[str] = field(default_factory=Counter)
    unreachable: list[str] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        """Take them in, each once."""
        self.findings = list(dict.fromkeys([*self.findings, *findings]))

    @property
    def ordered(self) -> list[Finding]:
        """The worst first; those of one check together."""
        names = list(CHECKS)
        return sorted(
            self.findings, key=lambda f: (f.of.severity, names.index(f.check), f.where, f.seen)
        )

    def count(self, severity: Severity) -> int:
        """How many of this kind."""
        return sum(found.of.severity is severity for found in self.findings)


def as_json(examination: Examination) -> dict[str, object]:
    """For machines and CI."""
    return {
        "leaks": examination.count(Severity.LEAK),
        "warnings": examination.count(Severity.WARNING),
        "findings": [
            {
                "check": found.check,
                "severity": found.of.severity.name.lower(),
                "where": found.where,
                "seen": found.seen,
                "leaks": found.of.leaks,
                "cure": found.of.cure,
            }
            for found in examination.ordered
        ],
        "looked_at": dict(examination.looked_at),
        "unreachable": examination.unreachable,
    }


def as_lines(examination: Examination) -> list[str]:
    """For people: each check with where it failed, what leaks by it, and the cure."""
    lines: list[str] = []
    by_check: dict[str, list[Finding]] = {}
    for found in examination.ordered:
        by_check.setdefault(found.check, []).append(found)
    for name, found_here in by_check.items():
        lines += _paragraph(name, found_here)
    lines += [f"out of reach: {what}" for what in examination.unreachable]
    looked_at = ", ".join(f"{count} {what}" for what, count in examination.looked_at.items())
    totals = (
        f"{examination.count(Severity.LEAK)} leaks, {examination.count(Severity.WARNING)} warnings"
    )
    return [*lines, f"looked at: {looked_at or 'nothing'}", totals]


def _paragraph(name: str, found_here: list[Finding]) -> list[str]:
    check = CHECKS[name]
    lines = [f"{check.severity.name:<8} {name}"]
    lines += [f"    {one_line(f.where)}: {one_line(f.seen)}" for f in found_here[:MOST_OF_ONE]]
    if len(found_here) > MOST_OF_ONE:
        lines.append(f"    and {len(found_here) - MOST_OF_ONE} more")
    return [*lines, f"    leaks: {check.leaks}", f"    cure:  {check.cure}", ""]
