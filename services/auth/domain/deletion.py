"""The deletion of an account: one row of the ledger, what has to be done with it, and when services are asked.

The order is: sessions end, everybody hears ``user.deleted``, the person gets a mail; only then is each service
asked, until it says that it is done. Auth asks itself too, under `OWN`, for what it keeps outside SQL.
"""

import re
from dataclasses import dataclass, field

from services.auth.domain.outbox import EndSessions, Entry, announce
from shared.contract import LOGIN_REQUESTED, USER_DELETED
from shared.ids import CROCKFORD
from shared.messages import ClientHint, LoginRequested, UserDeleted

OWN = "auth"  # the name in the ledger of what auth itself keeps outside SQL
MAIL_MS = 3_600_000  # a goodbye that could not be sent within the hour is not sent: the stream keeps no longer
# After so many questions, so long until the next; the last one for ever. None is shorter than a question takes.
DELAYS_MS = (0, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000)

MAX_DEADLINE_MS = 90 * 86_400_000

_DEADLINE = re.compile(r"([1-9][0-9]{0,3})(h|d)", re.ASCII)
_UNITS_MS = {"h": 3_600_000, "d": 86_400_000}
_SERVICE = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)


@dataclass(frozen=True)
class Deletion:
    """A row of the ledger. Times in Unix ms; *email* is "" once everybody has answered."""

    id: str
    sub: str
    email: str = field(repr=False)
    requested_at_ms: int
    deadline_ms: int
    completed_at_ms: int | None = None

    def is_late(self, now_ms: int) -> bool:
        """Whether somebody should have answered by now."""
        return self.completed_at_ms is None and now_ms > self.deadline_ms


@dataclass(frozen=True)
class Answer:
    """How one service stands: *answered_at_ms* is when it said done, *asked* how often it was asked."""

    service: str
    answered_at_ms: int | None = None
    asked: int = 0
    asked_at_ms: int | None = None
    note: str = ""


def is_due(asked: int, asked_at_ms: int | None, now_ms: int) -> bool:
    """Whether a service that has not said done is to be asked (again)."""
    return asked_at_ms is None or asked_at_ms + delay_ms(asked) <= now_ms


def delay_ms(asked: int) -> int:
    """How long after the last of so many questions the next one is put."""
    return DELAYS_MS[min(asked, len(DELAYS_MS) - 1)]


def entries_of(deletion: Deletion, link_kid: str, client: ClientHint) -> tuple[Entry, ...]:
    """What is to be done at once, in this order; the same ids each time it is said."""
    ended, told, mailed = entry_ids(deletion.id)
    goodbye = LoginRequested(
        id=mailed,
        at=deletion.requested_at_ms,
        login_id=mailed,
        email=deletion.email,
        purpose="notice",
        client=client,
        link_kid=link_kid,
        expires_at=deletion.requested_at_ms + MAIL_MS,
        notice="account_deleted",
    )
    return (
        EndSessions(ended, deletion.sub, deletion.email, "account_deleted"),
        announce(USER_DELETED, UserDeleted(id=told, at=deletion.requested_at_ms, sub=deletion.sub)),
        announce(LOGIN_REQUESTED, goodbye),
    )


def entry_ids(deletion_id: str) -> tuple[str, str, str]:
    """The ids of `entries_of`: the three that follow the deletion's own."""
    number = sum(CROCKFORD.index(c) << 5 * n for n, c in enumerate(reversed(deletion_id)))
    first, second, third = (_ulid(number + n) for n in (1, 2, 3))
    return first, second, third


def parse_services(text: str) -> tuple[str, ...]:
    """The names of ``deletion_services``, each once.

    Raises:
        ValueError: one is no name of a service, or is auth's own.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name == OWN or not _SERVICE.fullmatch(name):
            raise ValueError("write the names of services as in `services add`: shop,billing")
    return names


def parse_deadline(text: str) -> int:
    """Milliseconds of ``7d`` or ``12h``.

    Raises:
        ValueError: another form, or more than 90 days.
    """
    match = _DEADLINE.fullmatch(text)
    milliseconds = int(match[1]) * _UNITS_MS[match[2]] if match else 0
    if not 0 < milliseconds <= MAX_DEADLINE_MS:
        raise ValueError("write hours or days, at most 90 days: 12h or 7d")
    return milliseconds


def _ulid(number: int) -> str:
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
