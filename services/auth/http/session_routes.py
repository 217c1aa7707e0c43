"""Refresh, continue, logout, me, sessions."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from services.auth.domain.outcomes import NotAMember, SessionOver, SessionView
from services.auth.domain.session import FIRST_PARTY
from services.auth.http.answers import session_answer
from services.auth.http.bodies import Body, read_body
from services.auth.http.clients import read_client_id
from services.auth.http.context import context_of
from services.auth.http.cookies import clear_session
from services.auth.http.policy import claims_of
from services.auth.http.prefer import end_and_wait
from services.auth.http.problems import Problem, away, problem_response
from services.auth.http.profile import describe_account
from services.auth.http.reading import (
    read_bound_refresh,
    read_client,
    read_every_credential,
    require_same_site,
    unauthorized,
)
from services.auth.ports import (
    BusUnavailableError,
    NotAnnouncedError,
    StoreUnavailableError,
    Watch,
)


class LogoutBody(Body):
    """POST /auth/logout; without it the cookie speaks."""

    refresh_token: Annotated[str, Field(max_length=512)] = ""


class RefreshBody(LogoutBody):
    """POST /auth/refresh: *org* becomes the active organisation, "" is none; without it nothing changes.

    With cookies only pages of our own origin may name one: others could switch it for every service, and learn
    from 404 or 200 where somebody is a member.
    """

    org: Annotated[str, Field(max_length=64, pattern=r"^[!-~]*$")] | None = None


async def refresh(request: web.Request) -> web.Response:
    """POST /auth/refresh: answers in kind, to the body or to the cookie. 503 never costs the cookies."""
    context = context_of(request)
    client_id = read_client_id(request, context.clients) or FIRST_PARTY
    model = RefreshBody if context.accounts else LogoutBody
    body = await read_body(request, model, empty_ok=True)
    cookies, org = not body.refresh_token, getattr(body, "org", None)
    if cookies:
        require_same_site(request, siblings=org is None)
    token = body.refresh_token or read_bound_refresh(request)
    if not token:
        raise unauthorized("no_credentials")
    result = await context.sessions.refresh(
        token,
        client=read_client(request),
        cookies=cookies,
        client_id=client_id,
        org=org,
    )
    if isinstance(result, SessionOver):
        return _over(request, result, cookies=cookies)
    if isinstance(result, NotAMember):
        raise Problem(404, "not_found")
    return session_answer(request, result.tokens, cookies=cookies)


async def logout(request: web.Request) -> web.Response:
    """POST or DELETE /auth/logout: 204 once the end is on the stream; 503 clears the cookies as well.

    503 that misses the bus is no failure to the person: the end is stored and will be published.
    """
    read_client_id(request, context_of(request).clients)
    body = await read_body(request, LogoutBody, empty_ok=True)
    require_same_site(request, siblings=True)
    shown = read_every_credential(request, body.refresh_token)

    async def end(watch: Watch) -> None:
        await context_of(request).sessions.logout(*shown, watch=watch)

    try:
        response = await end_and_wait(request, end, otherwise=web.Response(status=204))
    except (BusUnavailableError, StoreUnavailableError) as error:
        response = problem_response(request, away(error))
    clear_session(request, response)
    return response


async def me(request: web.Request) -> web.Response:
    """GET /auth/me: what the access token says; with accounts, what is in the store as well."""
    claims = claims_of(request)
    document: dict[str, object] = {
        "sub": claims.sub,
        "email": claims.email,
        "org": claims.org,
        "roles": list(claims.roles),
        "client_id": claims.client_id,
        "amr": list(claims.amr),
        "auth_time": claims.auth_time,
        "expires_at": claims.exp,
    }
    if context_of(request).accounts is not None:
        document["permissions"] = list(claims.permissions)
        document |= await describe_account(request, claims)
    return web.json_response(document)


async def list_sessions(request: web.Request) -> web.Response:
    """GET /auth/sessions."""
    claims = claims_of(request)
    sessions = await context_of(request).sessions.list_sessions(claims)
    return web.json_response({"sessions": [_session(view) for view in sessions]})


async def end_session(request: web.Request) -> web.Response:
    """DELETE /auth/sessions/{handle}: 204, or 404 when it is none of the person's own."""
    claims = claims_of(request)
    handle = request.match_info["handle"]

    async def end(watch: Watch) -> None:
        if not await context_of(request).sessions.end_session(claims, handle, watch=watch):
            raise Problem(404, "not_found")

    return await end_and_wait(request, end, otherwise=web.Response(status=204))


async def end_all(request: web.Request) -> web.Response:
    """DELETE /auth/sessions: sign out everywhere, here included; 503 as for a logout."""
    claims = claims_of(request)

    async def end(watch: Watch) -> None:
        await context_of(request).sessions.end_all(claims, watch=watch)

    try:
        response = await end_and_wait(request, end, otherwise=web.Response(status=204))
    except NotAnnouncedError as error:
        response = problem_response(request, away(error))
    clear_session(request, response)
    return response


def _over(request: web.Request, over: SessionOver, *, cookies: bool) -> web.Response:
    response = problem_response(request, unauthorized(over.code))
    if cookies:
        clear_session(request, response)
    return response


def _session(view: SessionView) -> dict[str, object]:
    return {
        "handle": view.handle,
        "current": view.current,
        "started_at": view.started_at_ms,
        "last_used_at": view.last_used_at_ms,
        "expires_at": view.expires_at_ms,
        "client": {"network": view.client.network, "user_agent": view.client.user_agent},
    }


ROUTES = (
    web.post("/auth/refresh", refresh),
    web.post("/auth/logout", logout),
    web.delete("/auth/logout", logout),
    web.get("/auth/me", me),
    web.get("/auth/sessions", list_sessions),
    web.delete("/auth/sessions", end_all),
    web.delete("/auth/sessions/{handle}", end_session),
)
