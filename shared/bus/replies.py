"""A handler's answer as bytes, and what becomes of a message whose handler fails."""

from collections.abc import Awaitable, Callable

import structlog
from pydantic import ValidationError

from shared.bus.errors import BusUnavailableError
from shared.contract import M, Question, R

log = structlog.get_logger()


async def reply_to(
    question: Question[M, R], handler: Callable[[M], Awaitable[R]], body: bytes
) -> bytes:
    """What *handler* answers to *body*.

    Raises:
        pydantic.ValidationError: the body is not this question's model.
    """
    request = question.model.model_validate_json(body or b"{}", extra="ignore")
    return (await handler(request)).model_dump_json(exclude_none=True).encode()


async def guard(subject: str, work: Awaitable[None], known: str = "") -> str:
    """Do *work*; whatever it raises is logged and ends there, and a reason that is *known* is not said again.

    The reason why a dependency did not let it be done; "" of everything else.
    """
    try:
        await work
    except ValidationError:
        log.warning("message.undecodable", subject=subject)
    except BusUnavailableError as error:  # nothing is wrong with us: the asker asks again
        reason = str(error)
        if reason != known:
            log.warning("message.unanswered", subject=subject, reason=reason)
        return reason
    except Exception:  # one bad message must not end the worker; the asker times out
        log.exception("message.failed", subject=subject)
    return ""
