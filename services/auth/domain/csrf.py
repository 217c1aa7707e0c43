"""Cross-site requests: may this unsafe request that rides on a cookie be obeyed? (DESIGN §6)

The same rule stands at the edge. "same-site" is not enough: a sibling subdomain is another origin.
"""

import hmac

from services.auth.domain.session import csrf_claim

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def allows(
    *,
    fetch_site: str | None,
    origin: str | None,
    own_origins: frozenset[str],
    token: str | None,
    expected: frozenset[str],
) -> bool:
    """Sec-Fetch-Site, else Origin, else the CSRF token; nothing of all that is a no.

    *expected* are the hashes (`csrf_claim`) that the presented session's own CSRF value may have.
    """
    if fetch_site in {"same-origin", "none"}:
        return True
    if origin is not None and origin in own_origins:
        return True
    if not token or not token.isascii():
        return False
    claim = csrf_claim(token)
    return any(hmac.compare_digest(claim, hash_) for hash_ in expected if hash_.isascii())
