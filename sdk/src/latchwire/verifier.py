"""One question, asked of every request: whose token is this, and does it count at this moment?

`Verifier` joins what the package holds: signature and claims (`latchwire.tokens`), remembered; the clock and
the feed, asked each time. The codes and their order are those of the platform's own edge.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from latchwire.blocklist import Fingerprint
from latchwire.claims import Claims
from latchwire.feed import Feed
from latchwire.keys import KeyRing
from latchwire.tokens import Refused, TokenPolicy, check_times, decode_access_token

CAPACITY: Final = 10_000  # tokens remembered per generation; about 2 kB each
SHORTEST_WAIT_SECONDS: Final = 0.05
LONGEST_WAIT_SECONDS: Final = 60.0  # the wall clock may be set meanwhile

STALE: Final = Refused("stale", "feed")
OF_A_SERVICE: Final = Refused("token_invalid", "a service's token")


@dataclass(frozen=True, slots=True)
class _Genuine:
    claims: Claims
    fingerprint: Fingerprint


class Verifier:
    """Says whose token it is, or why it does not count; waits for nothing.

    *keys* are those of ``/.well-known/jwks.json``; nothing is fetched here. When they change, give the new
    ones to `replace_keys`. Without a *feed* every answer is ``stale``, until `attach` gives it one: an
    application is often put together before it is connected. *now_ms* is the wall clock, Unix milliseconds.

    With *services* the tokens of other services count too (``claims.service`` names the one that calls, and
    its ``permissions`` say what it may); without, only those of people: an application that looks at nothing
    but ``sub`` would take a service for a person of that name.
    """

    def __init__(
        self,
        keys: KeyRing,
        policy: TokenPolicy,
        feed: Feed | None = None,
        *,
        services: bool = False,
        capacity: int = CAPACITY,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._keys = keys
        self._policy = policy
        self._feed = feed
        self._services = services
        self._capacity = capacity
        self._now_ms = now_ms
        self._young: dict[bytes, _Genuine] = {}
        self._old: dict[bytes, _Genuine] = {}

    def attach(self, feed: Feed) -> None:
        """Ask *feed* from now on."""
        self._feed = feed
        self._young, self._old = {}, {}  # with fingerprints for another list

    def is_stale(self) -> bool:
        """Whether nobody can tell now what is revoked."""
        return self._feed is None or self._feed.is_stale()

    def problem(self) -> str | None:
        """For a readiness check: why everybody is refused now, or None."""
        return "there is no feed yet" if self._feed is None else self._feed.problem()

    def replace_keys(self, keys: KeyRing) -> None:
        """Accept exactly *keys* from now on; what other keys signed is refused at once."""
        self._keys = keys
        self._young, self._old = {}, {}
        if self._feed is not None:
            self._feed.look_again()

    def verify(self, token: bytes | str) -> Claims | Refused:
        """The claims of *token*, or why it does not count now. Never raises, whatever the bytes.

        ``stale`` comes first, as at the edge: while nobody can tell what is revoked, a 401 would make
        clients throw good tokens away.
        """
        feed = self._feed
        if feed is None or feed.is_stale():
            return STALE
        genuine = self._genuine(_as_bytes(token), feed)
        if isinstance(genuine, Refused):
            return genuine
        return self._refusal(genuine, feed) or genuine.claims

    def check(self, claims: Claims) -> Refused | None:
        """Whether a token that was verified before still counts: None, or why not."""
        feed = self._feed
        if feed is None:
            return STALE
        return self._check(_Genuine(claims, feed.blocklist.fingerprint(claims)), feed)

    async def until_refused(self, claims: Claims) -> Refused:
        """Return the moment that `check` refuses *claims*: revoked, expired, or nobody can tell any more.

        For whatever outlives its request, a WebSocket above all.
        """
        feed = self._feed
        if feed is None:
            return STALE
        genuine = _Genuine(claims, feed.blocklist.fingerprint(claims))
        with feed.watching(claims) as changed:
            while (refused := self._check(genuine, feed)) is None:
                changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._seconds_to_expiry(claims)):
                        await changed.wait()
            return refused

    def _check(self, genuine: _Genuine, feed: Feed) -> Refused | None:
        if feed.is_stale():
            return STALE
        if self._keys.find(genuine.claims.kid) is None:
            return Refused("token_invalid", "kid unknown")
        return self._refusal(genuine, feed)

    def _refusal(self, genuine: _Genuine, feed: Feed) -> Refused | None:
        now_ms = self._now_ms()
        refused = check_times(genuine.claims, self._policy, now_ms)
        if refused is not None:
            return refused
        hit = feed.blocklist.find(genuine.fingerprint, now_ms)
        return None if hit is None else Refused("token_revoked", hit.scope)

    def _genuine(self, token: bytes, feed: Feed) -> _Genuine | Refused:
        """Two generations by the token's bytes: what is in use survives. Refusals are not kept."""
        known = self._young.get(token)
        if known is not None:
            return known
        known = self._old.get(token)
        if known is None:
            claims = decode_access_token(token, self._keys, self._policy)
            if isinstance(claims, Refused):
                return claims
            if claims.service and not self._services:
                return OF_A_SERVICE
            known = _Genuine(claims, feed.blocklist.fingerprint(claims))
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[token] = known
        return known

    def _seconds_to_expiry(self, claims: Claims) -> float:
        last_ms = (claims.exp + self._policy.leeway_seconds) * 1000
        until_expired = (last_ms - self._now_ms()) / 1000
        return max(min(until_expired, LONGEST_WAIT_SECONDS), SHORTEST_WAIT_SECONDS)


def _as_bytes(token: bytes | str) -> bytes:
    return token.encode("utf-8", "replace") if isinstance(token, str) else token
