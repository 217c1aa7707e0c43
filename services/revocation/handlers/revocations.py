"""``token.revoked`` and ``token.revoked.by.<name>``: a valid revocation is never given up, only tried again.

One that names nobody (``"Ada <ada@example.com>"``), or that its service may not say, is put aside, loudly,
instead of being called done.
"""

from latchwire.records import RecordError
from services.revocation.flows.announce import Announcer
from services.revocation.flows.journal import Journal
from services.revocation.flows.revoke import ContendedError, Revoker
from services.revocation.flows.turnstile import PER_SECOND, Turnstile, speaker
from shared.bus import Bus, BusUnavailableError, Delivery, Reject, Retry
from shared.contract import REVOCATION, REVOCATION_BY, TOKEN_REVOKED, TOKEN_REVOKED_BY
from shared.emails import InvalidEmailError
from shared.lifecycle import Runtime
from shared.messages import TokenRevoked

WINDOW = 256  # revocations at once
WINDOW_BY = 64  # of services: a flood of theirs leaves room for logout
LONGEST_DELAY = 0.5  # seconds: a worker holds what waits, and is done soon after BLOCKLIST is back
OTHER_VERSION_DELAY = 30.0  # seconds, until a newer worker has taken it


def retry_delay(deliveries: int) -> float:
    """Seconds before try number *deliveries* + 1."""
    return float(min(LONGEST_DELAY, 0.05 * 2 ** min(deliveries, 10)))


class Door:
    """What is done with each message of TOKEN and TOKEN_BY."""

    def __init__(
        self,
        revoker: Revoker,
        journal: Journal,
        announcer: Announcer,
        turnstile: Turnstile,
    ) -> None:
        self._revoker = revoker
        self._journal = journal
        self._announcer = announcer
        self.turnstile = turnstile

    async def on_token_revoked(self, event: TokenRevoked, delivery: Delivery) -> None:
        """Apply one event; the acknowledgement follows from returning.

        Raises:
            Retry: not now.
            Reject: the subject is meant as an address and is none.
        """
        try:
            outcome = await self._revoker.revoke(event, stored_at_ms=delivery.stored_at_ms)
        except InvalidEmailError as error:
            raise Reject(f"the subject is not an address: {error.code}") from error
        except (BusUnavailableError, ContendedError) as error:
            raise Retry(retry_delay(delivery.deliveries), type(error).__name__) from error
        except RecordError as error:
            raise Retry(OTHER_VERSION_DELAY, "the stored record is of another version") from error
        self._journal.note(
            event, outcome, token_seq=delivery.sequence, stored_at_ms=delivery.stored_at_ms
        )
        self._announcer.applied(
            event_name(event, delivery), delivery.sequence, outcome, delivery.stream
        )

    async def on_revoked_by(self, event: TokenRevoked, delivery: Delivery) -> None:
        """The same for what a service says: in its own name, and within its row of the table.

        Raises:
            Retry: not now.
            Reject: it may not, or not as often, or the subject is meant as an address and is none.
        """
        name = speaker(delivery)
        if not self.turnstile.revokers.allows(name, event.scope):
            raise Reject(f"{name} may not revoke in scope {event.scope}")
        if self.turnstile.too_many(delivery):
            raise Reject(f"too many: {PER_SECOND} a second of {name} are applied")
        await self.on_token_revoked(event.model_copy(update={"actor": name}), delivery)

    async def on_refused(
        self, delivery: Delivery, event: TokenRevoked | None, said_id: str, reason: str
    ) -> None:
        """A message became a dead letter: its publisher may be listening."""
        name = event_name(event, delivery) if event else said_id or str(delivery.sequence)
        self._announcer.refused(name, delivery.sequence, reason, delivery.stream)


def event_name(event: TokenRevoked, delivery: Delivery) -> str:
    """The last token of ``revocation.applied.``: the event's id, or its sequence in its stream."""
    return event.id or str(delivery.sequence)


def consume_revocations(bus: Bus, runtime: Runtime, door: Door) -> None:
    """Begin to consume."""
    said = bus.take(
        REVOCATION,
        TOKEN_REVOKED,
        door.on_token_revoked,
        refused=door.on_refused,
        window=WINDOW,
        stopping=runtime.stopping,
    )
    runtime.spawn("revocations", said)
    said_by = bus.take(
        REVOCATION_BY,
        TOKEN_REVOKED_BY,
        door.on_revoked_by,
        refused=door.on_refused,
        window=WINDOW_BY,
        stopping=runtime.stopping,
        gate=door.turnstile,
    )
    runtime.spawn("revocations by services", said_by)
