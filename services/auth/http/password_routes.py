"""``/auth/password``: forget it, set it anew, change it; and the login with one. Only with accounts."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from services.auth.domain.link import LinkSpent, TooManyRequests
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.password import MAX_BYTES
from services.auth.domain.password_use import (
    CurrentMissing,
    InvalidCredentials,
    NobodyAnyMore,
    PasswordChange,
    PasswordLogin,
    PasswordRefused,
    SignInAgain,
)
from services.auth.domain.session import FIRST_PARTY
from services.auth.flows.typed import Typist
from services.auth.http.answers import session_answer
from services.auth.http.asking import (
    AskBody,
    Asker,
    ClientBody,
    ProofBody,
    browser_of,
    describe_client,
    read_ask,
    too_many_requests,
)
from services.auth.http.bodies import Body, read_body
from services.auth.http.clients import read_client_id
from services.auth.http.context import accounts_of, context_of
from services.auth.http.cookies import clear_session, read_browser
from services.auth.http.pacing import FLOOR_SECONDS, HASHED_SECONDS, paced
from services.auth.http.policy import reauthentication_required
from services.auth.http.problems import Problem, problem_response
from services.auth.http.reading import (
    read_client,
    read_credentials,
    require_same_site,
    require_signed_in,
    unauthorized,
)


class LoginBody(AskBody):
    """POST /auth/login where there are accounts: without a *password* it asks for a link."""

    password: Annotated[str | None, Field(repr=False)] = None
    cookies: bool = False


class ResetBody(ProofBody):
    """POST /auth/password/reset."""

    password: Annotated[str, Field(repr=False)]
    client: ClientBody | None = None


class ChangeBody(Body):
    """PUT /auth/password."""

    password: Annotated[str, Field(repr=False)]
    current_password: Annotated[str | None, Field(repr=False)] = None


async def log_in(request: web.Request, asker: Asker, body: LoginBody) -> web.Response:
    """POST /auth/login with a password: tokens as for a link, or one 401 for every reason."""
    if body.password is None or (asker.client_id and body.cookies):
        raise Problem(400, "invalid_request", members={"fields": ["cookies"]})
    require_same_site(request, always=body.cookies)
    ask = asker.ask
    login = PasswordLogin(
        email=ask.email,
        password=body.password,
        client=ask.client,
        browser=ask.browser,
        next=ask.next,
        client_id=asker.client_id or FIRST_PARTY,
        cookies=body.cookies,
    )
    result = await paced(request, accounts_of(request).passwords.log_in(login), HASHED_SECONDS)
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result)
    if isinstance(result, InvalidCredentials):
        return asker.remember(request, problem_response(request, invalid_credentials(401)))
    if body.cookies:
        await context_of(request).sessions.end_replaced(read_credentials(request))
    return asker.remember(request, _opened(request, result, cookies=body.cookies))


async def forgot(request: web.Request) -> web.Response:
    """POST /auth/password/forgot: 202 for every address."""
    asker, _ = await read_ask(request, AskBody)
    flow = accounts_of(request).resetting
    return asker.answer(request, await paced(request, flow.forgot(asker.ask), FLOOR_SECONDS))


async def reset(request: web.Request) -> web.Response:
    """POST /auth/password/reset: 204, and every session of the person is over; no session is opened."""
    client_id = read_client_id(request, context_of(request).clients)
    body = await read_body(request, ResetBody)
    require_same_site(request)
    client = describe_client(request, client_id, body.client)
    typist = Typist(client, browser_of(request, client_id, body.client))
    result = await accounts_of(request).resetting.reset(body.proof(), body.password, typist)
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result)
    if isinstance(result, PasswordRefused):
        raise Problem(400, result.code)
    if isinstance(result, LinkSpent):
        raise Problem(410, "link_spent")
    return web.Response(status=204)


async def change(request: web.Request) -> web.Response:
    """PUT /auth/password: a new session, answered in kind; all others are over.

    The current password is needed where there is one; where there is none, a sign-in of the last ten minutes.
    """
    body = await read_body(request, ChangeBody)
    require_same_site(request)
    claims, by_cookie = require_signed_in(request).claims, read_credentials(request).by_cookie
    asked = PasswordChange(
        password=body.password,
        current=body.current_password,
        client=read_client(request),
        browser=read_browser(request),
        cookies=by_cookie,
    )
    result = await accounts_of(request).passwords.change(claims, asked)
    if isinstance(result, SessionOpened):
        return _opened(request, result, cookies=by_cookie)
    if isinstance(result, NobodyAnyMore):
        response = problem_response(request, unauthorized("token_revoked"))
        clear_session(request, response)
        return response
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result)
    raise _not_changed(result)


async def rules(request: web.Request) -> web.Response:
    """GET /auth/password/rules: what a new password may be, for whoever draws a form."""
    least = accounts_of(request).passwords.rules.least
    return web.json_response({"min_characters": least, "max_bytes": MAX_BYTES})


def invalid_credentials(status: int) -> Problem:
    """One answer, whatever is wrong; 401 where nobody is signed in, 403 where somebody is."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Problem(status, "invalid_credentials", headers=headers)


def _not_changed(
    result: InvalidCredentials | PasswordRefused | CurrentMissing | SignInAgain,
) -> Problem:
    if isinstance(result, PasswordRefused):
        return Problem(400, result.code)
    if isinstance(result, CurrentMissing):
        return Problem(400, "invalid_request", members={"fields": ["current_password"]})
    if isinstance(result, SignInAgain):
        return reauthentication_required()
    return invalid_credentials(403)


def _opened(request: web.Request, opened: SessionOpened, *, cookies: bool) -> web.Response:
    extra = {"next": opened.next} if opened.next else {}
    return session_answer(request, opened.tokens, cookies=cookies, extra=extra)


ROUTES = (
    web.post("/auth/password/forgot", forgot),
    web.post("/auth/password/reset", reset),
    web.put("/auth/password", change),
    web.get("/auth/password/rules", rules),
)
