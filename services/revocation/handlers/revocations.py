"""``token.revoked``: a valid revocation is never given up, only tried again.

One that names nobody (``"Ada <ada@example.com>"``) is put aside, loudly, instead of being called done.
"""

from functools import partial

from latchwire.records import RecordError
from services.revocation.flows.revoke import ContendedError, Revoker
from shared.bus import Bus, BusUnavailableError, Delivery, Reject, Retry
from shared.contract import REVOCATION, TOKEN_REVOKED
from shared.emails import InvalidEmailError
from shared.lifecycle import Runtime
from shared.messages import TokenRevoked

CONCURRENCY = 16
MAX_DELAY = 30.0  # seconds


def retry_delay(deliveries: int) -> float:
    """Seconds before delivery number *deliveries* + 1."""
    return float(min(MAX_DELAY, 0.1 * 2 ** min(deliveries, 10)))


async def on_token_revoked(event: TokenRevoked, delivery: Delivery, *, revoker: Revoker) -> None:
    """Apply one event; the acknowledgement follows from returning.

    Raises:
        Retry: not now.
        Reject: the subject is meant as an address and is none.
    """
    try:
        await revoker.revoke(event, stored_at_ms=delivery.stored_at_ms)
    except InvalidEmailError as error:
        raise Reject(f"the subject is not an address: {error.code}") from error
    except (BusUnavailableError, ContendedError) as error:
        raise Retry(retry_delay(delivery.deliveries), type(error).__name__) from error
    except RecordError as error:
        raise Retry(MAX_DELAY, "the stored record is of another version") from error


def consume_revocations(bus: Bus, runtime: Runtime, revoker: Revoker) -> None:
    """Begin to consume."""
    handler = partial(on_token_revoked, revoker=revoker)
    work = bus.consume(
        REVOCATION,
        TOKEN_REVOKED,
        handler,
        concurrency=CONCURRENCY,
        stopping=runtime.stopping,
    )
    runtime.spawn("revocations", work)
