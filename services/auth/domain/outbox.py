"""What is still to be done after a transaction: written with the rows it is about, done by the relay.

Each entry can be done twice without harm: events carry their id, ends happen at the instant that the store of
sessions gave to the entry's id the first time.
"""

from dataclasses import dataclass, field

from services.auth.domain.session import EndReason
from shared.contract import M, Subject
from shared.messages.base import Event


@dataclass(frozen=True)
class Announce:
    """Publish *body* on *subject*; *id* is the event's and its ``Nats-Msg-Id``."""

    id: str
    subject: str
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class EndSessions:
    """End every session that *sub* has when this is first done, here and everywhere; links of *email* too."""

    id: str
    sub: str
    email: str = field(repr=False)
    reason: EndReason
    actor: str = "user"


@dataclass(frozen=True)
class RefuseTokens:
    """Refuse the access tokens of *sub* issued until this is first done (``applies_to: access``).

    The sessions go on: their next tokens say what is true by then.
    """

    id: str
    sub: str
    reason: str
    actor: str = "user"


Entry = Announce | EndSessions | RefuseTokens


def announce(subject: Subject[M], message: M) -> Announce:
    """*message* as an entry."""
    assert isinstance(message, Event)
    return Announce(message.id, subject.name, subject.encode(message))
