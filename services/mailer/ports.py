"""What sending a mail needs from outside.

A store that does not answer raises `shared.redis.StoreUnavailableError`, a bus that does not
`shared.bus.BusUnavailableError`; a mail server that does not is an answer like any other.
"""

from dataclasses import dataclass, field
from typing import Protocol

from services.mailer.domain.attempt import Claim, Record, Verdict
from services.mailer.domain.replies import Reply
from shared.bus import Ack
from shared.contract import M, Subject
from shared.messages import LoginRequested


class MailStates(Protocol):
    """How far each mail is, by `mail_key`; one store for all mailers, its clock is the only one."""

    async def claim(self, key: str, *, lease_ms: int) -> Claim:
        """Go to SENDING for *lease_ms*, unless another try holds its lease or all is settled."""
        ...

    async def release(self, key: str, fence: int, *, refused: bool = False) -> None:
        """Back to PREPARED: nothing was sent. Only the newest claim may; others change nothing.

        *refused*: count that the mail server refused the text.
        """
        ...

    async def settle(self, key: str, fence: int, verdict: Verdict) -> Record | None:
        """Write a terminal state and return the one that stands.

        The first terminal state stays for ever. SENT is a fact and is written by any claim; FAILED
        and EXPIRED only by the newest: None when a newer claim is at work.
        """
        ...


@dataclass(frozen=True)
class Letter:
    """A mail as it goes over the wire: plain ASCII addresses and RFC 5322 bytes.

    Composing the same request twice gives the same bytes.
    """

    sender: str
    recipient: str
    message_id: str
    content: bytes = field(repr=False)


class Letters(Protocol):
    """Writes mails."""

    def message_id(self, request: LoginRequested) -> str:
        """The Message-ID of the mail for *request*, with its brackets."""
        ...

    def compose(self, request: LoginRequested) -> Letter | None:
        """The mail for *request*; None when its link key is not known (yet) here."""
        ...


class MailTransport(Protocol):
    """Hands a mail to the mail server."""

    async def send(self, letter: Letter, *, within: float) -> Reply:
        """One conversation of at most *within* seconds; its last word. Does not raise."""
        ...


class Announcer(Protocol):
    """Publishes what became of a mail (`shared.bus.Bus` does)."""

    async def publish(self, subject: Subject[M], message: M, *, msg_id: str | None = None) -> Ack:
        """Store the event; raises BusUnavailableError."""
        ...
