"""When a token's own times are right, worked out once: two comparisons are left for each check."""

from latchwire.claims import Claims
from latchwire.tokens import TokenPolicy


def lifetime(claims: Claims, policy: TokenPolicy) -> tuple[int, int]:
    """From when until before when (Unix ms) `latchwire.tokens.check_times` has nothing against *claims*."""
    leeway_ms = policy.leeway_seconds * 1000
    latest = max(claims.iat * 1000, claims.iat_ms, claims.sst, claims.auth_time * 1000)
    return latest - leeway_ms, claims.exp * 1000 + leeway_ms
