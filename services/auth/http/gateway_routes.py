"""The gateway's own question (Traefik's HTTP provider): which routes are there?"""

from aiohttp import web

from services.auth.http.context import context_of
from services.auth.http.problems import Problem
from services.auth.http.reading import is_from_proxy

# What a proxy adds, or lets pass, when it carries a request for somebody else.
MARKS = ("x-forwarded", "x-original", "x-real-ip", "forwarded", "via")


async def traefik_routes(request: web.Request) -> web.Response:
    """GET /gateway/traefik: the gateway itself asks, from an address of ours and for nobody else.

    It tells where the services are. Through a gateway nobody reaches it: what one passes on is marked with
    whose request it is, and is told that there is nothing here.
    """
    gateway = context_of(request).gateway
    if gateway is None or not is_from_proxy(request) or is_passed_on(request):
        raise Problem(404, "not_found")
    routes = await gateway.routes()
    if routes is None:
        raise Problem(503, "unavailable", headers={"Retry-After": "1"})
    return web.Response(body=routes, content_type="application/json")


def is_passed_on(request: web.Request) -> bool:
    """Whether a proxy carries this for somebody else, by any of the headers that say so."""
    return any(name.lower().replace("_", "-").startswith(MARKS) for name in request.headers)


ROUTES = (web.get("/gateway/traefik", traefik_routes),)
