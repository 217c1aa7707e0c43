"""A revocation worker small enough to hold in a test: it writes records and answers probes as told."""

from dataclasses import dataclass

from latchwire.feed import RevocationFeed
from latchwire.records import Record, record_key
from shared import contract
from shared.bus import Bus, BusUnavailableError
from shared.contract import BLOCKLIST_PROBE
from shared.messages import Freshness, Probe

HASH_KEY = b"test" * 8
FAR_MS = 4_000_000_000_000
FOREVER = Record(FAR_MS)


@dataclass
class Writer:
    """Writes to BLOCKLIST over *bus* (role revocation) and proves freshness from the leader."""

    bus: Bus
    backlog_ms: int = 0
    epoch: str | None = None  # None: the true one
    silent: bool = False
    documents_seq: int = 0

    async def answer_probes(self) -> None:
        """From now on."""
        await self.bus.answer(BLOCKLIST_PROBE, self._prove)

    async def revoke(
        self, identifier: str, record: Record = FOREVER, *, ttl_seconds: int = 3600
    ) -> int:
        """Write one session record; its sequence."""
        key = session_key(identifier)
        found = await self.bus.get_state(key)
        ack = await self.bus.put_state(
            key, record.pack(), expected_seq=found[1] if found else 0, ttl_seconds=ttl_seconds
        )
        assert ack is not None
        return ack.seq

    async def _prove(self, _probe: Probe) -> Freshness:
        if self.silent:
            raise BusUnavailableError
        position = await self.bus.stream_position(contract.BLOCKLIST)
        return Freshness(
            epoch=self.epoch or position.epoch,
            last_seq=position.last_seq,
            backlog_ms=self.backlog_ms,
            documents_seq=self.documents_seq,
        )


def session_key(identifier: str) -> str:
    """The blocklist key of a session."""
    return record_key(HASH_KEY, "session", identifier)


def make_feed(bus: Bus) -> RevocationFeed:
    """A feed over *bus*, not started."""
    return RevocationFeed(
        bus.client, hash_key=HASH_KEY, api_prefix=bus.api_prefix, edge_id=bus.name
    )


def holds(feed: RevocationFeed, *identifiers: str) -> bool:
    """Whether all these sessions are on the feed's list."""
    return all(feed.blocklist.get(session_key(i)) is not None for i in identifiers)
