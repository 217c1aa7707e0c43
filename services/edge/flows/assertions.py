"""What a service hears of its caller: the identity headers, the route's own, and the assertion.

Signing takes about 50 µs, so an assertion is kept with the token it speaks of, one for each service, and
renewed after half its life. It goes when the token goes, or the catalogue's entry changes.
"""

from typing import Final

from latchwire.assertions import HEADER, TYPE
from services.edge.domain.assertion import payload_of
from services.edge.domain.decision import Allowed, Spoken, VerifiedToken
from services.edge.domain.identity import NOBODY, encode_headers, route_headers
from services.edge.domain.routes import Route
from services.edge.ports import AssertionKey
from shared.catalogue import Service
from shared.clock import Clock
from shared.ids import b64url

RENEW_MS: Final = 30_000
MOST_PER_TOKEN: Final = 16  # services one caller uses at a time; about 1 kB each
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
        token = allowed.token
        if token is None:
            return self._lines_of_nobody(allowed.route.service)
        return token.identity + self.line(token, allowed.route, self._clock.now_ms())

    def line(self, token: VerifiedToken, route: Route, now_ms: int) -> bytes:
        """The whole header line of the assertion, and those of the route's own headers."""
        service = route.service
        known = token.spoken.get(service.name)
        if (
            known is not None
            and known.service is service
            and known.era == self._era
            and known.made_ms <= now_ms < known.renew_ms
        ):
            return known.lines
        return self._renew(token, service, now_ms)

    def _renew(self, token: VerifiedToken, service: Service, now_ms: int) -> bytes:
        passed = token.passed
        lines = encode_headers(route_headers(service, token.claims)) + self._sign(
            token, service.name, now_ms // 1000
        )
        if len(token.spoken) >= MOST_PER_TOKEN:
            token.spoken.clear()
        # One that was passed on ends with the first; another of it would say the same.
        until = passed.exp * 1000 if passed.exp else now_ms + RENEW_MS
        token.spoken[service.name] = Spoken(service, self._era, now_ms, until, lines)
        return lines

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
