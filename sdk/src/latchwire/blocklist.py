"""The blocklist in memory: exact, about 40 bytes a record, and nothing it does stalls the event loop.

A record is 16 raw bytes of its key and its times in a `latchwire._table.Table`, one table for each scope: a
scope nobody is revoked in costs a check nothing, and only subjects carry watermarks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final, Protocol

from latchwire._table import KEY_BYTES, Table, hash_of
from latchwire.records import SCOPE_LETTERS, SCOPE_NAMES, Record, digest_of, key_digest, text_key

SWEEP_LIMIT: Final = 500
DISMANTLE_LIMIT: Final = 10_000
SLICE: Final = 256  # records between two turns of the loop while many are loaded

_UNTIL: Final = Struct(">Q")
_SUBJECT: Final = Struct(">QQQ")
# Where a fingerprint has the key of each scope: a subject has two names.
_PLACES: Final = ("j", "s", "k", "v", "u", "u")
_HASHES: Final = Struct(">" + "8xQ" * len(_PLACES))
_NOBODY: Final = bytes(KEY_BYTES)  # in the place of what a token does not name


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
    """The precomputed *keys* of one token and their *hashes*: token, session, key, service, two subjects."""

    keys: bytes
    hashes: tuple[int, ...]
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
        self._tables = {letter: Table(entry_bytes(letter)) for letter in SCOPE_NAMES}
        # The tables that hold anything, each with the place of its key in a fingerprint.
        self._filled: tuple[tuple[int, Table], ...] = ()

    def __len__(self) -> int:
        return sum(table.count for table in self._tables.values())

    def apply(self, key: str, record: Record) -> bool:
        """Merge *record* under *key*; whether that changed anything. Nothing can be undone here.

        Raises:
            ValueError: *key* is no record key.
            struct.error: a time does not fit 64 bits without a sign.
        """
        digest = key_digest(key)
        return self._merge(key[0], digest + _pack(key[0], record), hash_of(digest))

    def get(self, key: str) -> Record | None:
        """The record under *key*, or None; one that has lapsed may still be here for a minute.

        Raises:
            ValueError: *key* is no record key.
        """
        digest = key_digest(key)
        entry = self._tables[key[0]].get(digest, hash_of(digest))
        return None if entry is None else _unpack(entry)

    def fingerprint(self, claims: Revocable) -> Fingerprint:
        """The keys under which *claims* could be revoked; keep it with the verified token."""
        email = claims.email if claims.email != claims.sub else ""
        names = (claims.jti, claims.sid, claims.kid, claims.client_id, claims.sub, email)
        return self._fingerprint(names, claims.sst, claims.iat_ms)

    def key_fingerprint(self, kid: str) -> Fingerprint:
        """What `find` needs to say whether the signing key *kid* is revoked."""
        return self._fingerprint(("", "", kid, "", "", ""), 0, 0)

    def find(self, fingerprint: Fingerprint, now_ms: int) -> Hit | None:
        """The first record that refuses the token at *now_ms*, or None."""
        hashes = fingerprint.hashes
        for place, table in self._filled:
            if table.filter[hashes[place] & table.slots]:
                hit = _hit(fingerprint, place, table, now_ms)
                if hit is not None:
                    return hit
        return None

    def subject_watermark(self, identifier: str) -> Record | None:
        """The record of the subject *identifier* (a ``sub`` or a canonical e-mail), or None."""
        digest = digest_of(self._hash_key, "subject", identifier)
        entry = self._tables["u"].get(digest, hash_of(digest))
        return None if entry is None else _unpack(entry)

    def sweep(self, now_ms: int, limit: int = SWEEP_LIMIT) -> int:
        """Look at about *limit* records and forget those that have lapsed; how many those were.

        Each call goes on where the last one ended. About 0.1 ms per thousand.
        """
        size, gone = len(self), 0
        for table in self._tables.values():
            if table.count:
                gone += table.sweep(now_ms, -(-limit * table.count // size))
        if gone:
            self._note_filled()
        return gone

    def dismantle(self, limit: int = DISMANTLE_LIMIT) -> bool:
        """Drop about *limit* records of a list that is no longer used; whether any are left.

        Freeing a million at once would stall the loop.
        """
        self._filled = ()
        return any(table.dismantle(limit) for table in self._tables.values())

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """The scope letter and some packed entries at a time (`entry_bytes` each), in no order.

        The list may change between two steps: whatever is in it from the first to the last comes at least
        once.
        """
        for letter, table in self._tables.items():
            for blob in table.blobs():
                yield letter, blob

    def records(self) -> Iterator[tuple[str, Record]]:
        """Every record under its key, with the promise of `pieces`."""
        for letter, blob in self.pieces():
            for entry in _split(blob, entry_bytes(letter)):
                yield text_key(letter, entry[:KEY_BYTES]), _unpack(entry)

    def count(self, letter: str) -> int:
        """How many records of one scope there are."""
        return self._tables[letter].count

    def reserve(self, letter: str, entries: int) -> Iterator[None]:
        """Make room for *entries* of one scope, in steps: they are loaded faster then."""
        return self._tables[letter].reserve(entries)

    def load(self, letter: str, entries: bytes) -> Iterator[int]:
        """Merge packed *entries* of one scope, `SLICE` of them for each step; how many so far.

        Raises:
            KeyError: no scope has this *letter*.
            ValueError: *entries* is not a whole number of them.
        """
        table, width = self._tables[letter], entry_bytes(letter)
        if len(entries) % width:
            raise ValueError("part of an entry")
        for start in range(0, len(entries), SLICE * width):
            some = entries[start : start + SLICE * width]
            table.load(some)
            self._note_filled()
            yield (start + len(some)) // width

    def _merge(self, letter: str, entry: bytes, hash_: int) -> bool:
        table = self._tables[letter]
        fresh = not table.count
        changed = table.merge(entry, hash_)
        if fresh:
            self._note_filled()
        return changed

    def _note_filled(self) -> None:
        places = ((place, self._tables[letter]) for place, letter in enumerate(_PLACES))
        self._filled = tuple((place, table) for place, table in places if table.count)

    def _fingerprint(self, names: tuple[str, ...], sst: int, iat_ms: int) -> Fingerprint:
        digests = [
            digest_of(self._hash_key, SCOPE_NAMES[letter], name) if name else _NOBODY
            for letter, name in zip(_PLACES, names, strict=True)
        ]
        keys = b"".join(digests)
        return Fingerprint(keys, _HASHES.unpack(keys), sst, iat_ms)


def entry_bytes(letter: str) -> int:
    """The length of a packed entry: the key, ``until``, and for subjects the two watermarks."""
    return KEY_BYTES + (_SUBJECT.size if letter == SCOPE_LETTERS["subject"] else _UNTIL.size)


def _pack(letter: str, record: Record) -> bytes:
    if letter == SCOPE_LETTERS["subject"]:
        return _SUBJECT.pack(record.until_ms, record.sessions_before, record.tokens_before)
    return _UNTIL.pack(record.until_ms)


def _unpack(entry: bytes) -> Record:
    layout = _SUBJECT if len(entry) > KEY_BYTES + _UNTIL.size else _UNTIL
    return Record(*layout.unpack_from(entry, KEY_BYTES))


def _split(blob: bytes, width: int) -> Iterator[bytes]:
    return (blob[at : at + width] for at in range(0, len(blob), width))


def _hit(fingerprint: Fingerprint, place: int, table: Table, now_ms: int) -> Hit | None:
    """What *table* has against the key in this *place*."""
    key = fingerprint.keys[place * KEY_BYTES : (place + 1) * KEY_BYTES]
    entry = None if key == _NOBODY else table.get(key, fingerprint.hashes[place])
    if entry is None or not _refuses(_PLACES[place], _unpack(entry), fingerprint, now_ms):
        return None
    return Hit(SCOPE_NAMES[_PLACES[place]], text_key(_PLACES[place], key))


def _refuses(letter: str, record: Record, fingerprint: Fingerprint, now_ms: int) -> bool:
    if letter == SCOPE_LETTERS["subject"]:
        sessions, tokens = record.sessions_before, record.tokens_before
        return fingerprint.sst <= sessions or fingerprint.iat_ms <= tokens
    return now_ms <= record.until_ms
