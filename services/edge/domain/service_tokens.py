"""Service tokens at the edge: a table by the hash of the token, out of the document that auth signs.

There is no signature to verify and nobody to ask; what the table does not have is nobody's token.
"""

from dataclasses import dataclass
from typing import Final

from latchwire.claims import Claims
from latchwire.tokens import Refused, TokenPolicy
from shared.messages import ServiceToken
from shared.service_tokens import NO_TOKENS, PREFIX, TokenTable, claims_of, is_service_token

UNKNOWN: Final = Refused("token_invalid", "service token unknown")
MALFORMED: Final = Refused("token_invalid", "service token checksum")


@dataclass(frozen=True)
class Known:
    """What a token of the table says; *revoked_at* (Unix ms): nothing any more, since then."""

    claims: Claims
    revoked_at: int = 0


def looks_like_one(token: bytes) -> bool:
    """Whether *token* claims to be one, so that nothing else needs to be tried with it."""
    return token.startswith(PREFIX)


class ServiceTokens:
    """The tokens of one generation of the document; *policy* says whose audience they are good for."""

    def __init__(self, policy: TokenPolicy, table: TokenTable = NO_TOKENS) -> None:
        self._policy = policy
        self._table = table

    def __len__(self) -> int:
        return len(self._table.living)

    def use(self, rows: tuple[ServiceToken, ...], kid: str) -> None:
        """Accept exactly *rows*, which *kid* vouches for, from now on, in one step."""
        self._table = TokenTable.of(rows, kid)

    def find(self, token: bytes) -> Known | Refused:
        """What *token* says if the table has it; whether it is in its time is asked on every request."""
        table, policy = self._table, self._policy
        row = table.find(token)
        if row is not None:
            claims = claims_of(row, issuer=policy.issuer, audience=policy.audience, kid=table.kid)
            return Known(claims, row.revoked_at or 0)
        return UNKNOWN if is_service_token(token) else MALFORMED
