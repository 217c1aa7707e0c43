"""Make the tokens of a session: the access token's claims and the refresh token's text."""

from dataclasses import dataclass

from services.auth.domain.account import Standing
from services.auth.domain.outcomes import Tokens
from services.auth.domain.session import (
    RefreshToken,
    Session,
    access_lifetime,
    csrf_claim,
    csrf_value,
    is_genuine,
    make_refresh_token,
)
from services.auth.ports import AccessTokens, Keys
from shared.clock import Clock
from shared.ids import Ids


@dataclass(frozen=True)
class Issuer:
    """*issuer* is the public base URL, *audience* whom access tokens are for."""

    issuer: str
    audience: str
    access_tokens: AccessTokens
    keys: Keys
    clock: Clock
    ids: Ids

    def issue(
        self, session: Session, standing: Standing, *, counter: int, at_ms: int, cookies: bool
    ) -> Tokens:
        """The pair for *session* at *counter*; *at_ms* (the store's clock) becomes ``iat_ms``.

        *standing* was read no earlier than *at_ms*: what changes it refuses what is issued before the change.
        """
        iat = at_ms // 1000
        lifetime = access_lifetime(session.expires_at_ms // 1000 - iat, self.ids.random())
        csrf = self.csrf_of(session.sid) if cookies else ""
        claims = self._claims(session, standing, at_ms) | {"iat": iat, "exp": iat + lifetime}
        if csrf:
            claims["csrf"] = csrf_claim(csrf)
        return Tokens(
            sid=session.sid,
            expires_in=lifetime,
            session_seconds=max(0, (session.expires_at_ms - at_ms) // 1000),
            access=self.access_tokens.sign(claims),
            refresh=self._refresh_token(session, counter),
            csrf=csrf,
        )

    def csrf_of(self, sid: str) -> str:
        """The CSRF cookie's value for *sid* under the newest key."""
        return csrf_value(self.keys.csrf.by_kid[self.keys.csrf.current], sid)

    def csrf_hashes(self, sid: str) -> frozenset[str]:
        """Every hash the CSRF token of *sid* may have, under any key that is still accepted."""
        return frozenset(csrf_claim(csrf_value(k, sid)) for k in self.keys.csrf.by_kid.values())

    def is_genuine(self, token: RefreshToken, session: Session) -> bool:
        """Whether *token* was made here for *session*, under a key that is still accepted."""
        key = self.keys.refresh.by_kid.get(token.kid)
        return key is not None and is_genuine(token, key, session.secret)

    def _refresh_token(self, session: Session, counter: int) -> str:
        kid = self.keys.refresh.current
        return make_refresh_token(
            self.keys.refresh.by_kid[kid], kid, session.sid, counter, session.secret
        )

    def _claims(self, session: Session, standing: Standing, at_ms: int) -> dict[str, object]:
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": session.sub,
            "email": session.email,
            "sid": session.sid,
            "jti": self.ids.ulid(self.clock.now_ms()),
            "client_id": session.client_id,
            "org": standing.org,
            "roles": list(standing.roles),
            "amr": [session.amr],
            "auth_time": session.sst // 1000,
            "iat_ms": at_ms,
            "sst": session.sst,
        }
        if standing.permissions:
            claims["permissions"] = list(standing.permissions)
        return claims
