"""What the pages' forms do: each a route of its own, 303 to a page when it is done."""

import structlog
from aiohttp import web

from services.auth.domain.link import CodeProof, LinkAsk, LinkSpent, TokenProof, TooManyRequests
from services.auth.domain.link import WrongPassword as WrongChoice
from services.auth.domain.outcomes import NotSignedIn
from services.auth.http import page_account_actions
from services.auth.http.context import context_of
from services.auth.http.cookies import clear_session, read_browser
from services.auth.http.pacing import ask_for_link
from services.auth.http.page_accounts import show_log_in
from services.auth.http.page_context import Browser, see_other, show
from services.auth.http.page_entering import NO_ADDRESS, WRONG_CODE, ask_about, exchange, go_on
from services.auth.http.page_errors import too_many_requests
from services.auth.http.page_forms import is_same_origin, read_form
from services.auth.http.pages import (
    ACCOUNT,
    continue_url,
    login_url,
    read_login_id,
    show_check_mail,
)
from services.auth.http.reading import read_client, read_credentials, read_every_credential
from services.auth.pages import messages, views
from services.auth.pages.account_phrases import NOT_THE_CHOSEN, TYPE_THE_CHOSEN
from services.auth.ports import BusUnavailableError, NotAnnouncedError, StoreUnavailableError
from shared.emails import InvalidEmailError, canonical_email

log = structlog.get_logger()

EVERYWHERE = "all"
ADD = "add"  # the button that adds the login a page has named


async def login(request: web.Request) -> web.Response:
    """Ask for a link; the same answer for every address."""
    fields = await read_form(request, "login")
    next_ = context_of(request).return_address(fields["next"]) or ""
    try:
        email = canonical_email(fields["email"])
    except InvalidEmailError:
        return _login_again(request, fields["email"], next_)
    if fields["way"] == "password" and context_of(request).accounts is not None:
        return await page_account_actions.log_in(request, email, next_, fields["password"])
    ask = LinkAsk(email, read_client(request), browser=read_browser(request), next=next_)
    result = await ask_for_link(request, ask)
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result.retry_after)
    return see_other(request, f"/auth/login/sent?id={result.login_id}")


async def code(request: web.Request) -> web.Response:
    """Sign in by the code of a mail."""
    fields = await read_form(request, "code")
    login_id = read_login_id(fields["login_id"])
    adds = fields["login"] == ADD
    result = await exchange(request, CodeProof(login_id, fields["code"]), link_login=adds)
    if isinstance(result, LinkSpent | WrongChoice):
        return await show_check_mail(request, login_id, problem=WRONG_CODE)
    return await go_on(request, result)


async def inspect(request: web.Request) -> web.Response:
    """Show what the link would do; consumes nothing, so that a mail scanner may press on."""
    fields = await read_form(request, "inspect")
    return await ask_about(request, fields["token"])


async def link(request: web.Request) -> web.Response:
    """Consume the link: the click that no scanner makes for a person."""
    fields = await read_form(request, "link")
    chosen = fields["password"] if fields["way"] == "password" else None
    if chosen == "":
        return await ask_about(request, fields["token"], problem=TYPE_THE_CHOSEN)
    result = await exchange(
        request, TokenProof(fields["token"]), password=chosen, link_login=fields["login"] == ADD
    )
    if isinstance(result, WrongChoice):
        return await ask_about(request, fields["token"], problem=NOT_THE_CHOSEN)
    if isinstance(result, LinkSpent):
        return show(request, messages.LinkSpent())
    return await go_on(request, result)


async def cancel(request: web.Request) -> web.Response:
    """Cancel, or "This was not me"."""
    fields = await read_form(request, "cancel")
    await context_of(request).links.cancel_link(fields["token"])
    return see_other(request, "/auth/cancelled")


async def notice(request: web.Request) -> web.Response:
    """End the session that a sign-in notice is about."""
    fields = await read_form(request, "notice")
    if await context_of(request).links.end_by_notice(fields["token"]):
        return see_other(request, "/auth/session-ended")
    return show(request, messages.LinkSpent())


async def logout(request: web.Request) -> web.Response:
    """Sign out here; the cookies go even when the fact cannot be written.

    A service behind the gateway may have the button: it has no form token, but an origin that shares the login.
    """
    if not is_same_origin(request, siblings=True):
        await read_form(request, "logout")
    try:
        await context_of(request).sessions.logout(*read_every_credential(request))
    except NotAnnouncedError:
        response = show(request, messages.Untold(messages.SignedOut.title))
    except (BusUnavailableError, StoreUnavailableError) as error:
        log.warning("logout.incomplete", reason=type(error).__name__)
        response = show(request, messages.SignOutUnsure())
    else:
        response = see_other(request, "/auth/signed-out")
    clear_session(request, response)
    return response


async def sessions(request: web.Request) -> web.Response:
    """End one session of the list, or all of them."""
    fields = await read_form(request, "sessions")
    flow = context_of(request).sessions
    signed_in = flow.identify(read_credentials(request))
    if isinstance(signed_in, NotSignedIn):
        return see_other(request, continue_url(ACCOUNT))
    if fields["handle"] != EVERYWHERE:
        await flow.end_session(signed_in.claims, fields["handle"])
        return see_other(request, ACCOUNT)
    try:
        await flow.end_all(signed_in.claims)
    except NotAnnouncedError:
        response = show(request, messages.Untold(messages.SignedOutEverywhere.title))
    else:
        response = see_other(request, "/auth/signed-out-everywhere")
    clear_session(request, response)
    return response


def _login_again(request: web.Request, typed: str, next_: str) -> web.Response:
    if context_of(request).accounts is not None:
        return show_log_in(request, next_=next_, email=typed, problem=NO_ADDRESS)
    browser = Browser(request)
    token = browser.form_token("login")
    view = views.LogIn(token, next=next_, email=typed, problem=NO_ADDRESS)
    return browser.show_form(view, NO_ADDRESS, login_url(next_))
