"""Passwords that are tried: how long an answer waits, and when nothing but a wrong one is given any more.

Nobody is ever locked out: the link goes on working, and a browser the person has signed in with counts for
itself. A try counts as wrong from its beginning, so that parallel guesses share one budget, and is taken back
when it was right.
"""

from dataclasses import dataclass, field

from services.auth.domain.limits import Rate

FREE_TRIES = 5  # without any delay
STEP_TRIES = 5  # after these many more, one second more
LONGEST_MS = 10_000


@dataclass(frozen=True)
class TryLimits:
    """*address*: wrong passwords for one address from browsers it does not know, and from each it knows.

    *network*: wrong passwords from one network (`network_rates` for those around it).
    """

    address: Rate
    network: Rate


@dataclass(frozen=True)
class PasswordTry:
    """One password for one address. *browser* is the hash of its pre-login value, "" without one."""

    id: str
    email: str = field(repr=False)
    browser: str
    network: str


@dataclass(frozen=True)
class TryAllowed:
    """*at_ms* is when it was asked, by the one clock; wait *delay_ms* before anything is looked at.

    *muted*: do all the work and answer as if the password were wrong.
    """

    tried: PasswordTry
    at_ms: int
    delay_ms: int
    muted: bool


def tarpit_ms(earlier: int) -> int:
    """How long a try waits after so many wrong ones: a second more for every five, at most ten."""
    if earlier < FREE_TRIES:
        return 0
    return min(LONGEST_MS, 1000 * (1 + (earlier - FREE_TRIES) // STEP_TRIES))
