"""What several forms share: what a link asks first; a link or code becomes a session, and one goes on."""

from aiohttp import web

from services.auth.domain.link import (
    AlreadySignedIn,
    LinkSpent,
    LinkView,
    Proof,
    TooManyRequests,
    WrongPassword,
)
from services.auth.domain.outcomes import SessionOpened
from services.auth.http.context import context_of
from services.auth.http.cookies import read_browser, set_session
from services.auth.http.page_accounts import least_of
from services.auth.http.page_context import Browser, now_ms, see_other, show, somebody_else
from services.auth.http.page_errors import too_many_requests
from services.auth.http.page_invitations import ask_to_join
from services.auth.http.pages import ACCOUNT
from services.auth.http.reading import read_client, read_credentials
from services.auth.pages import View, account_views, messages, phrases, views

NO_ADDRESS = "That is not an address we can send a message to."
WRONG_CODE = "That code does not work. Check it, or open the link in the mail."


async def exchange(
    request: web.Request, proof: Proof, *, password: str | None = None, link_login: bool = False
) -> SessionOpened | AlreadySignedIn | LinkSpent | WrongPassword:
    """Consume the link or code; *password* is one that was chosen in another browser.

    *link_login*: the button said that the login at a provider, which the page named, shall be added.
    """
    context = context_of(request)
    result = await context.links.exchange_link(
        proof,
        client=read_client(request),
        browser=read_browser(request),
        held=await context.sessions.held_sessions(read_credentials(request)),
        cookies=True,
        password=password,
        link_login=link_login,
    )
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result.retry_after)
    return result


async def go_on(request: web.Request, result: SessionOpened | AlreadySignedIn) -> web.Response:
    """To where the person wanted, with the cookies of the new session."""
    response = see_other(request, _target(request, result))
    if isinstance(result, SessionOpened):
        await context_of(request).sessions.end_replaced(read_credentials(request))
        set_session(request, response, result.tokens)
    return response


def _target(request: web.Request, result: SessionOpened | AlreadySignedIn) -> str:
    """Where they wanted to go, if that is still ours: a host may have left the catalogue since they asked."""
    return context_of(request).return_address(result.next) or ACCOUNT


async def ask_about(request: web.Request, token: str, *, problem: str = "") -> web.Response:
    """The page that says what the link of *token* would do; consumes nothing. 422 with a *problem*."""
    context = context_of(request)
    if context.accounts is not None:
        invited = await context.accounts.invitations.inspect(token)
        if invited is not None:
            return ask_to_join(request, invited, token)
    held = await context.sessions.held_sessions(read_credentials(request))
    seen = await context.links.inspect_link(token, browser=read_browser(request), held=held)
    if seen is None or (isinstance(seen, LinkView) and seen.purpose == "invitation"):
        return show(request, messages.LinkSpent())
    if isinstance(seen, AlreadySignedIn):
        return see_other(request, _target(request, seen))
    browser = Browser(request)
    view = _question(request, browser, seen, token, problem)
    return browser.show_form(view, problem, f"/auth/link?id={seen.login_id}")


def _question(
    request: web.Request, browser: Browser, seen: LinkView, token: str, problem: str
) -> View:
    origin = phrases.origin(seen.requested_at_ms, now_ms(request), seen.client)
    if seen.purpose == "notice":
        return views.EndThatSession(browser.form_token("notice"), token, seen.email, origin)
    tokens = browser.form_token("link"), browser.form_token("cancel")
    if seen.purpose == "reset_password":
        origin = "" if seen.same_browser else origin
        return account_views.ResetPassword(
            browser.form_token("reset"),
            tokens[1],
            token,
            seen.email,
            least_of(request),
            origin,
            problem,
        )
    instead_of = somebody_else(request, seen.email)
    if seen.purpose == "verify_email" and seen.same_browser:
        return account_views.VerifyHere(*tokens, token, seen.email, instead_of)
    if seen.purpose == "verify_email":
        return account_views.VerifyElsewhere(
            *tokens, token, seen.email, origin, instead_of, problem
        )
    if seen.same_browser:
        offer = seen.offered.title if seen.offered else ""
        return views.Confirm(*tokens, token, seen.email, instead_of, offer)
    return views.WasThisYou(*tokens, token, seen.email, origin, instead_of)
