"""The account page where accounts are on, and what hangs on it: the password, and the end of the account."""

from aiohttp import web

from latchwire.claims import Claims
from services.auth.domain.link import TooManyRequests
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.password_use import (
    CurrentMissing,
    InvalidCredentials,
    NobodyAnyMore,
    PasswordChange,
    PasswordRefused,
    SignInAgain,
)
from services.auth.http.context import accounts_of, context_of
from services.auth.http.cookies import clear_session, read_browser, set_session
from services.auth.http.page_accounts import least_of, provider_logins
from services.auth.http.page_context import Browser, see_other, show
from services.auth.http.page_errors import Elsewhere, Refused, too_many_requests, untold_is
from services.auth.http.page_forms import read_form
from services.auth.http.page_orgs import ORGS
from services.auth.http.page_renewing import acting_person
from services.auth.http.pages import ACCOUNT, continue_url, login_url, require_person, session_rows
from services.auth.http.policy import FRESH_SECONDS
from services.auth.http.reading import read_client
from services.auth.pages import account_views
from services.auth.pages.account_phrases import NOT_YOURS, password_problem
from services.auth.pages.account_views import At
from services.auth.pages.messages import WayOn
from services.auth.ports.deletions import SoleOwner

PASSWORD = f"{ACCOUNT}/password"
DELETE = f"{ACCOUNT}/delete"


async def account(request: web.Request) -> web.Response:
    """``GET /auth/account``: who am I, how do I log in, where am I signed in."""
    person, browser, flows = (
        require_person(request, ACCOUNT),
        Browser(request),
        accounts_of(request),
    )
    stored = await flows.accounts.by_sub(person.sub)
    if stored is None:
        raise Elsewhere(continue_url(ACCOUNT))
    logins = await flows.identities.list_identities(person.sub)
    linked = {login.provider for login in logins}
    place = await flows.orgs.place(person.org, person.sub) if person.org else None
    view = account_views.AccountWithWays(
        logout_token=browser.form_token("logout"),
        sessions_token=browser.form_token("sessions"),
        email=person.email,
        sessions=await session_rows(request, person),
        unlink_token=browser.form_token("unlink"),
        link_token=browser.form_token("link-login"),
        active_org=place.org.name if place else "",
        has_password=bool(stored.password_hash),
        logins=tuple(account_views.LinkedLogin(row.handle, row.title, row.email) for row in logins),
        offers=tuple(o for o in provider_logins(request, "") if o.name not in linked),
    )
    return browser.show(view)


async def password(request: web.Request) -> web.Response:
    """``GET /auth/account/password``."""
    return await show_password(request, require_person(request, PASSWORD))


async def show_password(
    request: web.Request, person: Claims, *, problem: str = "", at: At = "new_password"
) -> web.Response:
    """The form; 422 with a *problem*. A first password needs a login of the last minutes."""
    stored = await accounts_of(request).accounts.by_sub(person.sub)
    if stored is None:
        raise Elsewhere(continue_url(PASSWORD))
    if not stored.password_hash:
        require_fresh(request, person, PASSWORD)
    browser = Browser(request)
    view = account_views.ChangePassword(
        form_token=browser.form_token("password"),
        email=stored.email,
        least=least_of(request),
        has_password=bool(stored.password_hash),
        problem=problem,
        at="password" if stored.password_hash and not problem else at,
    )
    return browser.show_form(view, problem, PASSWORD)


async def change_password(request: web.Request) -> web.Response:
    """Save the new password: this browser goes on with a new session, every other one is out."""
    fields = await read_form(request, "password")
    person = await acting_person(request, PASSWORD)
    change = PasswordChange(
        password=fields["new_password"],
        current=fields["password"] or None,
        client=read_client(request),
        browser=read_browser(request),
        cookies=True,
    )
    with untold_is(account_views.PasswordUntold()):
        result = await accounts_of(request).passwords.change(person, change)
    if isinstance(result, SessionOpened):
        response = see_other(request, ACCOUNT)
        set_session(request, response, result.tokens)
        return response
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result.retry_after)
    if isinstance(result, NobodyAnyMore):
        raise Elsewhere(continue_url(PASSWORD))
    if isinstance(result, SignInAgain):
        raise _log_in_again(PASSWORD)
    if isinstance(result, PasswordRefused):
        problem = password_problem(result.code, least_of(request))
        return await show_password(request, person, problem=problem)
    assert isinstance(result, CurrentMissing | InvalidCredentials)
    return await show_password(request, person, problem=NOT_YOURS, at="password")


async def delete(request: web.Request) -> web.Response:
    """``GET /auth/account/delete``: what it means, once it is clear who is asking."""
    person = require_person(request, DELETE)
    require_fresh(request, person, DELETE)
    browser = Browser(request)
    return browser.show(account_views.DeleteAccount(browser.form_token("delete"), person.email))


async def delete_now(request: web.Request) -> web.Response:
    """The button "Delete my account"."""
    await read_form(request, "delete")
    person = await acting_person(request, DELETE)
    require_fresh(request, person, DELETE)
    try:
        with untold_is(account_views.DeletedUntold()):
            result = await accounts_of(request).deletion.delete(
                person.sub, person.email, read_client(request)
            )
    except Refused as refused:
        response = show(request, refused.view)
    else:
        if isinstance(result, SoleOwner):
            names = tuple(name for _, name in result.organisations)
            return show(request, account_views.NotDeleted(ORGS, names))
        response = see_other(request, "/auth/deleted")
    clear_session(request, response)
    return response


def require_fresh(request: web.Request, person: Claims, back: str) -> None:
    """Raises: Refused: the login was too long ago; the page leads to a new one and on to *back*."""
    age = context_of(request).clock.now_ms() // 1000 - person.auth_time
    if age > FRESH_SECONDS:
        raise _log_in_again(back)


def _log_in_again(back: str) -> Refused:
    return Refused(
        account_views.LogInAgain(way_on=WayOn("Log in again", login_url(back, again=True)))
    )
