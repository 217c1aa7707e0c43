"""The bus and the revocation feed as auth's flows see them, in memory."""

from latchwire.blocklist import Blocklist
from latchwire.claims import Claims
from latchwire.records import Record, record_key
from services.auth.ports import FeedStaleError, Watermark
from shared.bus import BusUnavailableError
from shared.contract import Subject
from shared.messages import Message


class FakeEvents:
    """Keeps what was published, (subject, message); *away* makes publishing fail, *refused* on one subject,
    *refused_ids* of some events."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Message]] = []
        self.away = False
        self.refused = ""
        self.refused_ids: set[str] = set()

    async def publish(
        self, subject: Subject[Message], message: Message, *, msg_id: str | None = None
    ) -> object:
        if self.away or subject.name == self.refused or msg_id in self.refused_ids:
            raise BusUnavailableError
        self.published.append((subject.name, message))
        return msg_id

    def of(self, subject: str) -> list[Message]:
        """The messages on *subject*."""
        return [message for name, message in self.published if name == subject]


class FakeRevocations:
    """A real blocklist without a feed; *stale* makes it unproven."""

    def __init__(self) -> None:
        self._key = b"k" * 32
        self._blocklist = Blocklist(self._key)
        self.stale = False

    def revoke(self, scope: str, identifier: str, record: Record) -> None:
        """Let a record arrive."""
        self._blocklist.apply(record_key(self._key, scope, identifier), record)

    def require_fresh(self) -> None:
        if self.stale:
            raise FeedStaleError

    def watermark(self, *identifiers: str) -> Watermark:
        found = [self._blocklist.subject_watermark(name) for name in identifiers]
        records = [record for record in found if record is not None]
        return Watermark(
            max((r.sessions_before for r in records), default=0),
            max((r.tokens_before for r in records), default=0),
        )

    def refuses(self, claims: Claims, now_ms: int) -> bool:
        return self._blocklist.find(self._blocklist.fingerprint(claims), now_ms) is not None

    def refuses_key(self, kid: str, now_ms: int) -> bool:
        return self._blocklist.find(self._blocklist.key_fingerprint(kid), now_ms) is not None
