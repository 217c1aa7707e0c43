"""CORS (Fetch §3.2) with cookies, for the few routes that pages of the catalogue's other hosts call.

A route is one of them where its row in `services.auth.http.policy` says ``siblings``. The answer to such a
route names exactly the origin that asked, and only one that shares the login: never ``*``, never an origin
that is merely reflected, and nothing at all to anybody else, whose browser then keeps the answer to itself.
"""

from collections import defaultdict
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from services.auth.http.context import context_of
from services.auth.http.policy import ROWS
from services.auth.http.problems import REASON

MAX_AGE_SECONDS = 600  # how long a browser remembers a preflight
REQUEST_HEADERS = "Content-Type, X-CSRF-Token"
READABLE = f"{REASON}, X-Request-Id, Retry-After"


def _methods() -> Mapping[str, frozenset[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for (method, path), policy in ROWS.items():
        if policy.siblings:
            found[path].add(method)
    return {path: frozenset(methods) for path, methods in found.items()}


METHODS = _methods()


@web.middleware
async def answer_preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell a browser that a page of a sibling may ask; every other OPTIONS is refused as ever."""
    asked = request.headers.get("Access-Control-Request-Method")
    methods = METHODS.get(request.path, frozenset())
    if request.method != "OPTIONS" or asked not in methods or not _sibling(request):
        return await handler(request)
    headers = {
        "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
        "Access-Control-Allow-Headers": REQUEST_HEADERS,
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
    return web.Response(status=204, headers=headers)


async def name_sibling(request: web.Request, response: web.StreamResponse) -> None:
    """Let the page that asked read the answer; a signal of the application."""
    origin = _sibling(request) if request.path in METHODS else ""
    if origin:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = READABLE


def _sibling(request: web.Request) -> str:
    """The one origin that *request* names, where it shares our login and is another one; else ""."""
    origins = request.headers.getall("Origin", [])
    context = context_of(request)
    if len(origins) != 1 or origins[0] == context.reach.own:
        return ""
    return origins[0] if origins[0] in context.sharing else ""
