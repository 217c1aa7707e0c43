"""The mailbox over HTTP: ``/``, ``/messages/ID`` and ``GET /api/messages?to=ADDR``."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from ctl.up.mailbox import pages
from ctl.up.mailbox.store import Mailbox

_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def application(mailbox: Mailbox) -> web.Application:
    """The routes over *mailbox*."""

    async def inbox(_: web.Request) -> web.Response:
        return _html(pages.inbox(mailbox.newest_first()))

    async def message(request: web.Request) -> web.Response:
        mail = mailbox.find(request.match_info["id"])
        return _html(pages.message(mail)) if mail else web.Response(status=404, text="No such mail")

    async def message_html(request: web.Request) -> web.Response:
        mail = mailbox.find(request.match_info["id"])
        return _html(mail.html) if mail else web.Response(status=404, text="No such mail")

    async def messages(request: web.Request) -> web.Response:
        found = mailbox.newest_first(request.query.get("to"))
        return web.json_response([m.as_json() for m in found], headers=_HEADERS)

    app = web.Application(middlewares=[_only_by_local_names])
    app.router.add_get("/", inbox)
    app.router.add_get("/messages/{id}", message)
    app.router.add_get("/messages/{id}/html", message_html)
    app.router.add_get("/api/messages", messages)
    return app


@web.middleware
async def _only_by_local_names(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse foreign host names: a web site that points its own name here could read login links."""
    name = request.host.rpartition(":")[0] or request.host
    if name not in _LOCAL_NAMES:
        return web.Response(status=403, text="The mailbox answers on localhost only")
    return await handler(request)


def _html(body: str) -> web.Response:
    return web.Response(text=body, content_type="text/html", headers=_HEADERS)
