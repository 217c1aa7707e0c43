"""``grant_type=client_credentials`` (RFC 6749 §4.4): a service turns its token into an access token.

The access token lives a quarter of an hour, is verified offline like a person's, and is of the service token's
``sid``: revoking that ends both.
"""

from dataclasses import dataclass

import structlog

from services.auth.domain.service_tokens import ACCESS_SECONDS, narrowed
from services.auth.flows.token_reader import TokenReader
from services.auth.ports import AccessTokens, StoreUnavailableError
from services.auth.ports.service_tokens import TokenUses
from shared.clock import Clock
from shared.ids import Ids
from shared.messages import ServiceToken

log = structlog.get_logger()


@dataclass(frozen=True)
class Granted:
    """An access token for a service; *expires_in* in seconds."""

    access: str
    expires_in: int
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class NotGranted:
    """``invalid_client`` or ``invalid_scope`` (RFC 6749 §5.2); *why*: the code, for who has the right pair."""

    error: str
    why: str = ""


@dataclass(frozen=True)
class ServiceAccess:
    """May raise the errors of `services.auth.ports`."""

    tokens: TokenReader
    uses: TokenUses
    access_tokens: AccessTokens
    clock: Clock
    ids: Ids

    async def grant(self, service: str, secret: str, scope: str) -> Granted | NotGranted:
        """An access token for *service*, which proves itself with its token *secret*."""
        row = self.tokens.known.find(secret)
        if row is None or row.service != service:
            return NotGranted("invalid_client")
        refused = self.tokens.refusal(row)
        if refused is not None:
            return NotGranted("invalid_client", refused.code)
        scopes = narrowed(row.scopes, scope)
        if scopes is None:
            return NotGranted("invalid_scope")
        now_ms = self.clock.now_ms()
        seconds = min(ACCESS_SECONDS, row.expires_at // 1000 - now_ms // 1000)
        if seconds < 1:
            return NotGranted("invalid_client")
        access = self.access_tokens.sign(self._claims(row, scopes, now_ms, seconds))
        await self._used(row.id, now_ms)
        return Granted(access, seconds, scopes)

    def _claims(
        self, row: ServiceToken, scopes: tuple[str, ...], now_ms: int, seconds: int
    ) -> dict[str, object]:
        iat = now_ms // 1000
        return {
            "iss": self.tokens.issuer,
            "aud": self.tokens.audience,
            "sub": row.service,
            "client_id": row.service,
            "service": row.service,
            "sid": row.id,
            "jti": self.ids.ulid(now_ms),
            "permissions": list(scopes),
            "auth_time": iat,
            "iat": iat,
            "exp": iat + seconds,
            "iat_ms": now_ms,
            "sst": row.created_at,
            **({"org": row.org} if row.org else {}),
        }

    async def _used(self, token_id: str, now_ms: int) -> None:
        try:
            await self.uses.note({token_id: now_ms})
        except StoreUnavailableError:
            log.info("service_token.use_not_noted")  # the token works without Redis
