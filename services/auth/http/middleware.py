"""Around every request: its id, its errors as problem documents, and the headers every answer carries."""

import re
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
from shared.unreadable import LastAnswer

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
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
    """Give the request an id (a proxy's, when it sends a plain one) and bind it to the log lines."""
    context = context_of(request)
    sent = request.headers.get("X-Request-Id", "")
    keep = _REQUEST_ID.fullmatch(sent) and is_from_proxy(request)
    request[REQUEST_ID] = sent if keep else context.ids.ulid(context.clock.now_ms())
    with structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]):
        return await handler(request)


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
    except Exception as error:
        log.exception("request.failed", error=type(error).__name__)
        return problem_response(request, Problem(500, "internal_error"))


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Headers for every answer; one that a route set itself stays."""
    for name, value in standing_headers(secure=request.app[CONTEXT].secure).items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = request.get(REQUEST_ID, "")
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
        "X-Request-Id": request_id,
        REASON: problem.code,
    }
    return LastAnswer(status, headers, problem_document(problem, request_id))


def _http_error(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    code = _CODES.get(error.status, "bad_request" if error.status < 500 else "internal_error")
    return problem_response(request, Problem(error.status, code, headers=headers))
