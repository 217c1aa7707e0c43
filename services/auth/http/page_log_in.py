"""``GET /auth/login``; who opens it with a session is sent to renew it, or told who they are logged in as.

An edge sends whoever shows it no access cookie to the form, because the refresh cookie stays at auth. Only auth
can see that the session of such a browser may go on.
"""

from aiohttp import web

from services.auth.http.context import context_of
from services.auth.http.cookies import read_cookies
from services.auth.http.page_context import Browser, person_of
from services.auth.http.page_errors import Elsewhere
from services.auth.http.pages import ACCOUNT, AGAIN, UNSENT, continue_url, read_next
from services.auth.http.problems import Problem
from services.auth.pages.views import LoggedIn, LogIn
from services.auth.ports import FeedStaleError

NAVIGATION = {None, "navigate"}
NOBODY = LoggedIn()


async def log_in(request: web.Request) -> web.Response:
    """``GET /auth/login?next=``: the e-mail form."""
    next_ = read_next(request)
    already = logged_in(request, next_)
    browser = Browser(request)
    return browser.show(LogIn(browser.form_token("login"), next=next_, logged_in=already))


def logged_in(request: web.Request, next_: str) -> LoggedIn:
    """What the login form says of who is logged in here already.

    With ``again=1`` the form is what they want, or renewing was tried: nobody is sent anywhere, so this and
    `/auth/continue` cannot send a browser to each other more than once.

    Raises:
        Elsewhere: the session of this browser may go on; they renew it, and come to *next_*.
    """
    unsent = UNSENT in request.query
    nobody = LoggedIn(unsent=unsent)
    try:
        person = person_of(request)
    except (Problem, FeedStaleError):
        return nobody  # two cookies of one name, or it cannot be said for now: the form works all the same
    again = AGAIN in request.query
    if person is not None:
        go_on = "" if again else next_ or ACCOUNT
        return LoggedIn(person.email or person.sub, go_on, unsent=unsent)
    if not again and _may_go_on(request):
        raise Elsewhere(continue_url(next_ or ACCOUNT, unsent=unsent))
    return nobody


def _may_go_on(request: web.Request) -> bool:
    """Whether a cookie is there that a refresh cookie can belong to.

    The refresh cookie itself may stay at home: it is Strict, and the way here may have begun on another site.
    """
    names = context_of(request).cookies
    held = [*read_cookies(request, names.access), *read_cookies(request, names.csrf)]
    return any(held) and request.headers.get("Sec-Fetch-Mode") in NAVIGATION
