"""``/auth/login`` and ``/auth/link``: ask for a link, look at it, cancel it, exchange it."""

from dataclasses import asdict
from typing import Annotated, TypedDict

from aiohttp import web
from pydantic import Field

from services.auth.domain.link import (
    AlreadySignedIn,
    LinkSpent,
    LinkView,
    TooManyRequests,
    WrongPassword,
)
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.session import FIRST_PARTY
from services.auth.flows.invitation import Invited
from services.auth.http.answers import session_answer
from services.auth.http.asking import (
    AskBody,
    ClientBody,
    ProofBody,
    browser_of,
    describe_client,
    read_ask,
    too_many_requests,
)
from services.auth.http.asking import read_email as read_email
from services.auth.http.bodies import Body, read_body
from services.auth.http.clients import read_client_id
from services.auth.http.context import context_of
from services.auth.http.pacing import ask_for_link
from services.auth.http.password_routes import LoginBody, invalid_credentials, log_in
from services.auth.http.problems import Problem
from services.auth.http.reading import read_credentials, require_same_site


class TokenBody(Body):
    """POST /auth/link/cancel."""

    token: Annotated[str, Field(max_length=256)]


class InspectBody(TokenBody):
    """POST /auth/link/inspect. *client*: whose browser it is in, for `same_browser`."""

    client: ClientBody | None = None


class ExchangeBody(ProofBody):
    """POST /auth/link."""

    cookies: bool = False
    client: ClientBody | None = None


class AccountExchangeBody(ExchangeBody):
    """The same with accounts. *password*: that of a registration, where this is not its browser.

    *link_login*: add the login that `inspect_link` names as ``offered_login``. The person has to be asked.
    """

    password: Annotated[str | None, Field(repr=False)] = None
    link_login: bool = False


async def request_link(request: web.Request) -> web.Response:
    """POST /auth/login: 202 for every address, 429 when the network asks too often.

    With a password, where there are accounts, it is `password_routes.log_in`.
    """
    if context_of(request).accounts is not None:
        asker, body = await read_ask(request, LoginBody)
        if body.password is not None or body.cookies:
            return await log_in(request, asker, body)
    else:
        asker, _ = await read_ask(request, AskBody)
    return asker.answer(request, await ask_for_link(request, asker.ask))


async def inspect_link(request: web.Request) -> web.Response:
    """POST /auth/link/inspect: who asked, from where, when. Consumes nothing."""
    context = context_of(request)
    client_id = read_client_id(request, context.clients)
    body = await read_body(request, InspectBody)
    require_same_site(request)
    describe_client(request, client_id, body.client)
    browser = browser_of(request, client_id, body.client)
    accounts = context.accounts
    if accounts is not None and (invited := await accounts.invitations.inspect(body.token)):
        return web.json_response(_invited(invited))
    held = await context.sessions.held_sessions(read_credentials(request))
    view = await context.links.inspect_link(body.token, browser=browser, held=held)
    if view is None or (isinstance(view, LinkView) and view.purpose == "invitation"):
        raise link_spent()
    if isinstance(view, AlreadySignedIn):
        return web.json_response({"already_signed_in": True, "next": view.next})
    return web.json_response(_view(view))


async def cancel_link(request: web.Request) -> web.Response:
    """POST /auth/link/cancel: 204, whatever the token was."""
    context = context_of(request)
    read_client_id(request, context.clients)
    body = await read_body(request, TokenBody)
    require_same_site(request)
    await context.links.cancel_link(body.token)
    return web.Response(status=204)


async def exchange_link(request: web.Request) -> web.Response:
    """POST /auth/link: a session for a link or a code, once. Without cookies:true the proof is enough."""
    context = context_of(request)
    client_id = read_client_id(request, context.clients)
    model = AccountExchangeBody if context.accounts else ExchangeBody
    body = await read_body(request, model)
    if client_id and body.cookies:  # its session is renewed with its secret, which no browser has
        raise Problem(400, "invalid_request", members={"fields": ["cookies"]})
    require_same_site(request, always=body.cookies)
    credentials = read_credentials(request)
    held = await context.sessions.held_sessions(credentials)
    result = await context.links.exchange_link(
        body.proof(),
        client=describe_client(request, client_id, body.client),
        browser=browser_of(request, client_id, body.client),
        held=held,
        cookies=body.cookies,
        client_id=client_id or FIRST_PARTY,
        **_of_account(body),
    )
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result)
    if isinstance(result, WrongPassword):
        raise invalid_credentials(401)
    if isinstance(result, LinkSpent):
        raise link_spent()
    if isinstance(result, AlreadySignedIn):
        return web.json_response({"already_signed_in": True, "next": result.next})
    if body.cookies:
        await context.sessions.end_replaced(credentials)
    return _opened(request, result, cookies=body.cookies)


def link_spent() -> Problem:
    """One answer for a link or code that opens nothing, whatever the reason."""
    return Problem(410, "link_spent")


def _opened(request: web.Request, opened: SessionOpened, *, cookies: bool) -> web.Response:
    extra = {"next": opened.next} if opened.next else {}
    return session_answer(request, opened.tokens, cookies=cookies, extra=extra)


class _OfAccount(TypedDict):
    password: str | None
    link_login: bool


def _of_account(body: ExchangeBody) -> _OfAccount:
    if isinstance(body, AccountExchangeBody):
        return {"password": body.password, "link_login": body.link_login}
    return {"password": None, "link_login": False}


def _view(view: LinkView) -> dict[str, object]:
    seen: dict[str, object] = {
        "login_id": view.login_id,
        "email": view.email,
        "purpose": view.purpose,
        "requested_at": view.requested_at_ms,
        "expires_at": view.expires_at_ms,
        "client": {"network": view.client.network, "user_agent": view.client.user_agent},
        "same_browser": view.same_browser,
        "next": view.next,
    }
    return seen | ({"offered_login": asdict(view.offered)} if view.offered else {})


def _invited(invited: Invited) -> dict[str, object]:
    """Its row says more than the attempt behind the mail, and it alone decides."""
    offer = invited.invitation
    return {
        "login_id": offer.invitation,
        "email": offer.email,
        "purpose": "invitation",
        "requested_at": offer.created_at_ms,
        "expires_at": offer.expires_at_ms,
        "org_name": invited.org.name,
        "roles": list(invited.roles),
    }


ROUTES = (
    web.post("/auth/login", request_link),
    web.post("/auth/link", exchange_link),
    web.post("/auth/link/inspect", inspect_link),
    web.post("/auth/link/cancel", cancel_link),
)
