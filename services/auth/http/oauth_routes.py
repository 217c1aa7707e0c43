"""``POST /auth/revoke`` (RFC 7009) and ``POST /auth/introspect`` (RFC 7662)."""

from aiohttp import web

from services.auth.domain.introspect import Active
from services.auth.domain.revoke import NotRevocable
from services.auth.domain.session import FIRST_PARTY
from services.auth.http.context import context_of
from services.auth.http.oauth import (
    OAuthError,
    answers_oauth,
    invalid_client,
    read_fields,
    read_requester,
    read_token,
)
from services.auth.http.prefer import end_and_wait
from services.auth.ports import Watch

DESCRIPTIONS = {
    "unsupported_token_type": "This is the token of a link: POST /auth/link/cancel ends that.",
    "invalid_grant": "The token was issued to another client.",
}


@answers_oauth
async def revoke(request: web.Request) -> web.Response:
    """200 once the end of the token's session is on the stream, and for what is no token of ours (§2.2)."""
    fields = await read_fields(request)
    client_id, token = read_requester(request, fields), read_token(fields)

    async def end(watch: Watch) -> None:
        result = await context_of(request).revoking.revoke(token, client_id=client_id, watch=watch)
        if isinstance(result, NotRevocable):
            raise OAuthError(400, result.error, DESCRIPTIONS[result.error])

    return await end_and_wait(request, end, otherwise=web.Response(status=200))


@answers_oauth
async def introspect(request: web.Request) -> web.Response:
    """200 with the token's members, or with nothing but ``"active": false``; 401 for who is no client."""
    fields = await read_fields(request)
    client_id = read_requester(request, fields)
    if client_id == FIRST_PARTY:
        raise invalid_client()
    result = await context_of(request).introspecting.introspect(read_token(fields), client_id)
    told = result.fields if isinstance(result, Active) else {}
    return web.json_response({"active": isinstance(result, Active), **told})


ROUTES = (web.post("/auth/revoke", revoke), web.post("/auth/introspect", introspect))
