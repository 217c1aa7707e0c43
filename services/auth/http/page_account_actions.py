"""The forms of `services.auth.http.page_accounts`: password login, registration, a forgotten password."""

from collections.abc import Mapping

from aiohttp import web

from services.auth.domain.link import (
    CodeProof,
    LinkAsk,
    LinkSpent,
    Proof,
    TokenProof,
    TooManyRequests,
    WrongPassword,
)
from services.auth.domain.password_use import (
    InvalidCredentials,
    PasswordLogin,
    PasswordRefused,
    PasswordSet,
)
from services.auth.flows.typed import Typist
from services.auth.http.context import accounts_of, context_of
from services.auth.http.cookies import read_browser
from services.auth.http.pacing import FLOOR_SECONDS, HASHED_SECONDS, paced
from services.auth.http.page_accounts import (
    FORGOT_SENT,
    REGISTER_SENT,
    asked_here,
    least_of,
    show_forgot,
    show_forgot_sent,
    show_log_in,
    show_register,
    show_register_sent,
)
from services.auth.http.page_context import see_other, show
from services.auth.http.page_entering import NO_ADDRESS, WRONG_CODE, ask_about, exchange, go_on
from services.auth.http.page_errors import too_many_requests, untold_is
from services.auth.http.page_forms import read_form
from services.auth.http.pages import read_login_id
from services.auth.http.reading import read_client
from services.auth.pages import account_views
from services.auth.pages.account_phrases import NO_PASSWORD, WRONG_PASSWORD, password_problem
from shared.emails import InvalidEmailError, canonical_email


async def log_in(request: web.Request, email: str, next_: str, password: str) -> web.Response:
    """The button "Log in" of the login page. One answer for whatever was wrong."""
    if not password:
        return show_log_in(request, next_=next_, email=email, problem=NO_PASSWORD, at="password")
    login = PasswordLogin(
        email=email,
        password=password,
        client=read_client(request),
        browser=read_browser(request),
        next=next_,
        cookies=True,
    )
    flow = accounts_of(request).passwords
    result = await paced(request, flow.log_in(login), HASHED_SECONDS)
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result.retry_after)
    if isinstance(result, InvalidCredentials):
        return show_log_in(request, next_=next_, email=email, problem=WRONG_PASSWORD, at="password")
    return await go_on(request, result)


async def register(request: web.Request) -> web.Response:
    """Ask for an account; the same answer for every address."""
    fields = await read_form(request, "register")
    next_ = context_of(request).return_address(fields["next"]) or ""
    try:
        email = canonical_email(fields["email"])
    except InvalidEmailError:
        return show_register(request, next_=next_, email=fields["email"], problem=NO_ADDRESS)
    flow = accounts_of(request).registering
    work = flow.register(_ask(request, email, next_), fields["password"])
    result = await paced(request, work, HASHED_SECONDS)
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result.retry_after)
    if isinstance(result, PasswordRefused):
        problem = password_problem(result.code, least_of(request))
        return show_register(request, next_=next_, email=email, problem=problem, at="password")
    return see_other(request, f"{REGISTER_SENT}?id={result.login_id}")


async def register_again(request: web.Request) -> web.Response:
    """Send that mail again, for the browser that asked for it."""
    fields = await read_form(request, "register-again")
    attempt = await asked_here(request, read_login_id(fields["login_id"]))
    if attempt is None:
        return see_other(request, "/auth/register")
    ask = _ask(request, attempt.email, attempt.next)
    flow = accounts_of(request).registering
    result = await paced(request, flow.resend(ask, attempt.login_id), HASHED_SECONDS)
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result.retry_after)
    return see_other(request, f"{REGISTER_SENT}?id={result.login_id}")


async def register_code(request: web.Request) -> web.Response:
    """The code of that mail, whether it proves an address or signs in."""
    fields = await read_form(request, "register-code")
    login_id = read_login_id(fields["login_id"])
    result = await exchange(request, CodeProof(login_id, fields["code"]))
    if isinstance(result, LinkSpent | WrongPassword):
        return await show_register_sent(request, login_id, problem=WRONG_CODE)
    return await go_on(request, result)


async def forgot(request: web.Request) -> web.Response:
    """Ask for a message that lets one set a new password; the same answer for every address."""
    fields = await read_form(request, "forgot")
    try:
        email = canonical_email(fields["email"])
    except InvalidEmailError:
        return show_forgot(request, email=fields["email"], problem=NO_ADDRESS)
    flow = accounts_of(request).resetting
    result = await paced(request, flow.forgot(_ask(request, email, "")), FLOOR_SECONDS)
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result.retry_after)
    return see_other(request, f"{FORGOT_SENT}?id={result.login_id}")


async def reset_by_code(request: web.Request) -> web.Response:
    """A new password, with the code of the mail."""
    fields = await read_form(request, "reset-code")
    login_id = read_login_id(fields["login_id"])
    result = await _reset(request, CodeProof(login_id, fields["code"]), fields)
    if isinstance(result, LinkSpent):
        return await show_forgot_sent(request, login_id, problem=WRONG_CODE)
    if isinstance(result, PasswordRefused):
        problem = password_problem(result.code, least_of(request))
        return await show_forgot_sent(request, login_id, problem=problem, at="new_password")
    return see_other(request, "/auth/password/set")


async def reset(request: web.Request) -> web.Response:
    """A new password, behind the link of the mail."""
    fields = await read_form(request, "reset")
    result = await _reset(request, TokenProof(fields["token"]), fields)
    if isinstance(result, PasswordRefused):
        problem = password_problem(result.code, least_of(request))
        return await ask_about(request, fields["token"], problem=problem)
    if isinstance(result, LinkSpent):
        return show(request, account_views.ResetSpent())
    return see_other(request, "/auth/password/set")


async def _reset(
    request: web.Request, proof: Proof, fields: Mapping[str, str]
) -> PasswordSet | LinkSpent | PasswordRefused:
    typist = Typist(read_client(request), read_browser(request))
    with untold_is(account_views.ResetUntold()):
        flow = accounts_of(request).resetting
        result = await flow.reset(proof, fields["new_password"], typist)
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result.retry_after)
    return result


def _ask(request: web.Request, email: str, next_: str) -> LinkAsk:
    return LinkAsk(email, read_client(request), browser=read_browser(request), next=next_)
