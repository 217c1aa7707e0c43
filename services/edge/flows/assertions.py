"""What a service hears of its caller: the identity headers, the route's own, and the assertion.

Signing takes about 50 µs, so an assertion is kept with the token it speaks of, one for each service
(`services.edge.flows.standings`), and renewed after half its life, or when the edge's own key changes.
"""

from typing import Final

from latchwire.assertions import HEADER, TYPE
from services.edge.domain.assertion import payload_of
from services.edge.domain.decision import Allowed, Standing, VerifiedToken
from services.edge.domain.identity import NOBODY, encode_headers, route_headers
from services.edge.flows.standings import standing_of
from services.edge.ports import AssertionKey
from shared.catalogue import Service
from shared.clock import Clock
from shared.ids import b64url

RENEW_MS: Final = 30_000
EMPTY: Final = f"{HEADER}: \r\n".encode("ascii")


class Assertions:
    """Makes the header lines of everybody who may pass. Without a *key* the assertion is empty."""

    def __init__(self, key: AssertionKey | None, *, issuer: str, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._nobody: dict[str, tuple[Service, bytes]] = {}
        self._era = 0
        self.use(key)

    def use(self, key: AssertionKey | None) -> None:
        """Sign with *key* from now on; what was signed with the one before is told no more."""
        self._key = key
        self._era += 1
        self._header = b"" if key is None else _header(key.kid)

    @property
    def kid(self) -> str:
        """The name of the key; "" without one."""
        return "" if self._key is None else self._key.kid

    def lines(self, allowed: Allowed) -> bytes:
        """Every identity header of *allowed* but X-Request-Id; empty ones for nobody."""
        return self.lines_at(allowed, self._clock.now_ms())

    def lines_at(self, allowed: Allowed, now_ms: int) -> bytes:
        """As `lines`, for who has looked at the clock (Unix ms)."""
        route, token = allowed
        if token is None:
            return self._lines_of_nobody(route.service)
        told = standing_of(token, route.service)
        if told.era == self._era and told.made_ms <= now_ms < told.renew_ms:
            return told.lines
        return self._renew(token, told, now_ms)

    def _renew(self, token: VerifiedToken, told: Standing, now_ms: int) -> bytes:
        service, passed = told.service, token.passed
        own = encode_headers(route_headers(service, token.claims))
        told.lines = token.identity + own + self._sign(token, service.name, now_ms // 1000)
        # One that was passed on ends with the first; another of it would say the same.
        told.renew_ms = passed.exp * 1000 if passed.exp else now_ms + RENEW_MS
        told.era, told.made_ms = self._era, now_ms
        return told.lines

    def _sign(self, token: VerifiedToken, audience: str, now: int) -> bytes:
        if self._key is None:
            return EMPTY
        payload = payload_of(
            token.claims, token.passed, audience=audience, issuer=self._issuer, now=now
        )
        signed = b"%b.%b" % (self._header, b64url(payload).encode("ascii"))
        signature = b64url(self._key.sign(signed)).encode("ascii")
        return b"%b: %b.%b\r\n" % (HEADER.encode("ascii"), signed, signature)

    def _lines_of_nobody(self, service: Service) -> bytes:
        known = self._nobody.get(service.name)
        if known is not None and known[0] is service:
            return known[1]
        lines = NOBODY + encode_headers(route_headers(service, None)) + EMPTY
        self._nobody[service.name] = service, lines
        return lines


def _header(kid: str) -> bytes:
    # Edges' names are plain ASCII without quotes.
    text = f'{{"alg":"EdDSA","typ":"{TYPE}","kid":"{kid}"}}'
    return b64url(text.encode("ascii")).encode("ascii")
