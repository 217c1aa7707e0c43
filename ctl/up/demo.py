"""The demo: a small service that knows nothing of logins and believes the headers its gateway sets.

``/demo`` is behind the edge, ``/demo/public`` open. Run: ``python -m ctl.up.demo PORT``.
"""

import asyncio
import signal
import sys
from html import escape

from aiohttp import web

from ctl.up.ports import LOOPBACK

_STYLE = (
    ":root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }"
    "body { max-width: 24rem; margin: 4rem auto; padding: 0 1rem }"
    "dd { margin: 0 0 .6rem; overflow-wrap: anywhere } dt { opacity: .7 }"
    "button { font: inherit; padding: .6rem 1.2rem }"
)
_SHOWN = ("X-User-Id", "X-User-Email", "X-User-Roles", "X-Session-Id", "X-Request-Id")


async def demo(request: web.Request) -> web.Response:
    """Who the gateway says this is: a page for browsers, the received headers as JSON for others."""
    if "text/html" not in request.headers.get("Accept", ""):
        return _json(request)
    rows = "".join(
        f"<dt>{name}</dt><dd>{escape(request.headers.get(name, '')) or '(empty)'}</dd>"
        for name in _SHOWN
    )
    who = escape(request.headers.get("X-User-Email", "") or "nobody")
    return _page(
        "The demo service",
        f'<p>You are <strong id="who">{who}</strong>.</p><dl>{rows}</dl>'
        '<form method="post" action="/auth/form/logout"><button>Log out</button></form>'
        '<p><a href="/auth/account">Your account and sessions</a></p>',
    )


async def public(request: web.Request) -> web.Response:
    """Open to everybody."""
    if "text/html" not in request.headers.get("Accept", ""):
        return _json(request)
    return _page("Open to everybody", '<p>No login needed here. <a href="/demo">The demo</a></p>')


async def style(_request: web.Request) -> web.Response:
    """A file of its own: a Content-Security-Policy in the catalogue may let no style stand in the page."""
    return web.Response(text=_STYLE, content_type="text/css")


def application() -> web.Application:
    """The demo's routes."""
    app = web.Application()
    app.router.add_get("/demo/public/demo.css", style)
    for path in ("/demo/public", "/demo/public/{rest:.*}"):
        app.router.add_route("*", path, public)
    for path in ("/demo", "/demo/{rest:.*}"):
        app.router.add_route("*", path, demo)
    return app


async def serve(port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    runner = web.AppRunner(application(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    await stopping.wait()
    await runner.cleanup()


def _json(request: web.Request) -> web.Response:
    """The headers as they arrived; a duplicate shows as values joined by commas.

    Credentials are left out: a demo that echoes a session cookie would be the first thing to be attacked.
    """
    received = {
        name: ", ".join(request.headers.getall(name))
        for name in request.headers
        if name.lower() not in {"cookie", "authorization"}
    }
    return web.json_response(received, headers={"Cache-Control": "no-store"})


def _page(title: str, body: str) -> web.Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/demo/public/demo.css"></head>'
        f"<body><h1>{title}</h1>{body}</body></html>"
    )
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(text=text, content_type="text/html", headers=headers)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
