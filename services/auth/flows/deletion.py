"""Delete an account: one transaction; then sessions end and everybody hears of it, before the answer goes."""

from dataclasses import dataclass

import structlog

from services.auth.domain.client import Client
from services.auth.domain.deletion import OWN, Deletion, entries_of
from services.auth.flows.relay import Relay
from services.auth.ports import Keys
from services.auth.ports.accounts import Subjects
from services.auth.ports.deletions import Deleted, Deletions, NoAccount, SoleOwner
from shared.clock import Clock
from shared.ids import Ids
from shared.messages import ClientHint

log = structlog.get_logger()


@dataclass(frozen=True)
class DeletionFlow:
    """*services* have to say that they erased, within *deadline_ms*."""

    deletions: Deletions
    subjects: Subjects
    relay: Relay
    keys: Keys
    clock: Clock
    ids: Ids
    services: tuple[str, ...]
    deadline_ms: int

    async def delete(
        self, sub: str, email: str, client: Client
    ) -> Deletion | SoleOwner | NoAccount:
        """The account of *sub* (whose tokens say *email*) and all that auth keeps of it. Repeatable.

        Raises:
            NotAnnouncedError: it is deleted; the background relay tells everybody as soon as it can.
        """
        standing = await self.subjects.standing(sub, email, "")
        now_ms = self.clock.now_ms()
        address = standing.email if standing else email
        fresh = Deletion(self.ids.ulid(now_ms), sub, address, now_ms, now_ms + self.deadline_ms)
        hint = ClientHint(network=client.network, user_agent=client.user_agent)
        entries = entries_of(fresh, self.keys.link.current, hint)
        result = await self.deletions.delete(fresh, (OWN, *self.services), entries)
        if not isinstance(result, Deleted):
            return result
        if result.again and result.deletion.email:
            # Its answer was lost: what was to be done is done again under the same ids.
            entries = entries_of(result.deletion, self.keys.link.current, hint)
        if not result.again:
            log.info("account.deleted", deletion=fresh.id)
        if result.deletion.completed_at_ms is None:
            await self.relay.deliver(*entries)
        return result.deletion
