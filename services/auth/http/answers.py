"""The JSON answer that carries a session: in the body, or in cookies and then not in the body."""

from collections.abc import Mapping

from aiohttp import web

from services.auth.domain.outcomes import Tokens
from services.auth.http.cookies import set_session


def session_answer(
    request: web.Request,
    tokens: Tokens,
    *,
    cookies: bool,
    extra: Mapping[str, object] | None = None,
) -> web.Response:
    """RFC 6749 §5.1; with *cookies* the tokens are set as cookies and left out of the body."""
    body: dict[str, object] = {"token_type": "Bearer", "expires_in": tokens.expires_in}
    if not cookies:
        body |= {"access_token": tokens.access, "refresh_token": tokens.refresh}
    response = web.json_response({**body, **(extra or {})})
    if cookies:
        set_session(request, response, tokens)
    return response
