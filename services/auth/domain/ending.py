"""Ends that are stored and still to be told to everybody."""

from dataclasses import dataclass
from typing import Literal

from services.auth.domain.session import Session


@dataclass(frozen=True)
class PendingEnd:
    """An end that is stored and to be published.

    Of a ``session`` *target* is the sid and *at_ms* when it would have expired (0: not known); of a
    ``subject`` the person, and the instant up to which every session of theirs is over.
    """

    scope: Literal["session", "subject"]
    target: str
    reason: str
    actor: str
    at_ms: int

    @property
    def is_reuse(self) -> bool:
        """Whether the person gets a mail about it as well."""
        return self.scope == "session" and self.reason == "refresh_reuse"


def reuse_of(session: Session) -> PendingEnd:
    """The end of *session* after a refresh token of it was seen twice."""
    return PendingEnd("session", session.sid, "refresh_reuse", "auth", session.expires_at_ms)
