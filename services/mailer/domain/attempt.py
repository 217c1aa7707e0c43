"""How far one mail is: its states, who may try now, and what is written when a try has ended.

PREPARED -> SENDING (lease, fence) -> SENT | FAILED | EXPIRED

*SENDING* is written before the first byte reaches the mail server and carries a lease. A crash leaves
it behind; whoever finds it within the lease waits, and after the lease sends again, because a lost mail
is worse than a second identical one (RFC 1047). Terminal states never change.
"""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The states that rest in the store."""

    PREPARED = "PREPARED"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


TERMINAL = frozenset({State.SENT, State.FAILED, State.EXPIRED})


class Reason(StrEnum):
    """Why a mail was not sent: the codes of ``mail.failed``."""

    EXPIRED = "expired"
    #: Expired, and an earlier try was cut off after the mail server had the whole text.
    OUTCOME_UNKNOWN = "outcome_unknown"
    INVALID_RECIPIENT = "invalid_recipient"
    RECIPIENT_REFUSED = "recipient_refused"
    MESSAGE_REFUSED = "message_refused"


@dataclass(frozen=True)
class Verdict:
    """What a try wants to write at its end."""

    state: State
    attempts: int
    smtp_code: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Record:
    """A terminal state as it stands; *at_ms* is the store's time of writing it."""

    state: State
    attempts: int
    smtp_code: int
    reason: str
    at_ms: int


@dataclass(frozen=True)
class Claimed:
    """This try may go on. *fence* counts the claims.

    *resumed*: an earlier try never said how it ended. *refusals*: how often the mail server refused
    the text of this mail.
    """

    fence: int
    resumed: bool = False
    refusals: int = 0


@dataclass(frozen=True)
class Busy:
    """Another try holds the lease for *for_ms* more."""

    for_ms: int


@dataclass(frozen=True)
class Settled:
    """Nothing is left to do but to make sure that it was said."""

    record: Record


Claim = Claimed | Busy | Settled


@dataclass(frozen=True)
class Timing:
    """Every wait of the mailer, in seconds.

    *conversation* bounds one exchange with the mail server from connecting to its last word and has to
    end before the *lease* does; RFC 5321 §4.5.3.2 would allow minutes per command, but the link lives
    for ten.
    """

    connect: float = 15.0
    command: float = 20.0
    conversation: float = 75.0
    lease: float = 90.0
    first_backoff: float = 2.0
    longest_backoff: float = 60.0
    busy: float = 0.5
    pause: float = 30.0
    store_retry: float = 1.0
    store_tries: int = 5
    keep_record: float = 7200.0  # LOGIN forgets a message after an hour
    longest_wait: float = 3000.0  # give up, and say so, before LOGIN forgets the message


def mail_key(login_id: str, notice: str | None) -> str:
    """What identifies a mail: its attempt, and for a notice which one."""
    return f"{login_id}.{notice}" if notice else login_id


def deadline_ms(expires_at_ms: int, stored_at_ms: int, timing: Timing) -> int:
    """When the mail is no longer worth sending: its link is dead, or the stream is about to forget."""
    return min(expires_at_ms, stored_at_ms + int(timing.longest_wait * 1000))


def expiry_verdict(claim: Claimed) -> Verdict:
    """What is written when nothing may be sent any more; the claim itself was no try."""
    reason = Reason.OUTCOME_UNKNOWN if claim.resumed else Reason.EXPIRED
    return Verdict(State.EXPIRED, claim.fence - 1, reason=reason)


def backoff(attempt: int, remaining: float, timing: Timing, random: float) -> float:
    """Seconds until the next try: doubling, jittered, and never past the deadline *remaining* away.

    A refusal for now (greylisting, RFC 6647) wants minutes, an outage of a second wants a second; the
    last try comes at half of what remains, so that one is always made while the link is alive.
    """
    full = min(timing.longest_backoff, timing.first_backoff * 2.0 ** min(attempt - 1, 16))
    jittered = full * (0.5 + random / 2)
    return jittered if jittered < remaining else max(remaining / 2, min(remaining, 1.0))
