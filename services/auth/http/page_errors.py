"""Refusals and failures as pages, for whoever asked for a page; everybody else gets problem documents."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from services.auth.http.context import context_of
from services.auth.http.page_context import see_other, show
from services.auth.http.problems import AWAY, REQUEST_ID, Problem, away, count_refusal
from services.auth.pages import View, phrases
from services.auth.pages.account_views import DoneUntold, LogInAgain
from services.auth.pages.messages import Untold, problem_page
from services.auth.pages.views import Hop
from services.auth.ports import NotAnnouncedError

log = structlog.get_logger()

# Forms that end a session which may be somebody else's; all others change something of one's own.
ENDING = {"/auth/form/notice", "/auth/form/sessions"}
CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


class Refused(Exception):
    """This request gets *view* and nothing was done."""

    def __init__(self, view: View) -> None:
        self.view = view
        super().__init__(type(view).__name__)

    def answer(self, request: web.Request) -> web.Response:
        """What is sent."""
        return show(request, self.view)


class Elsewhere(Refused):
    """Nothing was done: go to *location*, a path of this site."""

    def __init__(self, location: str) -> None:
        self.location = location
        super().__init__(Hop(location))

    def answer(self, request: web.Request) -> web.Response:
        """303."""
        return see_other(request, self.location)


@contextmanager
def untold_is(view: View) -> Iterator[None]:
    """What is stored in here, and could not be told to everybody yet, is said with *view*."""
    try:
        yield
    except NotAnnouncedError:
        raise Refused(view) from None


def page_middleware(page_handlers: frozenset[Handler]) -> Middleware:
    """The innermost middleware: turns what a page's handler raises into a page.

    Also what any route refuses to a browser that navigates: only those ask for ``text/html``.
    """

    @web.middleware
    async def answer_with_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
        wants_page = request.match_info.handler in page_handlers
        if not wants_page and "text/html" not in request.headers.get("Accept", ""):
            return await handler(request)
        try:
            return await handler(request)
        except Refused as refused:
            return refused.answer(request)
        except Problem as problem:
            return _problem(request, problem)
        except AWAY as error:
            return _away(request, error)
        except web.HTTPException as error:
            return _problem(request, Problem(error.status, CODES.get(error.status, "bad_request")))
        except (
            Exception
        ):  # the last fence: a person never sees a bare 500, and the log has the cause
            log.exception("page.failed")
            return _problem(request, Problem(500, "internal_error"))

    return answer_with_pages


def too_many_requests(retry_after: int) -> Problem:
    """429 for a network that asked too often; *retry_after* in seconds."""
    return Problem(429, "too_many_requests", headers={"Retry-After": str(retry_after)})


def _away(request: web.Request, error: Exception) -> web.Response:
    log.warning("page.unavailable", reason=type(error).__name__)
    if isinstance(error, NotAnnouncedError):
        return show(request, Untold() if request.path in ENDING else DoneUntold())
    return _problem(request, away(error))


def _problem(request: web.Request, problem: Problem) -> web.Response:
    count_refusal(problem)
    view: View = problem_page(
        problem.status, problem.code, request.get(REQUEST_ID, ""), detail=_detail(request, problem)
    )
    if problem.code == "reauthentication_required":
        view = LogInAgain()
    response = show(request, view, status=problem.status)
    response.headers.update(problem.headers)
    return response


def _detail(request: web.Request, problem: Problem) -> str:
    if problem.status == 429:
        wait = phrases.wait(int(problem.headers.get("Retry-After", "60")))
        if problem.code == "too_many_changes":
            return f"You changed a lot in a short time. Try again in {wait}."
        what = "asked for too many links"
        if context_of(request).accounts is not None:
            what = "tried too often"
        return f"Your network {what}. Try again in {wait}."
    return ""
