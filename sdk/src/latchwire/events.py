"""What a feed tells an application that holds something open: a WebSocket, a stream, a cache.

    events = feed.events()                  # first: from here on nothing is missed
    async for event in events:
        for socket in list(sockets):
            if isinstance(event, Resync) or event.hits(socket.claims):
                ...                         # check it again; close it if it is refused

A reader that is too slow is told so: what it missed becomes one `Resync`, never a silent gap. Time is no
event: what stays open must also end when its token expires and when the feed goes stale;
`latchwire.verifier.Verifier.until_refused` waits for all three.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from weakref import WeakSet

from latchwire.blocklist import Revocable
from latchwire.records import SCOPE_NAMES, Record, record_key

CAPACITY: Final = 10_000  # events kept for one reader


@dataclass(frozen=True, slots=True)
class Revoked:
    """A revocation that was not known before, or that reaches further than what was known.

    *scope* is ``token``, ``session``, ``subject``, ``service`` or ``key``; *key* the keyed hash of whom it
    is about (ids are never told); *seq* the stream sequence of the record, or of the end of the gap it was
    read in.
    """

    key: str
    record: Record
    seq: int
    _hash_key: bytes = field(repr=False, compare=False)

    @property
    def scope(self) -> str:
        return SCOPE_NAMES[self.key[0]]

    def hits(self, claims: Revocable) -> bool:
        """Whether this refuses the token with these *claims*."""
        names = _names(claims)[self.scope]
        if all(record_key(self._hash_key, self.scope, name) != self.key for name in names):
            return False
        record = self.record
        return self.scope != "subject" or (
            claims.sst <= record.sessions_before or claims.iat_ms <= record.tokens_before
        )


@dataclass(frozen=True, slots=True)
class Resync:
    """Check everything again: some revocations were not told one by one.

    *reason*: ``reloaded`` when the whole list was read anew (the stream was restored or made again, or the
    clock was set back), ``overflow`` when this reader was more than its buffer behind.
    """

    reason: Literal["reloaded", "overflow"]


Event: TypeAlias = Revoked | Resync


class EventStream:
    """The events of one reader, from the moment it was made; ends when the feed does.

    Drop it to stop listening. One task at a time may read it.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("capacity must be positive")
        self._capacity = capacity
        self._waiting: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            StopAsyncIteration: the feed was stopped.
            FeedClosedError: its connection was closed for good.
        """
        while not self._waiting:
            if self._ended:
                raise self._error or StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()

    def _put(self, event: Event) -> None:
        if len(self._waiting) >= self._capacity:
            self._waiting.clear()
            event = Resync("overflow")
        self._waiting.append(event)
        self._wake.set()

    def _end(self, error: Exception | None) -> None:
        self._ended, self._error = True, error
        self._wake.set()


class Hub:
    """Who listens to one feed: readers of all events, and watches over the keys of one token."""

    def __init__(self) -> None:
        self._streams: WeakSet[EventStream] = WeakSet()
        self._watches: dict[str, set[asyncio.Event]] = {}
        self._end: tuple[Exception | None] | None = None

    def stream(self, capacity: int) -> EventStream:
        """A new reader; it ends at once when the feed has."""
        made = EventStream(capacity)
        if self._end is not None:
            made._end(*self._end)  # noqa: SLF001  # both ends of one queue live in this module
        self._streams.add(made)
        return made

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watches)

    @contextmanager
    def watch(self, keys: Collection[str]) -> Iterator[asyncio.Event]:
        """An event that is set whenever something about one of these record *keys* may have changed."""
        changed = asyncio.Event()
        for key in keys:
            self._watches.setdefault(key, set()).add(changed)
        try:
            yield changed
        finally:
            for key in keys:
                self._watches[key].discard(changed)
                if not self._watches[key]:
                    del self._watches[key]

    def tell(self, seq: int, key: str, record: Record, hash_key: bytes) -> None:
        """One revocation, to everybody whom it concerns."""
        for changed in self._watches.get(key, ()):
            changed.set()
        if self._streams:
            self._spread(Revoked(key, record, seq, hash_key))

    def renew(self) -> None:
        """The list was read anew."""
        self.wake_watches()
        self._spread(Resync("reloaded"))

    def wake_watches(self) -> None:
        """Have every watch look again."""
        for watches in self._watches.values():
            for changed in watches:
                changed.set()

    def end(self, error: Exception | None) -> None:
        """No event will come any more; *error* is why, when nobody wanted that."""
        self._end = (error,)
        for stream in list(self._streams):
            stream._end(error)  # noqa: SLF001
        self.wake_watches()

    def reopen(self) -> None:
        """The feed runs (again)."""
        self._end = None

    def _spread(self, event: Event) -> None:
        for stream in list(self._streams):
            stream._put(event)  # noqa: SLF001


def keys_of(hash_key: bytes, claims: Revocable) -> frozenset[str]:
    """Every record key under which *claims* could be revoked."""
    return frozenset(
        record_key(hash_key, scope, name)
        for scope, names in _names(claims).items()
        for name in names
    )


def _names(claims: Revocable) -> dict[str, tuple[str, ...]]:
    return {
        "token": (claims.jti,),
        "session": (claims.sid,),
        "key": (claims.kid,),
        "service": (claims.client_id,),
        "subject": (claims.sub, claims.email),
    }
