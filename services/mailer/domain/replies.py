"""What a mail server's answer means for this mail, and for all mail (RFC 5321 §4.2.1).

The stage decides as much as the code: the same 550 is about the recipient after RCPT and about us after
MAIL. Nothing here ever downgrades: a missing or broken TLS is trouble, not a reason to go on without.
"""

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Stage(IntEnum):
    """How far a conversation came, in order."""

    CONNECT = 1
    GREETING = 2
    TLS = 3
    EHLO = 4
    AUTH = 5
    MAIL = 6
    RCPT = 7
    DATA = 8
    DOT = 9


class Broken(StrEnum):
    """How a conversation ended without an answer."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    TLS = "tls"
    AUTH = "auth"  # the server offers no way to sign in that we know


@dataclass(frozen=True)
class Reply:
    """The last word of a conversation: a *code* (and perhaps an RFC 3463 *status*), or how it broke."""

    stage: Stage
    code: int = 0
    status: str = ""
    broken: Broken | None = None


@dataclass(frozen=True)
class Accepted:
    """The server took responsibility for the mail."""

    code: int


@dataclass(frozen=True)
class RecipientRefused:
    """No retry can help this mail, and no other mail is concerned."""

    code: int


@dataclass(frozen=True)
class MessageRefused:
    """The server refused the text; about us (reputation, policy) only if it happens to several recipients."""

    code: int


@dataclass(frozen=True)
class SenderTrouble:
    """The server refuses us: every mail would meet the same. *reason* is a fixed text."""

    reason: str
    code: int = 0


@dataclass(frozen=True)
class TryAgain:
    """Nothing was accepted, and it may be next time."""

    code: int = 0


@dataclass(frozen=True)
class OutcomeUnknown:
    """The text was handed over and no answer came: sent or not, nobody can know (RFC 1047)."""


Meaning = Accepted | RecipientRefused | MessageRefused | SenderTrouble | TryAgain | OutcomeUnknown

# 530 authentication required, 534/535/538 about the credentials (RFC 4954 §4 and §6).
_AUTH_CODES = frozenset({530, 534, 535, 538})
_STATUS = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_TROUBLE = {
    Stage.CONNECT: "the mail server refuses connections",
    Stage.GREETING: "the mail server refuses connections",
    Stage.TLS: "the mail server offers no TLS that can be trusted",
    Stage.EHLO: "the mail server refuses our greeting",
    Stage.AUTH: "the mail server refuses our user name or password",
    Stage.MAIL: "the mail server refuses our sender address",
}
_AUTH_TROUBLE = _TROUBLE[Stage.AUTH]


def enhanced_status(text: str) -> str:
    """The RFC 3463 status at the beginning of a reply's text, or ""."""
    match = _STATUS.match(text)
    return match[1] if match else ""


def interpret(reply: Reply) -> Meaning:
    """What *reply* means."""
    if reply.broken is not None:
        return _interpret_broken(reply.stage, reply.broken)
    if 500 <= reply.code <= 599:
        return _interpret_refusal(reply)
    if 400 <= reply.code <= 499:
        return TryAgain(reply.code)
    if reply.stage is Stage.DOT:
        return Accepted(reply.code) if 200 <= reply.code <= 299 else OutcomeUnknown()
    return TryAgain(reply.code)  # nonsense, but nothing was handed over


def trouble_of(reply: Reply) -> str:
    """Why no mail would be taken now, in words that hold nothing of what the server said."""
    meaning = interpret(reply)
    if isinstance(meaning, SenderTrouble):
        return meaning.reason
    how = f"answered {reply.code}" if reply.broken is None else f"broke off ({reply.broken})"
    return f"the mail server {how} at {reply.stage.name}"


def _interpret_broken(stage: Stage, broken: Broken) -> Meaning:
    if broken is Broken.TLS:
        return SenderTrouble(_TROUBLE[Stage.TLS])
    if broken is Broken.AUTH:
        return SenderTrouble("the mail server offers no way to sign in")
    return OutcomeUnknown() if stage is Stage.DOT else TryAgain()


def _interpret_refusal(reply: Reply) -> Meaning:
    if reply.code in _AUTH_CODES:
        return SenderTrouble(_AUTH_TROUBLE, reply.code)
    if reply.stage is Stage.RCPT:
        return RecipientRefused(reply.code)
    if reply.stage in _TROUBLE:
        return SenderTrouble(_TROUBLE[reply.stage], reply.code)
    # Some servers judge the recipient only when they have the text: X.1.* and X.2.* name its address
    # and mailbox (RFC 3463 §3.2, §3.3).
    if reply.status.startswith(("5.1.", "5.2.")):
        return RecipientRefused(reply.code)
    return MessageRefused(reply.code)
