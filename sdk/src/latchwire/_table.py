"""A compact exact hash table of 16-byte keys, whose every operation is bounded: nothing ever moves as a whole.

Linear hashing: whenever the table is fuller than `_LOAD` entries per bucket, one bucket, always the next in
turn, is split in two. A bucket is one immutable `bytes` of fixed-width entries one after the other, found by
`bytes.find`; so an entry costs its own bytes and a share of its bucket's header. The buckets are in a
dictionary, which the garbage collector leaves alone while there are only numbers and bytes in it; it would
walk a list. Most look-ups end before that, in `filter`: one byte per slot, zero when no key of the table has
these hash bits. A slot's bits include its bucket's, so a bucket alone decides about its slots.

An entry is the key and then big-endian 64-bit times, the first of them ``until``. Two entries of one key
merge to the greater of each time. The keys are keyed hashes already, so part of the key is its hash: nobody
without the key of those hashes can aim at one bucket.
"""

from collections.abc import Callable, Iterator
from functools import cache
from struct import Struct
from typing import Final

KEY_BYTES: Final = 16
_TIME_BYTES: Final = 8
_LOAD: Final = 24  # entries per bucket, on average
_SLOTS: Final = 256  # of the filter, per bucket when a round of splits begins
_MOST_RESERVED: Final = 1 << 20  # buckets; more than that grow one by one
_STEP: Final = 1 << 20  # bytes of fresh memory at a time: the system hands them out page by page


@cache
def _hashes_of(count: int, width: int) -> Callable[[bytes], tuple[int, ...]]:
    return Struct(">" + f"8xQ{width - KEY_BYTES}x" * count).unpack


@cache
def _untils_of(count: int, width: int) -> Callable[[bytes], tuple[int, ...]]:
    return Struct(">" + f"16xQ{width - KEY_BYTES - _TIME_BYTES}x" * count).unpack


def hash_of(key: bytes) -> int:
    """The hash of a 16-byte key: its second half."""
    return int.from_bytes(key[8:KEY_BYTES], "big")


class Table:
    """Entries of *width* bytes. Not thread-safe."""

    __slots__ = (
        "_buckets",
        "_cursor",
        "_mask",
        "_room",
        "_size",
        "_split",
        "count",
        "filter",
        "slots",
        "width",
    )

    def __init__(self, width: int) -> None:
        self.width = width
        self.count = 0
        # Read by whoever looks a key up: `filter[hash & slots]` is 0 when the key is not here.
        self.filter = bytearray(_SLOTS)
        self.slots = _SLOTS - 1
        self._buckets: dict[int, bytes] = {}  # those that are not empty
        self._size = 1  # how many there are with the empty ones
        self._mask = 0  # hash bits of a bucket not yet split in this round
        self._split = 0  # buckets below it are split in this round
        self._room = _LOAD
        self._cursor = 0  # the bucket where the next sweep begins

    def reserve(self, entries: int) -> Iterator[None]:
        """Make room for *entries* in an empty table, in steps; given up when something comes in meanwhile."""
        buckets = min(-(-entries // _LOAD), _MOST_RESERVED)
        if self.count or buckets <= self._size:
            return
        whole = 1 << (buckets.bit_length() - 1)
        slots, filter_ = whole * _SLOTS, bytearray()
        while len(filter_) < slots:
            filter_ += bytes(min(slots - len(filter_), _STEP))
            yield
        if not self.count:
            self._size, self._mask, self._split = buckets, whole - 1, buckets - whole
            self._room = buckets * _LOAD
            self.filter, self.slots = filter_, slots - 1

    def get(self, key: bytes, hash_: int) -> bytes | None:
        """The entry of *key*, or None."""
        if not self.filter[hash_ & self.slots]:
            return None
        blob = self._buckets.get(self._bucket(hash_), b"")
        at = self._find(blob, key)
        return None if at < 0 else blob[at : at + self.width]

    def merge(self, entry: bytes, hash_: int) -> bool:
        """Put *entry* in, or merge it with the one of its key; whether that changed anything."""
        slot = hash_ & self.slots
        bucket = self._bucket(hash_)
        blob = self._buckets.get(bucket, b"")
        if self.filter[slot] and (at := self._find(blob, entry[:KEY_BYTES])) >= 0:
            return self._raise(bucket, at, entry)
        self._buckets[bucket] = blob + entry
        self.filter[slot] = 1
        self.count += 1
        if self.count > self._room:
            self._split_next()
        return True

    def load(self, entries: bytes) -> None:
        """Merge each of *entries*, a whole number of them."""
        width, merge = self.width, self.merge
        hashes = _hashes_of(len(entries) // width, width)(entries)
        for number, hash_ in enumerate(hashes):
            merge(entries[number * width : (number + 1) * width], hash_)

    def sweep(self, now_ms: int, limit: int) -> int:
        """Look at about *limit* entries, forget those whose ``until`` is over; how many those were.

        The next call goes on where this one ended. At most one round is made per call.
        """
        before = self.count
        for _ in range(self._size):
            if limit <= 0:
                break
            if self._cursor >= self._size:
                self._cursor = 0
            limit -= 1 + self._sweep_bucket(self._cursor, now_ms)
            self._cursor += 1
        return before - self.count

    def blobs(self) -> Iterator[bytes]:
        """Every bucket's entries; what is here from the first to the last step comes at least once.

        A split only moves entries from a bucket to a new last one, so nothing escapes a walk.
        """
        at = 0
        while at < self._size:
            if at in self._buckets:
                yield self._buckets[at]
            at += 1

    def dismantle(self, limit: int) -> bool:
        """Free at most about *limit* entries of a table that is no longer used; whether any are left."""
        while limit > 0 and self._buckets:
            entries = len(self._buckets.popitem()[1]) // self.width
            self.count -= entries
            limit -= 1 + entries
        return bool(self._buckets)

    def _bucket(self, hash_: int) -> int:
        bucket = hash_ & self._mask
        return bucket if bucket >= self._split else hash_ & (self._mask << 1 | 1)

    def _find(self, blob: bytes, key: bytes) -> int:
        """Where the entry of *key* begins, or -1. The same bytes across two entries are no key."""
        at = blob.find(key)
        while at > 0 and at % self.width:
            at = blob.find(key, at + 1)
        return at

    def _raise(self, bucket: int, at: int, entry: bytes) -> bool:
        blob, width = self._buckets[bucket], self.width
        known = blob[at : at + width]
        merged = entry[:KEY_BYTES]
        for field in range(KEY_BYTES, width, _TIME_BYTES):
            end = field + _TIME_BYTES  # big-endian: the greater bytes are the greater time
            merged += max(known[field:end], entry[field:end])
        if merged == known:
            return False
        self._buckets[bucket] = blob[:at] + merged + blob[at + width :]
        return True

    def _split_next(self) -> None:
        blob, width, new = self._buckets.get(self._split, b""), self.width, self._mask + 1
        hashes = _hashes_of(len(blob) // width, width)(blob)
        parts: tuple[list[bytes], list[bytes]] = ([], [])
        for number, hash_ in enumerate(hashes):
            parts[hash_ & new != 0].append(blob[number * width : (number + 1) * width])
        self._keep(self._split, parts[0])
        self._keep(self._size, parts[1])
        self._size += 1
        self._set_slots(hashes, hashes)
        self._room += _LOAD
        self._split += 1
        if self._split == new:
            self._begin_round()

    def _keep(self, bucket: int, entries: list[bytes]) -> bytes:
        """Let *bucket* hold just these *entries*; its new content."""
        blob = b"".join(entries)
        if blob:
            self._buckets[bucket] = blob
        else:
            self._buckets.pop(bucket, None)
        return blob

    def _begin_round(self) -> None:
        """Every bucket is split: one more hash bit counts. The filter's copy is put right by the splits."""
        self._mask, self._split = self._mask << 1 | 1, 0
        self.filter *= 2
        self.slots = self.slots << 1 | 1

    def _set_slots(self, had: tuple[int, ...], has: tuple[int, ...]) -> None:
        """Mark what a bucket *has* and nothing else of what it *had*, nor what a doubling copied of it."""
        filter_, slots = self.filter, self.slots
        half = (slots + 1) >> 1
        for hash_ in had:
            slot = hash_ & slots
            filter_[slot] = filter_[slot ^ half] = 0
        for hash_ in has:
            filter_[hash_ & slots] = 1

    def _sweep_bucket(self, bucket: int, now_ms: int) -> int:
        """Forget what has lapsed in *bucket*; how many entries were looked at."""
        blob, width = self._buckets.get(bucket, b""), self.width
        count = len(blob) // width
        untils = _untils_of(count, width)(blob)
        if count and min(untils) < now_ms:
            pairs = enumerate(untils)
            alive = [blob[n * width : (n + 1) * width] for n, until in pairs if until >= now_ms]
            kept = self._keep(bucket, alive)
            self.count -= count - len(alive)
            self._set_slots(_hashes_of(count, width)(blob), _hashes_of(len(alive), width)(kept))
        return count
