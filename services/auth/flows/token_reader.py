"""Whose service token this is, and whether it counts now: by the rows in force here, and the blocklist."""

from dataclasses import dataclass

from latchwire.claims import Claims
from services.auth.domain.outcomes import NotSignedIn
from services.auth.domain.service_tokens import Rows, marked, unexpired
from services.auth.ports import FeedStaleError, Revocations
from services.auth.ports.service_tokens import KnownTokens, Register
from shared.clock import Clock
from shared.messages import ServiceToken
from shared.service_tokens import claims_of, is_service_token


@dataclass(frozen=True)
class TokenReader:
    """Changes nothing. *issuer* and *audience* as in access tokens."""

    known: KnownTokens
    revocations: Revocations
    issuer: str
    audience: str
    clock: Clock

    def claims(self, row: ServiceToken, kid: str | None = None) -> Claims:
        """What *row*'s token says, vouched for by *kid* (None: as the rows in force here)."""
        voucher = self.known.kid if kid is None else kid
        return claims_of(row, issuer=self.issuer, audience=self.audience, kid=voucher)

    def accepts(self, row: ServiceToken) -> bool:
        """Whether *row*'s token counts now. Raises: FeedStaleError."""
        return self.refusal(row) is None

    def refusal(self, row: ServiceToken) -> NotSignedIn | None:
        """Why *row*'s token does not count now; None: it does. Raises: FeedStaleError."""
        now_ms = self.clock.now_ms()
        if row.revoked_at is not None or self._is_revoked(row, now_ms, self.known.kid):
            return NotSignedIn("token_revoked")
        if now_ms >= row.expires_at:
            return NotSignedIn("token_expired")
        self.revocations.require_fresh()
        return None

    def find(self, token: str) -> ServiceToken | None:
        """The row of *token*; None when it is surely nobody's.

        Raises:
            FeedStaleError: it has the form of one, and may be one that is not known here yet.
        """
        row = self.known.find(token)
        if row is None and is_service_token(token.encode("utf-8", "surrogatepass")):
            self.revocations.require_fresh()
            if self.known.lags:
                raise FeedStaleError
        return row

    def identify(self, token: str) -> Claims | NotSignedIn | None:
        """Whose service token this is, or why it does not count; None: no service token that is known."""
        row = self.known.find(token)
        return None if row is None else self.refusal(row) or self.claims(row)

    def living(self, token_id: str) -> ServiceToken | None:
        """The row named *token_id*, unless it was revoked."""
        row = self.known.by_id(token_id)
        return row if row is not None and row.revoked_at is None else None

    def vouched_for(self, register: Register, now_ms: int) -> Rows:
        """Its rows that have not run out, the revoked ones marked: the next write vouches for them anew.

        None where the key that vouches for them is revoked: whoever had it could have written any of them.
        """
        if register.voucher and self.revocations.refuses_key(register.voucher, now_ms):
            return ()
        rows = unexpired(register.rows, now_ms)
        return marked(rows, lambda row: self._is_revoked(row, now_ms, register.voucher), now_ms)

    def _is_revoked(self, row: ServiceToken, now_ms: int, voucher: str) -> bool:
        return self.revocations.refuses(self.claims(row, voucher), now_ms)
