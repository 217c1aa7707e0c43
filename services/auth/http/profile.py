"""What ``GET /auth/me`` adds where there are accounts: read from the store now, not from the token."""

from aiohttp import web

from latchwire.claims import Claims
from services.auth.http.context import accounts_of
from services.auth.http.reading import unauthorized


async def describe_account(request: web.Request, claims: Claims) -> dict[str, object]:
    """How the person can log in, and where they are a member.

    Raises:
        Problem: 401, the account is gone.
    """
    flows = accounts_of(request)
    account = await flows.accounts.by_sub(claims.sub)
    if account is None:
        raise unauthorized("token_revoked")
    logins = await flows.identities.list_identities(claims.sub)
    places = await flows.orgs.places(claims.sub)
    return {
        "has_password": bool(account.password_hash),
        "providers": sorted({login.provider for login in logins}),
        "orgs": [
            {"org": place.org.org, "name": place.org.name, "roles": list(place.roles)}
            for place in places
        ],
    }
