"""The blocklist in memory: exact, a few dictionary look-ups per check, swept in bounded steps.

Plain dictionaries of strings and integers: the garbage collector does not walk them, and a million
entries cost neither a pause nor an approximation.
"""

import heapq
from dataclasses import dataclass
from typing import Final, Protocol

from latchwire.records import SCOPE_NAMES, Record, record_key

SWEEP_LIMIT: Final = 2_000
_BUCKET_MS: Final = 60_000


class Revocable(Protocol):
    """The claims a revocation can name; `latchwire.claims.Claims` is one."""

    @property
    def sub(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def sid(self) -> str: ...
    @property
    def jti(self) -> str: ...
    @property
    def kid(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    @property
    def sst(self) -> int: ...
    @property
    def iat_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The precomputed keys of one token: *keys* (token, session, key, service) and *subjects*."""

    keys: tuple[str, ...]
    subjects: tuple[str, ...]
    sst: int
    iat_ms: int


@dataclass(frozen=True, slots=True)
class Hit:
    """Why a token is refused: the scope's name and the record's key."""

    scope: str
    key: str


class Blocklist:
    """What is revoked. Not thread-safe: one event loop owns it.

    *hash_key* turns identifiers into keys; see `latchwire.records.record_key`.
    """

    def __init__(self, hash_key: bytes) -> None:
        self._hash_key = hash_key
        self._until: dict[str, int] = {}
        self._subjects: dict[str, Record] = {}
        # Live views: their isdisjoint() looks all keys of a token up in one call into C.
        self._until_keys = self._until.keys()
        self._subject_keys = self._subjects.keys()
        # The minute after which a key is dead -> those keys; a heap finds the earliest minute.
        self._buckets: dict[int, list[str]] = {}
        self._minutes: list[int] = []

    def __len__(self) -> int:
        return len(self._until) + len(self._subjects)

    def apply(self, key: str, record: Record) -> bool:
        """Merge *record* under *key*; whether that changed anything. Nothing can be undone here."""
        return self._merge_subject(key, record) if key[0] == "u" else self._extend(key, record)

    def fingerprint(self, claims: Revocable) -> Fingerprint:
        """The keys under which *claims* could be revoked; keep it with the verified token."""
        names = [("token", claims.jti), ("session", claims.sid), ("key", claims.kid)]
        names.append(("service", claims.client_id))
        subjects = dict.fromkeys(s for s in (claims.sub, claims.email) if s)
        return Fingerprint(
            tuple(record_key(self._hash_key, scope, name) for scope, name in names if name),
            tuple(record_key(self._hash_key, "subject", subject) for subject in subjects),
            claims.sst,
            claims.iat_ms,
        )

    def key_fingerprint(self, kid: str) -> Fingerprint:
        """What `find` needs to say whether the signing key *kid* is revoked."""
        return Fingerprint((record_key(self._hash_key, "key", kid),), (), 0, 0)

    def find(self, fingerprint: Fingerprint, now_ms: int) -> Hit | None:
        """The first record that refuses the token at *now_ms*, or None."""
        if self._until_keys.isdisjoint(fingerprint.keys) and self._subject_keys.isdisjoint(
            fingerprint.subjects
        ):
            return None
        return self._find_key(fingerprint, now_ms) or self._find_subject(fingerprint)

    def subject_watermark(self, identifier: str) -> Record | None:
        """The record of the subject *identifier* (a ``sub`` or a canonical e-mail), or None."""
        return self._subjects.get(record_key(self._hash_key, "subject", identifier))

    def sweep(self, now_ms: int, limit: int = SWEEP_LIMIT) -> int:
        """Forget at most *limit* keys whose minute is over; how many were looked at.

        A caller that gets *limit* back has more to sweep. About 0.5 ms per thousand.
        """
        seen = 0
        while seen < limit and self._minutes and self._minutes[0] * _BUCKET_MS < now_ms:
            bucket = self._buckets[self._minutes[0]]
            while bucket and seen < limit:
                self._expire(bucket.pop(), now_ms)
                seen += 1
            if not bucket:
                del self._buckets[heapq.heappop(self._minutes)]
        return seen

    def dismantle(self, limit: int = SWEEP_LIMIT) -> bool:
        """Drop at most *limit* entries of a list that is no longer used; whether any are left.

        Freeing a million entries at once would stall the loop for a tenth of a second.
        """
        for _ in range(limit):
            if self._until:
                self._until.popitem()
            elif self._subjects:
                self._subjects.popitem()
            elif self._buckets:
                self._buckets.popitem()
            else:
                return False
        return True

    def _extend(self, key: str, record: Record) -> bool:
        known = self._until.get(key, -1)
        if record.until_ms <= known:
            return False
        self._until[key] = record.until_ms
        self._remember_expiry(key, record.until_ms)
        return True

    def _merge_subject(self, key: str, record: Record) -> bool:
        known = self._subjects.get(key)
        merged = record if known is None else known.merged(record)
        if merged == known:
            return False
        self._subjects[key] = merged
        if known is None or merged.until_ms > known.until_ms:
            self._remember_expiry(key, merged.until_ms)
        return True

    def _remember_expiry(self, key: str, until_ms: int) -> None:
        minute = until_ms // _BUCKET_MS + 1
        bucket = self._buckets.get(minute)
        if bucket is None:
            self._buckets[minute] = [key]
            heapq.heappush(self._minutes, minute)
        else:
            bucket.append(key)

    def _expire(self, key: str, now_ms: int) -> None:
        # An extended record sits in a later bucket as well and stays.
        if self._until.get(key, now_ms) < now_ms:
            del self._until[key]
        record = self._subjects.get(key)
        if record is not None and record.until_ms < now_ms:
            del self._subjects[key]

    def _find_key(self, fingerprint: Fingerprint, now_ms: int) -> Hit | None:
        for key in fingerprint.keys:
            if now_ms <= self._until.get(key, -1):
                return Hit(SCOPE_NAMES[key[0]], key)
        return None

    def _find_subject(self, fingerprint: Fingerprint) -> Hit | None:
        for key in fingerprint.subjects:
            record = self._subjects.get(key)
            if record is not None and (
                fingerprint.sst <= record.sessions_before
                or fingerprint.iat_ms <= record.tokens_before
            ):
                return Hit("subject", key)
        return None
