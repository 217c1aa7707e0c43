"""Verified signatures, remembered: what does not change about a token is computed once.

Time and revocation are not remembered: they are asked on every request, hit or miss. What a key has verified
is forgotten with the key.
"""

from collections.abc import Callable
from typing import Final

from latchwire.blocklist import Fingerprint
from latchwire.claims import Claims
from latchwire.keys import KeyRing
from latchwire.tokens import Refused, TokenPolicy, decode_access_token
from services.edge.domain.decision import VerifiedToken
from services.edge.domain.identity import encode_headers, identity_headers
from services.edge.domain.lifetime import lifetime
from services.edge.domain.service_tokens import ServiceTokens, looks_like_one
from shared.messages import ServiceToken

CAPACITY: Final = 10_000  # tokens per generation; about 2 kB each


class VerifiedTokens:
    """Two generations of verified tokens by their bytes: what is in use survives, the rest goes at once.

    Refusals are not kept: they would let a flood of forgeries push out what is good.
    """

    def __init__(
        self,
        ring: KeyRing,
        policy: TokenPolicy,
        fingerprint: Callable[[Claims], Fingerprint],
        *,
        capacity: int = CAPACITY,
    ) -> None:
        self._ring = ring
        self._policy = policy
        self._fingerprint = fingerprint
        self._capacity = capacity
        self._young: dict[bytes, VerifiedToken] = {}
        self._old: dict[bytes, VerifiedToken] = {}
        self._services = ServiceTokens(policy)
        self.hits = 0
        self.misses = 0

    def use(self, ring: KeyRing) -> None:
        """Verify with *ring* from now on, in one step: no check in between sees half of it.

        Tokens of keys that stay are not verified again; those of a key that went, or is another under the
        same name, are forgotten.
        """
        old, self._ring = self._ring, ring
        gone = {kid for kid in old.kids if ring.find(kid) != old.find(kid)}
        if gone:
            self._young = _without(gone, self._young)
            self._old = _without(gone, self._old)

    @property
    def ring(self) -> KeyRing:
        """The keys accepted now."""
        return self._ring

    @property
    def service_tokens(self) -> int:
        """How many tokens of services are accepted."""
        return len(self._services)

    def use_service_tokens(self, rows: tuple[ServiceToken, ...], kid: str = "") -> None:
        """Accept exactly the service tokens of *rows*, of a document of *kid*, from now on, in one step."""
        self._services.use(rows, kid)
        self._young = _without_services(self._young)
        self._old = _without_services(self._old)

    def verify(self, token: bytes) -> VerifiedToken | Refused:
        """The token if it is genuine; whether it is still good at this moment is another question."""
        known = self._young.get(token)
        if known is not None:
            self.hits += 1
            return known
        known = self._old.get(token)
        if known is not None:
            self.hits += 1
            self._keep(token, known)
            return known
        return self._decode(token)

    def _decode(self, token: bytes) -> VerifiedToken | Refused:
        self.misses += 1
        if looks_like_one(token):
            known = self._services.find(token)
            if isinstance(known, Refused):
                return known
            verified = self._verified(known.claims, known.revoked_at)
        else:
            claims = decode_access_token(token, self._ring, self._policy)
            if isinstance(claims, Refused):
                return claims
            verified = self._verified(claims)
        self._keep(token, verified)
        return verified

    def _verified(self, claims: Claims, revoked_at: int = 0) -> VerifiedToken:
        begins, ends = lifetime(claims, self._policy)
        return VerifiedToken(
            claims,
            self._fingerprint(claims),
            encode_headers(identity_headers(claims)),
            from_ms=begins,
            until_ms=0 if revoked_at else ends,
            revoked_at=revoked_at,
        )

    def _keep(self, token: bytes, verified: VerifiedToken) -> None:
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[token] = verified


def _without(gone: set[str], tokens: dict[bytes, VerifiedToken]) -> dict[bytes, VerifiedToken]:
    return {token: known for token, known in tokens.items() if known.claims.kid not in gone}


def _without_services(tokens: dict[bytes, VerifiedToken]) -> dict[bytes, VerifiedToken]:
    return {token: known for token, known in tokens.items() if not looks_like_one(token)}
