"""The pages of accounts that need nobody to be signed in: register, forget a password, and what is sent.

Each is the same for every address: what is shown depends on what this browser has asked for, never on who has
an account. `services.auth.http.page_account_actions` has the forms' own routes.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from aiohttp import web

from services.auth.domain.link import Attempt
from services.auth.http import pages
from services.auth.http.context import accounts_of, context_of
from services.auth.http.cookies import read_browser
from services.auth.http.page_context import Browser, show
from services.auth.http.page_log_in import NOBODY, logged_in
from services.auth.http.pages import login_url, read_login_id, read_next
from services.auth.pages import account_views, messages, org_views, views
from services.auth.pages.account_views import At, ProviderLogin

REGISTER_SENT = "/auth/register/sent"
JOIN = "/auth/account/join"
FORGOT_SENT = "/auth/password/forgot/sent"

# Pages that only say something; forms lead to them.
MESSAGES: Mapping[str, messages.Message] = {
    "/auth/password/set": account_views.PasswordSet(),
    "/auth/deleted": account_views.AccountDeleted(),
}


async def log_in(request: web.Request) -> web.Response:
    """``GET /auth/login?next=``: password, link and providers."""
    next_ = read_next(request)
    return show_log_in(request, next_=next_, already=logged_in(request, next_))


def show_log_in(
    request: web.Request,
    *,
    next_: str,
    email: str = "",
    problem: str = "",
    at: At = "email",
    already: views.LoggedIn = NOBODY,
) -> web.Response:
    """The form; 422 with a *problem*."""
    browser = Browser(request)
    view = account_views.LogInAnyWay(
        form_token=browser.form_token("login"),
        next=next_,
        email=email,
        problem=problem,
        logged_in=already,
        at=at,
        register=_with_next("/auth/register", next_),
        providers=provider_logins(request, next_),
    )
    return browser.show_form(view, problem, login_url(next_))


async def register(request: web.Request) -> web.Response:
    """``GET /auth/register?next=``."""
    return show_register(request, next_=read_next(request))


def show_register(
    request: web.Request, *, next_: str, email: str = "", problem: str = "", at: At = "email"
) -> web.Response:
    """The form; 422 with a *problem*."""
    browser = Browser(request)
    view = account_views.Register(
        form_token=browser.form_token("register"),
        least=least_of(request),
        next=next_,
        email=email,
        problem=problem,
        at=at,
        log_in=login_url(next_),
        providers=provider_logins(request, next_),
    )
    return browser.show_form(view, problem, _with_next("/auth/register", next_))


async def register_sent(request: web.Request) -> web.Response:
    """``GET /auth/register/sent?id=``."""
    return await show_register_sent(request, read_login_id(request.query.get("id", "")))


async def show_register_sent(
    request: web.Request, login_id: str, *, problem: str = ""
) -> web.Response:
    """The page with the code field, whatever kind of mail it was."""
    browser = Browser(request)
    attempt = await asked_here(request, login_id)
    view = account_views.RegisterSent(
        form_token=browser.form_token("register-code"),
        again_token=browser.form_token("register-again"),
        login_id=login_id,
        email=attempt.email if attempt else "",
        start_again=_with_next("/auth/register", attempt.next if attempt else ""),
        problem=problem,
    )
    return browser.show_form(view, problem, f"{REGISTER_SENT}?id={login_id}")


async def forgot(request: web.Request) -> web.Response:
    """``GET /auth/password/forgot``."""
    return show_forgot(request)


def show_forgot(request: web.Request, *, email: str = "", problem: str = "") -> web.Response:
    """The form; 422 with a *problem*."""
    browser = Browser(request)
    view = account_views.Forgot(browser.form_token("forgot"), email, problem)
    return browser.show_form(view, problem, "/auth/password/forgot")


async def forgot_sent(request: web.Request) -> web.Response:
    """``GET /auth/password/forgot/sent?id=``."""
    return await show_forgot_sent(request, read_login_id(request.query.get("id", "")))


async def show_forgot_sent(
    request: web.Request, login_id: str, *, problem: str = "", at: At = "code"
) -> web.Response:
    """The page with the code and a new password."""
    browser = Browser(request)
    attempt = await asked_here(request, login_id)
    view = account_views.ForgotSent(
        form_token=browser.form_token("reset-code"),
        again_token=browser.form_token("forgot"),
        login_id=login_id,
        least=least_of(request),
        email=attempt.email if attempt else "",
        problem=problem,
        at=at,
    )
    return browser.show_form(view, problem, f"{FORGOT_SENT}?id={login_id}")


async def open_link(request: web.Request) -> web.Response:
    """``GET /auth/link?id=#token``: as `pages.open_link`; where a code sets a password, that is asked for too.

    What a mail is for shows nothing of who has an account: it is the same for every address that was typed
    into the same form, but for a registration, which looks like a login here. An invitation has no code.
    """
    login_id = read_login_id(request.query.get("id", ""))
    attempt = await context_of(request).links.attempts.find(login_id) if login_id else None
    browser = Browser(request)
    tokens = browser.form_token("inspect"), browser.form_token("code")
    if attempt is not None and attempt.purpose == "invitation":
        join = f"{JOIN}?id={login_id}"
        return browser.show(org_views.OpenInvitation(*tokens, login_id, join=join))
    if attempt is None or attempt.purpose != "reset_password":
        return pages.show_open_link(request, await pages.offer_of(request, attempt))
    reset_token, least = browser.form_token("reset-code"), least_of(request)
    view = account_views.OpenResetLink(*tokens, login_id, reset_token=reset_token, least=least)
    return browser.show(view)


async def say(request: web.Request) -> web.Response:
    """The pages of `MESSAGES`."""
    return show(request, MESSAGES[request.path])


async def asked_here(request: web.Request, login_id: str) -> Attempt | None:
    """The attempt, for the browser that asked for it only."""
    attempt = await context_of(request).links.attempts.find(login_id) if login_id else None
    return attempt if attempt and attempt.browser == read_browser(request) != "" else None


def least_of(request: web.Request) -> int:
    """The fewest characters of a new password."""
    return accounts_of(request).passwords.rules.least


def provider_logins(request: web.Request, next_: str) -> tuple[ProviderLogin, ...]:
    """A button for each provider."""
    return tuple(
        ProviderLogin(choice.name, choice.title, _with_next(f"/auth/oauth/{choice.name}", next_))
        for choice in accounts_of(request).social.choices()
    )


def _with_next(path: str, next_: str) -> str:
    return f"{path}?{urlencode({'next': next_})}" if next_ else path
