"""For your own tests: an issuer of tokens and a feed that do what you say, without a server.

    clock = FakeClock()                 # one for both: it stands still until clock.advance(seconds)
    issuer, feed = FakeIssuer(clock=clock), FakeFeed(clock=clock)
    verifier = issuer.verifier(feed)
    token = issuer.token(sub="ada@example.com", sid="s1")

    feed.revoke_session("s1")
    assert verifier.verify(token) == Refused("token_revoked", "session")

`FakeFeed` passes the contract suite of the real feed: what your service does here it does in production.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwire.assertions import AssertionVerifier
from latchwire.blocklist import Blocklist
from latchwire.feed import Feed, FeedClosedError
from latchwire.keys import KeyRing
from latchwire.records import Record, record_key
from latchwire.tokens import TokenPolicy
from latchwire.verifier import Verifier

SESSION_MS: Final = 7 * 86_400_000
KEY_MS: Final = 3650 * 86_400_000
START_MS: Final = 1_800_000_000_000  # 2027-01-15


class FakeClock:
    """Unix milliseconds that stand still until you say otherwise: ``clock()``, ``clock.advance(5)``."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms: int = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now_ms += round(seconds * 1000)


class FakeIssuer:
    """Issues access tokens as Latchwire does, with a key of its own (EdDSA, so that it is made at once).

    *clock*: give the one your feed has; for an application that reads the wall clock itself, that
    (``lambda: time.time_ns() // 1_000_000``) to both.
    """

    def __init__(
        self,
        *,
        issuer: str = "https://auth.example.com",
        audience: str = "latchwire",
        kid: str = "test-key",
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.clock: Callable[[], int] = FakeClock() if clock is None else clock
        self.policy: TokenPolicy = TokenPolicy(issuer=issuer, audience=audience)
        self.kid = kid
        self._private = Ed25519PrivateKey.generate()
        self._numbers = count(1)

    @property
    def jwks(self) -> dict[str, Any]:
        """What ``/.well-known/jwks.json`` would serve."""
        return _jwks(self.kid, self._private)

    @property
    def keys(self) -> KeyRing:
        """The same as a ring."""
        return KeyRing.from_jwks(self.jwks)

    def verifier(self, feed: Feed, *, services: bool = False) -> Verifier:
        """A verifier that accepts this issuer's tokens, on this issuer's clock; *services* as there."""
        return Verifier(self.keys, self.policy, feed, services=services, now_ms=self.clock)

    def token(self, *, sub: str = "ada@example.com", seconds: int = 900, **claims: Any) -> str:
        """A good token for *sub*, issued now, good for *seconds*; *claims* replace what is in it.

        Each has a session (``sid``) and an id (``jti``) of its own unless you name them.
        """
        number, now_ms = next(self._numbers), self.clock()
        now = now_ms // 1000
        members = {
            "iss": self.policy.issuer,
            "aud": self.policy.audience,
            "sub": sub,
            "email": sub if "@" in sub else f"{sub}@example.com",
            "sid": f"session-{number}",
            "jti": f"token-{number}",
            "client_id": "browser",
            "org": "",
            "roles": [],
            "amr": ["email"],
            "auth_time": now,
            "iat": now,
            "exp": now + seconds,
            "iat_ms": now_ms,
            "sst": now_ms,
            **claims,
        }
        header = {"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid}
        return _signed(header, members, self._private)


class FakeEdge:
    """Asserts who calls as an edge does, with a key of its own; *issuer* and *clock* as for `FakeIssuer`.

    edge = FakeEdge(clock=clock)
    verifier = edge.verifier("shop")
    headers = {"X-Latchwire-Assertion": edge.assertion("shop", sub="ada@example.com")}
    """

    def __init__(
        self,
        *,
        issuer: str = "https://auth.example.com",
        kid: str = "edge-1.00000000",
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.clock: Callable[[], int] = FakeClock() if clock is None else clock
        self.issuer = issuer
        self.kid = kid
        self._private = Ed25519PrivateKey.generate()
        self._numbers = count(1)

    @property
    def jwks(self) -> dict[str, Any]:
        """What ``/.well-known/edges/jwks.json`` would serve."""
        return _jwks(self.kid, self._private)

    @property
    def keys(self) -> KeyRing:
        """The same as a ring."""
        return KeyRing.from_jwks(self.jwks)

    def verifier(self, audience: str, feed: Feed | None = None) -> AssertionVerifier:
        """A verifier for the service *audience* that believes this edge, on its clock."""
        return AssertionVerifier(self.keys, self.issuer, audience, feed, now_ms=self.clock)

    def assertion(self, audience: str, *, sub: str = "ada@example.com", **claims: Any) -> str:
        """A good assertion for the service *audience*, made now; *claims* replace what is in it.

        With ``service="shop"`` that service calls, for itself; with *sub* (and *email*) beside it on behalf of
        somebody, then give ``act={"sub": "shop"}`` too.
        """
        number, now_ms = next(self._numbers), self.clock()
        service, now = claims.get("service", ""), now_ms // 1000
        person = not service or "act" in claims
        members = {
            "iss": self.issuer,
            "aud": audience,
            "sub": sub if person else service,
            "email": (sub if "@" in sub else f"{sub}@example.com") if person else "",
            "roles": [],
            "org": "",
            "permissions": [],
            "sid": f"session-{number}",
            "client_id": service or "browser",
            "service": service,
            "token_type": "service" if service else "user",
            "amr": ["email"] if person else [],
            "auth_time": now,
            "iat_ms": now_ms,
            "sst": now_ms,
            "iat": now,
            "exp": now + 60,
            "jti": f"token-{number}",
            **claims,
        }
        header = {"alg": "EdDSA", "typ": "latchwire-assertion+jwt", "kid": self.kid}
        return _signed(header, members, self._private)


class FakeFeed(Feed):
    """Loaded and fresh from the start, until you say otherwise.

    *clock*: the issuer's. A person revoked and issued anew in one millisecond is refused: let time pass
    (the platform sees to that by itself).
    """

    def __init__(
        self, *, max_staleness: float = 10.0, clock: Callable[[], int] | None = None
    ) -> None:
        self.max_staleness = max_staleness
        self.seq: int = 0
        self._now_ms = FakeClock() if clock is None else clock
        self._hash_key = b"latchwire.testing".ljust(32, b".")
        self.blocklist = Blocklist(self._hash_key)
        self._staleness = 0.0

    @property
    def ready(self) -> bool:
        return True

    def staleness_seconds(self) -> float:
        return self._staleness

    def revoke_token(self, jti: str) -> None:
        """One access token."""
        self._revoke("token", jti, SESSION_MS)

    def revoke_session(self, sid: str) -> None:
        """Every token of one session, also the next ones: a logout."""
        self._revoke("session", sid, SESSION_MS)

    def revoke_subject(
        self, sub: str, applies_to: Literal["sessions", "access"] = "sessions"
    ) -> None:
        """Everything that a person (``sub`` or e-mail) has now: the sessions, or only the access tokens."""
        now_ms = self._now_ms()
        times = (now_ms, 0) if applies_to == "sessions" else (0, now_ms)
        self._apply("subject", sub.lower() if "@" in sub else sub, now_ms + SESSION_MS, *times)

    def revoke_service(self, client_id: str) -> None:
        """Every token issued to a client."""
        self._revoke("service", client_id, KEY_MS)

    def revoke_key(self, kid: str) -> None:
        """Every token signed with a key: the kill switch."""
        self._revoke("key", kid, KEY_MS)

    def go_stale(self) -> None:
        """From now on nobody can prove that the list is complete: NATS, or every worker, is away."""
        self._staleness = self.max_staleness + 1
        self._hub.wake_watches()

    def come_back(self) -> None:
        """It is proven again; what was revoked meanwhile is known."""
        self._staleness = 0.0

    def reload(self) -> None:
        """The stream was restored or made again: the list is read anew and may lack what it held."""
        self.blocklist, self.seq = Blocklist(self._hash_key), 0
        self._hub.renew()

    def stop(self) -> None:
        """The end of ``async with``: `events` end."""
        self._hub.end(None)

    def close_for_good(self) -> None:
        """NATS shut the connection and will not have it back: stale for ever, and `events` say so."""
        self._hub.end(FeedClosedError())
        self.go_stale()

    def _revoke(self, scope: str, identifier: str, life_ms: int) -> None:
        self._apply(scope, identifier, self._now_ms() + life_ms)

    def _apply(self, scope: str, identifier: str, *times: int) -> None:
        key, record = record_key(self._hash_key, scope, identifier), Record(*times)
        self.seq += 1
        if self.blocklist.apply(key, record):
            self._hub.tell(self.seq, key, record, self._hash_key)


def _jwks(kid: str, private: Ed25519PrivateKey) -> dict[str, Any]:
    x = _b64url(private.public_key().public_bytes_raw())
    names = {"kid": kid, "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"}
    return {"keys": [{**names, "x": x}]}


def _signed(header: dict[str, Any], members: dict[str, Any], private: Ed25519PrivateKey) -> str:
    signed = f"{_b64url(_json(header))}.{_b64url(_json(members))}"
    return f"{signed}.{_b64url(private.sign(signed.encode('ascii')))}"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _b64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
