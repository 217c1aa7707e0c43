"""The port `Revocations` over the SDK's feed; before there is a connection it is infinitely stale."""

from latchwire.blocklist import Blocklist, Fingerprint, Hit, Revocable
from latchwire.feed import RevocationFeed


class FeedRevocations:
    """Starts without a feed, so that the edge can answer (503) before the bus is there."""

    def __init__(self, hash_key: bytes) -> None:
        self._fingerprints = Blocklist(hash_key)
        self._feed: RevocationFeed | None = None

    def attach(self, feed: RevocationFeed) -> None:
        """Use *feed* from now on."""
        self._feed = feed

    @property
    def epoch(self) -> str:
        return "" if self._feed is None else self._feed.epoch

    @property
    def seq(self) -> int:
        return 0 if self._feed is None else self._feed.seq

    @property
    def size(self) -> int:
        return 0 if self._feed is None else len(self._feed.blocklist)

    @property
    def fills(self) -> int:
        """How often a gap was filled."""
        return 0 if self._feed is None else self._feed.fills

    def staleness_seconds(self) -> float:
        return float("inf") if self._feed is None else self._feed.staleness_seconds()

    def fingerprint(self, claims: Revocable) -> Fingerprint:
        return self._fingerprints.fingerprint(claims)

    def key_fingerprint(self, kid: str) -> Fingerprint:
        return self._fingerprints.key_fingerprint(kid)

    def find(self, fingerprint: Fingerprint, now_ms: int) -> Hit | None:
        return None if self._feed is None else self._feed.blocklist.find(fingerprint, now_ms)
