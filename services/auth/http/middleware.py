"""Around every request: its id, its errors as problem documents, and the headers every answer carries."""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from services.auth.http.context import CONTEXT, Context, context_of
from services.auth.http.problems import (
    AWAY,
    CONTENT_TYPE,
    REASON,
    REQUEST_ID,
    Problem,
    away,
    problem_document,
    problem_response,
)
from services.auth.http.reading import is_from_proxy
from shared.trace import (
    REQUEST_ID_HEADER,
    TRACEPARENT,
    Trace,
    good_request_id,
    make_trace,
    parse_traceparent,
    within,
)
from shared.unreadable import LastAnswer

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Authorization, Cookie, Origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
STRICT_TRANSPORT = "max-age=31536000"


@web.middleware
async def name_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id and its trace: a proxy's, when it sends plain ones."""
    trace = _trace(request)
    request[REQUEST_ID] = trace.request_id
    with within(trace):
        return await handler(request)


def _trace(request: web.Request) -> Trace:
    """A client's own word counts only as the proxy's: nobody else puts lines into somebody's trace."""
    context = context_of(request)
    trusted = is_from_proxy(request)
    now_ms = context.clock.now_ms()
    sent = good_request_id(_only(request, REQUEST_ID_HEADER)) if trusted else ""
    request_id = sent or context.ids.ulid(now_ms)
    parent = parse_traceparent(_only(request, TRACEPARENT), request_id) if trusted else None
    return parent or make_trace(context.ids, now_ms, request_id)


def _only(request: web.Request, name: str) -> str:
    """The header's value; "" for none, and for several, of which one is somebody else's."""
    values = request.headers.getall(name, [])
    return values[0] if len(values) == 1 else ""


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what was raised into the problem document that says so, and nothing more."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem_response(request, problem)
    except web.HTTPException as error:
        return _http_error(request, error)
    except AWAY as error:
        refusal = away(error)
        log.warning("request.unavailable", code=refusal.code, missing=refusal.members["missing"])
        return problem_response(request, refusal)
    except Exception as error:  # a bug: logged, and answered with a code of ours
        log.exception("request.failed", error=type(error).__name__)
        return problem_response(request, Problem(500, "internal_error"))


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Headers for every answer; one that a route set itself stays."""
    for name, value in standing_headers(secure=request.app[CONTEXT].secure).items():
        response.headers.setdefault(name, value)
    response.headers[REQUEST_ID_HEADER] = request.get(REQUEST_ID, "")
    response.headers.pop("Server", None)


def standing_headers(*, secure: bool) -> dict[str, str]:
    """What every answer carries, *secure* ones a little more."""
    return {**HEADERS, "Strict-Transport-Security": STRICT_TRANSPORT} if secure else HEADERS


def refuse_unreadable(context: Context, status: int) -> LastAnswer:
    """The problem document for what is no request at all; like any other answer, and then the end."""
    request_id = context.ids.ulid(context.clock.now_ms())
    problem = Problem(status, "bad_request" if status < 500 else "internal_error")
    headers = {
        **standing_headers(secure=context.secure),
        "Content-Type": CONTENT_TYPE,
        REQUEST_ID_HEADER: request_id,
        REASON: problem.code,
    }
    return LastAnswer(status, headers, problem_document(problem, request_id))


def _http_error(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    code = _CODES.get(error.status, "bad_request" if error.status < 500 else "internal_error")
    return problem_response(request, Problem(error.status, code, headers=headers))
