"""RFC 7662: a service that cannot follow the revocation feed asks whether a token counts right now.

"Active" is said only on proof: a genuine token in its time, a feed that is fresh and refuses nothing of it, and
a store that is whole and holds the session alive. Where one of these cannot be had for now, the question fails;
"inactive" would log somebody out for it.
"""

from dataclasses import dataclass

from latchwire.claims import Claims
from services.auth.domain.introspect import (
    Active,
    Inactive,
    describe_access,
    describe_refresh,
    describe_service,
    is_living,
    would_renew,
)
from services.auth.domain.session import FIRST_PARTY, RefreshToken, parse_refresh_token
from services.auth.flows.revoked import is_revoked
from services.auth.flows.token_reader import TokenReader
from services.auth.flows.tokens import Issuer
from services.auth.ports import AccessTokens, Revocations, Sessions
from shared.clock import Clock


@dataclass(frozen=True)
class IntrospectFlow:
    """Changes nothing. May raise the errors of `services.auth.ports`."""

    sessions: Sessions
    revocations: Revocations
    access_tokens: AccessTokens
    issuer: Issuer
    clock: Clock
    services: TokenReader

    async def introspect(self, token: str, client_id: str) -> Active | Inactive:
        """What *token* says, for the confidential client *client_id*."""
        refresh = parse_refresh_token(token)
        if refresh is not None:
            return await self._refresh(refresh, client_id)
        row = self.services.known.find(token)
        if row is not None:
            return self._service(self.services.claims(row))
        claims = self.access_tokens.read(token, self.clock.now_ms())
        return Inactive() if isinstance(claims, str) else await self._access(claims)

    async def _access(self, claims: Claims) -> Active | Inactive:
        """Any service that is a client may ask: what is behind the gateway has one audience."""
        if claims.service:
            return self._service(claims)
        if self.revocations.refuses(claims, self.clock.now_ms()):
            return Inactive()
        self.revocations.require_fresh()
        session = await self.sessions.find(claims.sid)
        if not is_living(session, self.clock.now_ms()):
            return Inactive()
        await self.sessions.require_settled()
        return describe_access(claims)

    def _service(self, claims: Claims) -> Active | Inactive:
        """Active while the token of the service is in the register; the store is not asked."""
        row = self.services.known.by_id(claims.sid)
        if row is None or not self.services.accepts(row):
            return Inactive()
        if self.revocations.refuses(claims, self.clock.now_ms()):
            return Inactive()
        return describe_service(claims)

    async def _refresh(self, token: RefreshToken, client_id: str) -> Active | Inactive:
        """Only who could renew with it may ask (§2.2: not every token is everybody's to know)."""
        session = await self.sessions.find(token.sid)
        now_ms = self.clock.now_ms()
        if session is None or not is_living(session, now_ms):
            return Inactive()
        if not self.issuer.is_genuine(token, session):
            return Inactive()
        if session.client_id not in {FIRST_PARTY, client_id}:
            return Inactive()
        if is_revoked(self.revocations, session, now_ms, f"refresh/{token.kid}"):
            return Inactive()
        self.revocations.require_fresh()
        await self.sessions.require_settled()
        if not would_renew(session, token.counter, now_ms):
            return Inactive()
        return describe_refresh(session, self.issuer.issuer)
