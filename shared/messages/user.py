"""``user.*`` facts, and the operators' questions about a person (``op.users.*``)."""

from typing import Literal

from shared.messages.base import Event, Identifier, Message, Millis, ShortText


class UserEvent(Event):
    """A fact about an account."""

    sub: Identifier
    previous_sub: Identifier | None = None


class SetUser(Message):
    """``op.users.set``: keep this person out, or let them in again."""

    email: Identifier
    action: Literal["block", "unblock"]
    reason: ShortText = ""
    actor: ShortText = ""


class ShowUser(Message):
    """``op.users.show``: how does it stand with this person?"""

    email: Identifier


class UserState(Message):
    """The answer: is the person blocked, since when (ms), and how many sessions are open."""

    sub: ShortText = ""
    blocked: bool = False
    blocked_at: Millis | None = None
    sessions: int = 0
    error: ShortText = ""
