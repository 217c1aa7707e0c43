"""How bad a check that fails is.

A *leak* lets somebody do or read what they must not. A *warning* makes a leak likelier or its damage
greater, or was decided so by somebody who may have forgotten it. A *note* could not be looked at.
"""

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """From bad to mild; only a leak makes the doctor fail."""

    LEAK = 0
    WARNING = 1
    NOTE = 2


@dataclass(frozen=True)
class Check:
    """One check: what leaks when it fails, and what to do."""

    severity: Severity
    leaks: str
    cure: str


def leak(leaks: str, cure: str) -> Check:
    """Somebody does or reads what they must not."""
    return Check(Severity.LEAK, leaks, cure)


def warning(leaks: str, cure: str) -> Check:
    """Likelier or worse than it need be."""
    return Check(Severity.WARNING, leaks, cure)


def note(leaks: str, cure: str) -> Check:
    """Not looked at."""
    return Check(Severity.NOTE, leaks, cure)
