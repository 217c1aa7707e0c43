"""The mailer's one door: ``login.requested`` in, a verdict for the bus out."""

import structlog

from services.mailer.flows.mail import Done, Mailroom, Postponed, SenderRefused, send_mail
from shared.bus import Delivery, Pause, Retry
from shared.messages import LoginRequested
from shared.redis import StoreUnavailableError

log = structlog.get_logger()

STORE_DELAY = 2.0  # seconds between looks while Redis is away, at most


async def login_requested(request: LoginRequested, delivery: Delivery, *, room: Mailroom) -> None:
    """Send the mail of *request*.

    Raises:
        Retry: not now. There is no dead letter: what no retry can help is a ``mail.failed``.
        Pause: the mail server refuses us, so nobody should try for a while.
    """
    try:
        outcome = await send_mail(request, stored_at_ms=delivery.stored_at_ms, room=room)
    except StoreUnavailableError as error:
        log.warning("mail.store_away", login_id=request.login_id)
        raise Retry(STORE_DELAY * (0.5 + room.ids.random() / 2), "store away") from error
    match outcome:
        case Done():
            return
        case Postponed(seconds, reason):
            log.info("mail.postponed", login_id=request.login_id, reason=reason)
            raise Retry(seconds, reason)
        case SenderRefused(seconds, reason):
            raise Pause(seconds, reason)
