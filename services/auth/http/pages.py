"""The pages a person sees: what GET shows. Nothing here consumes a link or begins a session.

`services.auth.http.page_actions` has the forms' own routes.
"""

import re
from urllib.parse import urlencode

from aiohttp import web

from latchwire.claims import Claims
from services.auth.domain.link import Attempt, OfferedLogin
from services.auth.domain.outcomes import SessionView
from services.auth.http.context import context_of
from services.auth.http.cookies import read_browser
from services.auth.http.page_context import PAGES, Browser, now_ms, person_of, show
from services.auth.http.page_errors import Elsewhere
from services.auth.http.problems import Problem
from services.auth.pages import messages, phrases, views
from services.auth.ports import FeedStaleError

ACCOUNT = "/auth/account"
AGAIN = "again"  # of the login form: `services.auth.http.page_log_in`
UNSENT = "unsent"  # they sent a form to a service, where their login had run out: it is lost

# Pages that only say something; forms lead to them.
MESSAGES: dict[str, messages.Message] = {
    "/auth/cancelled": messages.LinkCancelled(),
    "/auth/signed-out": messages.SignedOut(),
    "/auth/signed-out-everywhere": messages.SignedOutEverywhere(),
    "/auth/session-ended": messages.SessionEnded(),
}

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)


async def check_mail(request: web.Request) -> web.Response:
    """``GET /auth/login/sent?id=``: the mail is on its way."""
    return await show_check_mail(request, read_login_id(request.query.get("id", "")))


async def show_check_mail(
    request: web.Request, login_id: str, *, problem: str = ""
) -> web.Response:
    """The page with the code field; the address is shown to the browser that typed it, only."""
    browser = Browser(request)
    attempt = await context_of(request).links.attempts.find(login_id) if login_id else None
    asked_here = attempt is not None and attempt.browser == read_browser(request) != ""
    email, next_ = (attempt.email, attempt.next) if attempt and asked_here else ("", "")
    offered = await offer_of(request, attempt)
    view = views.CheckMail(
        form_token=browser.form_token("code"),
        again_token=browser.form_token("login"),
        login_id=login_id,
        email=email,
        next=next_,
        start_again=login_url(next_),
        problem=problem,
        offer=offered.title if offered else "",
    )
    return browser.show_form(view, problem, f"/auth/login/sent?id={login_id}")


async def open_link(request: web.Request) -> web.Response:
    """``GET /auth/link?id=#token``: a script reads the fragment; without it the code does."""
    return show_open_link(request)


async def offer_of(request: web.Request, attempt: Attempt | None) -> OfferedLogin | None:
    """The login that the code of *attempt* would add if asked to; mostly None."""
    if attempt is None:
        return None
    return await context_of(request).links.offered(attempt, read_browser(request))


def show_open_link(request: web.Request, offered: OfferedLogin | None = None) -> web.Response:
    """The page of `open_link`, which asks about *offered*."""
    browser = Browser(request)
    view = views.OpenLink(
        inspect_token=browser.form_token("inspect"),
        code_token=browser.form_token("code"),
        login_id=read_login_id(request.query.get("id", "")),
        offer=offered.title if offered else "",
        email=offered.email if offered else "",
        logged_in=already_here(request),
    )
    return browser.show(view)


def already_here(request: web.Request) -> views.LoggedIn:
    """Who is logged in, for whoever comes back to the page of a link; nobody where that cannot be said."""
    try:
        person = person_of(request)
    except (Problem, FeedStaleError):
        return views.LoggedIn()
    return views.LoggedIn(person.email or person.sub, ACCOUNT) if person else views.LoggedIn()


async def account(request: web.Request) -> web.Response:
    """``GET /auth/account``: who am I, and where else."""
    person = require_person(request, ACCOUNT)
    browser = Browser(request)
    view = views.Account(
        logout_token=browser.form_token("logout"),
        sessions_token=browser.form_token("sessions"),
        email=person.email,
        sessions=await session_rows(request, person),
    )
    return browser.show(view)


async def session_rows(request: web.Request, person: Claims) -> tuple[views.SessionRow, ...]:
    """The living sessions of *person*, this one first."""
    sessions = await context_of(request).sessions.list_sessions(person)
    rows = [_row(session, now_ms(request)) for session in sessions]
    return tuple(sorted(rows, key=lambda row: not row.current))


async def say(request: web.Request) -> web.Response:
    """The pages of `MESSAGES`."""
    return show(request, MESSAGES[request.path])


async def static(request: web.Request) -> web.Response:
    """``GET /auth/static/{name}``."""
    asset = request.app[PAGES].assets.by_name.get(request.match_info["name"])
    if asset is None:
        raise Problem(404, "not_found")
    return request.app[PAGES].responses.asset(
        asset,
        version=request.query.get("v", ""),
        known=request.headers.get("If-None-Match", ""),
    )


async def script(request: web.Request) -> web.Response:
    """``GET /auth/latchwire.js``: for the pages of other services and hosts, so under a name that stays."""
    response = request.app[PAGES].responses.asset(
        request.app[PAGES].assets.by_name["latchwire.js"],
        version="",
        known=request.headers.get("If-None-Match", ""),
    )
    response.headers["Cross-Origin-Resource-Policy"] = "same-site"
    return response


def read_next(request: web.Request) -> str:
    """The validated ``?next=``; "" when it is absent or leads anywhere else."""
    return context_of(request).return_address(request.query.get("next", "")) or ""


def read_login_id(text: str) -> str:
    """*text* when it is an attempt's id, else "": nothing else is ever looked up or shown."""
    return text if _ULID.fullmatch(text) else ""


def login_url(next_: str, *, again: bool = False, unsent: bool = False) -> str:
    """The e-mail form, leading back to *next_*; *again*: also for who is logged in, or could renew.

    *unsent*: it says that what they sent is lost.
    """
    query = ({"next": next_} if next_ else {}) | ({AGAIN: "1"} if again else {})
    query |= {UNSENT: "1"} if unsent else {}
    return f"/auth/login?{urlencode(query)}" if query else "/auth/login"


def require_person(request: web.Request, back: str) -> Claims:
    """Who is signed in. Raises: Elsewhere: nobody; they renew or log in, and come back to *back*."""
    person = person_of(request)
    if person is None:
        raise Elsewhere(continue_url(back))
    return person


def continue_url(next_: str, *, unsent: bool = False) -> str:
    """Where cookies are renewed on the way to *next_*; *unsent* as for `login_url`."""
    query = {"next": next_} | ({UNSENT: "1"} if unsent else {})
    return f"/auth/continue?{urlencode(query)}"


def _row(session: SessionView, now: int) -> views.SessionRow:
    return views.SessionRow(
        handle=session.handle,
        device=phrases.device(session.client),
        times=phrases.session_times(session.started_at_ms, session.last_used_at_ms, now),
        network=session.client.network,
        current=session.current,
    )
