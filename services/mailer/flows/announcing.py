"""Say on the bus how a mail ended."""

import hashlib

from services.mailer.domain.attempt import Record, State, mail_key
from services.mailer.ports import Announcer, Letters
from shared.contract import MAIL_FAILED, MAIL_SENT
from shared.ids import encode_ulid
from shared.messages import LoginRequested, MailFailed, MailSent


async def publish_end(
    announcer: Announcer, letters: Letters, request: LoginRequested, record: Record
) -> None:
    """Publish the terminal *record*; under the same id every time, so that it is stored once.

    Raises:
        BusUnavailableError: the stream did not take it.
    """
    key = mail_key(request.login_id, request.notice)
    event_id = encode_ulid(record.at_ms, hashlib.sha256(f"mail/v1|{key}".encode()).digest()[:10])
    if record.state is State.SENT:
        sent = MailSent(
            id=event_id,
            at=record.at_ms,
            login_id=request.login_id,
            message_id=letters.message_id(request),
            attempts=record.attempts,
            smtp_code=record.smtp_code,
        )
        await announcer.publish(MAIL_SENT, sent)
    else:
        failed = MailFailed(
            id=event_id,
            at=record.at_ms,
            login_id=request.login_id,
            reason=record.reason,
            attempts=record.attempts,
            smtp_code=record.smtp_code,
        )
        await announcer.publish(MAIL_FAILED, failed)
