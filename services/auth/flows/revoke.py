"""RFC 7009: a client gives back a token, and with it the session that the token belongs to.

Refresh token and access token end the same thing. §2.1 asks for it where a refresh token is revoked (all
access tokens of the grant go too) and allows it where an access token is; here both are of one session, and
whoever says "revoked" means that nobody can go on with it. A single access token, its session living on, is an
operator's business (``latchwire revoke token``).
"""

from dataclasses import dataclass

from services.auth.domain.revoke import NotRevocable, Revoked
from services.auth.domain.session import FIRST_PARTY, parse_refresh_token
from services.auth.flows.ending import Ending
from services.auth.flows.service_tokens import ServiceTokenFlow
from services.auth.flows.tokens import Issuer
from services.auth.ports import NOBODY, AccessTokens, Sessions, Watch
from shared.links import parse_link_token


@dataclass(frozen=True)
class Holding:
    """The session a token is of. *client_id* is "" where it is over and nobody can tell any more.

    What was made of a service's token (*is_service*) cannot end that: it lives a quarter of an hour itself.
    """

    sid: str
    sub: str
    client_id: str
    is_service: bool = False


@dataclass(frozen=True)
class RevokeFlow:
    """May raise the errors of `services.auth.ports`; then the client has to ask again (§2.2.1, 503)."""

    sessions: Sessions
    access_tokens: AccessTokens
    issuer: Issuer
    ending: Ending
    services: ServiceTokenFlow

    async def revoke(
        self, token: str, *, client_id: str = FIRST_PARTY, watch: Watch = NOBODY
    ) -> Revoked | NotRevocable:
        """End the session of *token* if it was issued to *client_id*, or to no confidential client at all.

        What is no token of ours, or of a session that nobody knows, is revoked already (§2.2). A repetition
        is published again, so that an answer is never given for what was not acknowledged.
        """
        if parse_link_token(token):
            # It would still sign in after a 200: a link is cancelled elsewhere.
            return NotRevocable("unsupported_token_type")
        service_token = await self.services.find_shown(token)
        if service_token is not None:  # whoever found one may end it: that is what scanners do
            await self.services.revoke(
                service_token.id, "revoked_by_client", service_token.service, watch=watch
            )
            return Revoked()
        held = await self._held(token)
        if held is None:
            return Revoked()
        if held.is_service or held.client_id not in {"", FIRST_PARTY, client_id}:
            return NotRevocable("invalid_grant")
        await self.ending.end_session(
            held.sid, held.sub, "revoked_by_client", client_id, watch=watch
        )
        return Revoked()

    async def _held(self, token: str) -> Holding | None:
        claims = self.access_tokens.read_expired(token)
        if claims is not None:
            return Holding(claims.sid, claims.sub, claims.client_id, bool(claims.service))
        refresh = parse_refresh_token(token)
        session = await self.sessions.find(refresh.sid) if refresh else None
        if refresh is None or session is None:
            return None
        if not session.ended and not self.issuer.is_genuine(refresh, session):
            return None
        return Holding(session.sid, session.sub, session.client_id)
