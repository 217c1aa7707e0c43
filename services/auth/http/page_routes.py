"""The table of page routes; `add_pages` puts it into auth's application."""

from aiohttp import web
from aiohttp.typedefs import Handler

from services.auth.http import (
    page_account_routes,
    page_actions,
    page_continue,
    page_log_in,
    pages,
    social_routes,
)
from services.auth.http.context import Context
from services.auth.http.page_context import PAGES, PageContext
from services.auth.http.page_errors import page_middleware
from services.auth.http.page_renewing import renewed_cookies

SHOWN: dict[str, Handler] = {
    "/auth/login": page_log_in.log_in,
    "/auth/login/sent": pages.check_mail,
    "/auth/link": pages.open_link,
    "/auth/account": pages.account,
    "/auth/continue": page_continue.continue_,
    "/auth/latchwire.js": pages.script,
    "/auth/static/{name}": pages.static,
    **dict.fromkeys(pages.MESSAGES, pages.say),
}
POSTED: dict[str, Handler] = {
    "/auth/form/login": page_actions.login,
    "/auth/form/code": page_actions.code,
    "/auth/form/inspect": page_actions.inspect,
    "/auth/form/link": page_actions.link,
    "/auth/form/cancel": page_actions.cancel,
    "/auth/form/notice": page_actions.notice,
    "/auth/form/logout": page_actions.logout,
    "/auth/form/sessions": page_actions.sessions,
}


def add_pages(app: web.Application, context: Context) -> None:
    """Add the routes and, as the innermost one, the middleware that answers with pages.

    Call it after the application's own middlewares are in place.
    """
    app[PAGES] = PageContext.of(context)
    shown, posted = dict(SHOWN), dict(POSTED)
    if context.accounts is not None:
        shown |= page_account_routes.SHOWN | social_routes.SHOWN
        posted |= page_account_routes.POSTED | social_routes.POSTED
    app.router.add_routes([web.get(path, handler) for path, handler in shown.items()])
    app.router.add_routes([web.post(path, handler) for path, handler in posted.items()])
    app.middlewares.append(renewed_cookies)
    app.middlewares.append(page_middleware(frozenset([*shown.values(), *posted.values()])))
