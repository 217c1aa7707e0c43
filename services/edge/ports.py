"""What a check needs from outside: the revocations and how fresh they are; and a record as it is stored."""

from dataclasses import dataclass
from typing import Protocol

from latchwire.blocklist import Fingerprint, Hit, Revocable
from latchwire.records import Record


class Revocations(Protocol):
    """The replicated blocklist. Nothing here waits."""

    @property
    def epoch(self) -> str:
        """The stream's epoch; "" before the first load."""
        ...

    @property
    def seq(self) -> int:
        """Applied up to here, without a gap."""
        ...

    @property
    def size(self) -> int:
        """Live records."""
        ...

    def staleness_seconds(self) -> float:
        """Age of the last proof that nothing is missing; infinite before the first."""
        ...

    def fingerprint(self, claims: Revocable) -> Fingerprint:
        """The keys under which *claims* could be revoked; the same for the life of the process."""
        ...

    def key_fingerprint(self, kid: str) -> Fingerprint:
        """With it `find` says whether the signing key *kid* is revoked, and nothing else."""
        ...

    def find(self, fingerprint: Fingerprint, now_ms: int) -> Hit | None:
        """Why the token is revoked, or None."""
        ...


class AssertionKey(Protocol):
    """The edge's own key."""

    @property
    def kid(self) -> str:
        """Its name."""
        ...

    def sign(self, signed: bytes) -> bytes:
        """The Ed25519 signature over *signed*."""
        ...


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as BLOCKLIST holds it: its sequence, and when it was stored (Unix ms)."""

    seq: int
    stored_at_ms: int
    record: Record


class StoredRecords(Protocol):
    """BLOCKLIST itself, for explanations; no check asks it."""

    async def find(self, key: str) -> StoredRecord | None:
        """The record under *key*; None when it is not there, or could not be read at once."""
        ...
