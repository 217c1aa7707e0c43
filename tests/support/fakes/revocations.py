"""The port `Revocations` as a test sets it; the blocklist inside is the real one."""

from latchwire.blocklist import Blocklist, Fingerprint, Hit, Revocable
from latchwire.records import Record, record_key


class FakeRevocations:
    """Fresh until told otherwise."""

    def __init__(self, hash_key: bytes = b"k" * 32) -> None:
        self._hash_key = hash_key
        self._blocklist = Blocklist(hash_key)
        self.epoch = "epoch-1"
        self.seq = 0
        self.staleness = 0.0

    @property
    def size(self) -> int:
        return len(self._blocklist)

    def staleness_seconds(self) -> float:
        return self.staleness

    def fingerprint(self, claims: Revocable) -> Fingerprint:
        return self._blocklist.fingerprint(claims)

    def key_fingerprint(self, kid: str) -> Fingerprint:
        return self._blocklist.key_fingerprint(kid)

    def find(self, fingerprint: Fingerprint, now_ms: int) -> Hit | None:
        return self._blocklist.find(fingerprint, now_ms)

    def revoke(self, scope: str, identifier: str, record: Record) -> None:
        """As if the delta had just come in."""
        self._blocklist.apply(record_key(self._hash_key, scope, identifier), record)
        self.seq += 1
