"""The application: middlewares, headers, routes."""

from aiohttp import web

from services.auth.http import (
    account_routes,
    deletion_routes,
    gateway_routes,
    link_routes,
    oauth_routes,
    org_routes,
    password_routes,
    service_token_routes,
    session_routes,
    social_routes,
    wellknown_routes,
)
from services.auth.http.bodies import MAX_BODY
from services.auth.http.context import CONTEXT, Context
from services.auth.http.cross_origin import answer_preflights, name_sibling
from services.auth.http.middleware import add_headers, answer_errors, name_request
from services.auth.http.page_routes import add_pages
from services.auth.http.policy import guard


def make_app(context: Context) -> web.Application:
    """The JSON API and the pages of *context*."""
    around = [name_request, answer_errors, answer_preflights]
    app = web.Application(middlewares=around, client_max_size=MAX_BODY)
    app[CONTEXT] = context
    app.on_response_prepare.extend([add_headers, name_sibling])
    app.add_routes([*link_routes.ROUTES, *session_routes.ROUTES])
    app.add_routes([*oauth_routes.ROUTES, *wellknown_routes.ROUTES, *gateway_routes.ROUTES])
    app.add_routes(service_token_routes.ROUTES)
    if context.accounts is not None:
        app.add_routes([*account_routes.ROUTES, *password_routes.ROUTES])
        app.add_routes([*social_routes.ROUTES, *org_routes.ROUTES, *deletion_routes.ROUTES])
        app.add_routes(service_token_routes.OF_ORGS)
    add_pages(app, context)
    app.middlewares.append(guard)  # the innermost: its refusals are answered like those of a route
    return app
