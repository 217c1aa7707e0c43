"""``mail.*``: what became of a mail. The address is not repeated here."""

from shared.messages.base import ULID, Event, ShortText


class MailSent(Event):
    """The mail server took the message: *message_id* is its Message-ID, *attempts* how many tries."""

    login_id: ULID
    message_id: ShortText
    attempts: int
    smtp_code: int


class MailFailed(Event):
    """The mail will never be sent: *reason* is a fixed code, *smtp_code* 0 when no server answered."""

    login_id: ULID
    reason: ShortText
    attempts: int
    smtp_code: int = 0
