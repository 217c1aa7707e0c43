"""The mails, newest first, in memory only: they hold login links, which should not outlive the session."""

from collections import deque
from dataclasses import asdict, dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

KEPT = 500


@dataclass(frozen=True)
class Mail:
    """One mail as one recipient got it. *at*: Unix milliseconds of its arrival."""

    id: str
    to: str
    sender: str
    subject: str
    text: str
    html: str
    at: int

    def as_json(self) -> dict[str, str | int]:
        """The shape of ``GET /api/messages``."""
        fields = asdict(self)
        return {"from": fields.pop("sender"), **fields}


class Mailbox:
    """What has arrived; the oldest makes room after 500."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=KEPT)
        self._count = 0

    def receive(self, recipients: list[str], raw: bytes, at: int) -> None:
        """Keep *raw* once for each recipient."""
        message = message_from_bytes(raw, policy=policy.default)
        for recipient in recipients:
            self._count += 1
            self._mails.appendleft(
                Mail(
                    id=str(self._count),
                    to=recipient,
                    sender=str(message.get("From", "")),
                    subject=str(message.get("Subject", "")),
                    text=_part(message, "plain"),
                    html=_part(message, "html"),
                    at=at,
                )
            )

    def newest_first(self, to: str | None = None) -> list[Mail]:
        """All mails, or those to one address (case does not matter)."""
        return [m for m in self._mails if to is None or m.to.casefold() == to.casefold()]

    def find(self, identity: str) -> Mail | None:
        """The mail with this id."""
        return next((m for m in self._mails if m.id == identity), None)


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part else ""
