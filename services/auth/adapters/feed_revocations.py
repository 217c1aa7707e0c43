"""Revocations from the feed every edge follows."""

from latchwire.claims import Claims
from latchwire.feed import RevocationFeed
from services.auth.ports import FeedStaleError, Watermark


class FeedRevocations:
    """`services.auth.ports.Revocations`; *max_staleness* in seconds."""

    def __init__(self, feed: RevocationFeed, max_staleness: float) -> None:
        self._feed = feed
        self._max_staleness = max_staleness

    def require_fresh(self) -> None:
        if self._feed.staleness_seconds() > self._max_staleness:
            raise FeedStaleError

    def watermark(self, *identifiers: str) -> Watermark:
        found = [
            self._feed.blocklist.subject_watermark(name) for name in dict.fromkeys(identifiers)
        ]
        records = [record for record in found if record is not None]
        return Watermark(
            max((record.sessions_before for record in records), default=0),
            max((record.tokens_before for record in records), default=0),
        )

    def refuses(self, claims: Claims, now_ms: int) -> bool:
        blocklist = self._feed.blocklist
        return blocklist.find(blocklist.fingerprint(claims), now_ms) is not None

    def refuses_key(self, kid: str, now_ms: int) -> bool:
        blocklist = self._feed.blocklist
        return blocklist.find(blocklist.key_fingerprint(kid), now_ms) is not None

    def key_not_ready(self, kid: str, now_ms: int) -> str | None:
        """For /ready: None, or that every token signed with *kid* would be refused everywhere."""
        if not self.refuses_key(kid, now_ms):
            return None
        return (
            f"the signing key {kid} is revoked: `latchwire keys compromise {kid}` lets another key sign and "
            "takes it out, `latchwire keys rotate` alone the former"
        )

    def not_ready(self) -> str | None:
        """For /ready: None, or why nobody can sign in or renew for now."""
        if self._feed.staleness_seconds() <= self._max_staleness:
            return None
        return "the revocation feed is stale"
