"""The feed: what is revoked, kept in memory and current, and how current it is.

    async with RevocationFeed.open(
        "nats://nats:4222", name="service-shop", nkey_seed=seed, blocklist_key=key
    ) as feed:
        await feed.wait_ready(10)
        feed.is_revoked(claims)

How it replicates is written in `latchwire._replica`.
"""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from functools import cached_property
from types import TracebackType
from typing import Any, Final, Self

from latchwire._companion import Companion
from latchwire._ending import end
from latchwire._errors import LatchwireError
from latchwire._replica import FeedClosedError, Replica
from latchwire._stream import FeedReadError, Freshness
from latchwire._strict import decode_base64url
from latchwire.blocklist import Blocklist, Revocable
from latchwire.connect import FeedConnectError, connect
from latchwire.documents import Documents, OnKeys
from latchwire.events import CAPACITY, EventStream, Hub, keys_of
from latchwire.keys import KeyRing
from latchwire.records import Record

__all__ = [
    "Companion",
    "Feed",
    "FeedClosedError",
    "FeedConnectError",
    "FeedReadError",
    "FeedStaleError",
    "Freshness",
    "RevocationFeed",
]

MAX_STALENESS_SECONDS: Final = 10.0
SERVICE_API_PREFIX: Final = (
    "CORE.API"  # where the account of edges and services finds JetStream's API
)
BLOCKLIST_KEY_BYTES: Final = 32
ALARM_SECONDS: Final = 0.5  # between two looks at the staleness for those who watch
_LOOK_SECONDS: Final = 0.02


class FeedStaleError(LatchwireError):
    """It is not known whether this token is revoked: the last proof that the list is complete is too old."""


class Feed(ABC):
    """What `RevocationFeed` and `latchwire.testing.FakeFeed` have in common.

    *max_staleness* (seconds) is how old the last proof may be before nobody gets an answer.
    """

    max_staleness: float = MAX_STALENESS_SECONDS
    blocklist: Blocklist
    _hash_key: bytes
    _now_ms: Callable[[], int]
    _alarm: asyncio.TimerHandle | None = None

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether a complete list has been read; how fresh it is says `staleness_seconds`."""

    @abstractmethod
    def staleness_seconds(self) -> float:
        """How long ago the list was last proven complete; infinite before the first proof."""

    async def wait_ready(self, timeout: float) -> None:
        """Return once a complete list has been read and proven.

        Raises:
            TimeoutError: it was not within *timeout* seconds.
        """
        async with asyncio.timeout(timeout):
            while not self.ready or self.is_stale():  # noqa: ASYNC110  # it becomes stale by time alone
                await asyncio.sleep(_LOOK_SECONDS)

    def is_stale(self) -> bool:
        """Whether the last proof is older than `max_staleness`."""
        return self.staleness_seconds() > self.max_staleness

    def is_revoked(self, claims: Revocable) -> bool:
        """Whether the token with these *claims* is revoked at this moment.

        Raises:
            FeedStaleError: nobody can tell. Refuse for now (503), but log nobody out.
        """
        if self.is_stale():
            raise FeedStaleError
        found = self.blocklist.find(self.blocklist.fingerprint(claims), self._now_ms())
        return found is not None

    def problem(self) -> str | None:
        """For a readiness check: why this service cannot answer now, or None."""
        if not self.ready:
            return "the revocations are not loaded yet"
        if self.is_stale():
            return (
                f"no proof that the revocations are complete for {self.staleness_seconds():.0f} s"
            )
        return None

    def events(self, *, capacity: int = CAPACITY) -> EventStream:
        """What happens from now on, to be read with ``async for``; at most *capacity* wait for the reader.

        See `latchwire.events`.
        """
        return self._hub.stream(capacity)

    def watching(self, claims: Revocable) -> AbstractContextManager[asyncio.Event]:
        """An `asyncio.Event` that is set whenever the answer about *claims* may have changed.

        By a revocation, by a list read anew, and by the feed going stale; not by a token's own expiry.
        """
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(
                ALARM_SECONDS, self._look_at_watches
            )
        return self._hub.watch(keys_of(self._hash_key, claims))

    def look_again(self) -> None:
        """Set the events of all `watching`."""
        self._hub.wake_watches()

    def _look_at_watches(self) -> None:
        """One look for all: ten thousand timers would all go off at the same moment."""
        self._alarm = None
        if not self._hub.watched:
            return
        if self.is_stale():
            self.look_again()
        self._alarm = asyncio.get_running_loop().call_later(ALARM_SECONDS, self._look_at_watches)

    @cached_property
    def _hub(self) -> Hub:
        return Hub()


class RevocationFeed(Replica, Feed):
    """Keeps `blocklist` equal to the stream BLOCKLIST and knows how stale it may be.

    `open` is what a service wants. The constructor's arguments are `Replica`'s, for a connection of one's
    own; then either use it as ``async with``, which runs it in the background, or call `start`, await `run`
    in a task of your own, and call `stop`.
    """

    _task: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        servers: str | Sequence[str],
        *,
        name: str,
        nkey_seed: str,
        blocklist_key: bytes | str,
        max_staleness: float = MAX_STALENESS_SECONDS,
        tls: ssl.SSLContext | None = None,
        connect_timeout: float | None = 10.0,
        operators: KeyRing | None = None,
        on_keys: Callable[[KeyRing], None] | None = None,
        on_edges: Callable[[KeyRing], None] | None = None,
    ) -> AsyncIterator[Self]:
        """Connect as the credential *name* (``service-shop``), follow the feed, and close at the end.

        *nkey_seed* is the text of its seed file, *blocklist_key* the text of ``blocklist.key`` or its 32
        bytes. *servers*, *tls* and *connect_timeout* are those of `latchwire.connect.connect`. With
        *operators* (the public keys in ``operator.jwks.json``) and *on_keys* (`Verifier.replace_keys`) a
        rotation of the token keys reaches this service by itself, signed by an operator; with *on_edges*
        (`AssertionVerifier.replace_keys`) one of the edges' keys.

        Raises:
            FeedConnectError: no server let us in within *connect_timeout* seconds (None: wait for ever).
            ValueError: *blocklist_key* is none, or *operators* is given without one to tell, or one
                without *operators*.
        """
        documents = _follow_keys(operators, on_keys, on_edges)
        hash_key = _read_key(blocklist_key)
        link = connect(servers, name=name, nkey_seed=nkey_seed, tls=tls, timeout=connect_timeout)
        async with link as client:
            feed = cls(
                client,
                hash_key=hash_key,
                api_prefix=SERVICE_API_PREFIX,
                edge_id=name,
                documents=documents,
            )
            feed.max_staleness = max_staleness
            async with feed:
                yield feed

    @property
    def ready(self) -> bool:
        return self.loaded.is_set()

    async def run(self) -> None:
        """Read, prove, fill and sweep until cancelled; then `events` end.

        Raises:
            FeedClosedError: the connection was closed for good.
        """
        self._hub.reopen()
        failure: Exception | None = None
        try:
            await super().run()
        except FeedClosedError as error:
            failure = error
            raise
        finally:
            self._hub.end(failure)

    async def stop(self) -> None:
        """End the background task of ``async with`` and the subscriptions."""
        if self._task is not None:
            with suppress(FeedClosedError):
                await end(self._task)
        await super().stop()

    def problem(self) -> str | None:
        if self._client.is_closed:
            return "the connection to NATS was closed for good: start this process again"
        return super().problem()

    def _told(self, seq: int, key: str, record: Record) -> None:
        self._hub.tell(seq, key, record, self._hash_key)

    def _renewed(self) -> None:
        self._hub.renew()

    async def __aenter__(self) -> Self:
        await self.start()
        self._task = asyncio.create_task(self.run(), name="latchwire-feed")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()


OnRing = Callable[[KeyRing], None]


def _follow_keys(
    operators: KeyRing | None, on_keys: OnRing | None, on_edges: OnRing | None
) -> Documents | None:
    if operators is None and on_keys is None and on_edges is None:
        return None
    if operators is None or (on_keys is None and on_edges is None):
        raise ValueError("operators and on_keys or on_edges go together")
    return Documents(
        operators,
        on_keys=_telling(on_keys),
        on_edges=_telling(on_edges),
        api_prefix=SERVICE_API_PREFIX,
    )


def _telling(on_ring: OnRing | None) -> OnKeys | None:
    if on_ring is None:
        return None

    def take(body: Mapping[str, Any], _generation: int) -> None:
        on_ring(KeyRing.from_jwks({"keys": body["keys"]}))

    return take


def _read_key(key: bytes | str) -> bytes:
    raw = decode_base64url(key.strip().encode()) if isinstance(key, str) else key
    if raw is None or len(raw) != BLOCKLIST_KEY_BYTES:
        raise ValueError(f"blocklist_key is not the {BLOCKLIST_KEY_BYTES} bytes of blocklist.key")
    return raw
