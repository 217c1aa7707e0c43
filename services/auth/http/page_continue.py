"""``GET /auth/continue?next=``: where an edge sends a browser whose access cookie has run out.

The refresh cookie is strict: a browser that came from another site keeps it to itself until a page of our
own asks, so the first answer to such a browser is that page. A browser that keeps coming back for the same
target holds no cookie there; it is told so instead of being sent round for ever.
"""

import hashlib

from aiohttp import web

from services.auth.domain.outcomes import ContinueTo, HopTo, LoginFirst
from services.auth.http.context import context_of
from services.auth.http.cookies import clear_session, read_cookie, set_session
from services.auth.http.page_context import see_other, show
from services.auth.http.pages import ACCOUNT, UNSENT, continue_url, login_url, read_next
from services.auth.http.problems import Problem
from services.auth.http.reading import read_bound_refresh, read_client
from services.auth.pages import messages, views

HOPS_SECONDS = 10
HOPS_ENOUGH = 5
NAVIGATION = {None, "navigate"}
FROM_ELSEWHERE = {None, "cross-site"}


async def continue_(request: web.Request) -> web.Response:
    """Renew the cookies and go on, or to the e-mail form when there is nothing to renew."""
    if request.headers.get("Sec-Fetch-Mode") not in NAVIGATION:
        raise Problem(403, "csrf_failed")
    target = read_next(request) or ACCOUNT
    refresh = read_bound_refresh(request)
    if _count_hops(request, target) > HOPS_ENOUGH:
        return show(request, messages.CookieDidNotStick())
    result = await context_of(request).sessions.continue_(
        refresh, target=target, client=read_client(request), may_hop=_may_hop(request)
    )
    if isinstance(result, HopTo):
        onwards = continue_url(result.next, unsent=_is_unsent(request))
        return show(request, views.Hop(f"{onwards}&hop=1"))
    if isinstance(result, ContinueTo):
        return _renewed(request, result)
    return _log_in(request, result, had_token=bool(refresh))


def _renewed(request: web.Request, result: ContinueTo) -> web.Response:
    if _is_unsent(request):
        # Not straight back: they would look at the page as it was and take what they sent for saved.
        response = show(request, messages.not_sent(result.next))
    else:
        response = see_other(request, result.next)
    set_session(request, response, result.tokens)
    response.set_cookie(
        _hops_name(request),
        f"{_short(result.next)}.{_count_hops(request, result.next)}",
        max_age=HOPS_SECONDS,
        secure=context_of(request).secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def _log_in(request: web.Request, result: LoginFirst, *, had_token: bool) -> web.Response:
    form = login_url(result.next, again=True, unsent=_is_unsent(request))
    response = see_other(request, form)
    if had_token:
        # It will never work again, and without it an edge sends the person straight to log in.
        clear_session(request, response)
    return response


def _count_hops(request: web.Request, target: str) -> int:
    """This visit and those within seconds before it that led to the same *target*."""
    last, _, count = read_cookie(request, _hops_name(request)).partition(".")
    known = last == _short(target) and count in {str(n) for n in range(HOPS_ENOUGH + 1)}
    return (int(count) if known else 0) + 1


def _may_hop(request: web.Request) -> bool:
    return "hop" not in request.query and request.headers.get("Sec-Fetch-Site") in FROM_ELSEWHERE


def _is_unsent(request: web.Request) -> bool:
    return UNSENT in request.query


def _hops_name(request: web.Request) -> str:
    return f"{context_of(request).cookies.login}-hops"


def _short(next_: str) -> str:
    return hashlib.sha256(next_.encode()).hexdigest()[:16]
