"""Public documents: the keys (RFC 7517) and the server's metadata (RFC 8414)."""

from aiohttp import web

from services.auth.http.context import context_of

_CACHE = {"Cache-Control": "public, max-age=300", "Cross-Origin-Resource-Policy": "cross-origin"}


async def jwks(request: web.Request) -> web.Response:
    """GET /.well-known/jwks.json: public members only."""
    return web.json_response(dict(context_of(request).jwks), headers=_CACHE)


async def edges_jwks(request: web.Request) -> web.Response:
    """GET /.well-known/edges/jwks.json: whose assertions count; no access token is signed by these."""
    return web.json_response(dict(context_of(request).edges_jwks), headers=_CACHE)


async def metadata(request: web.Request) -> web.Response:
    """GET /.well-known/oauth-authorization-server: what is true of this server, and no more.

    There is no authorization endpoint, so no response type is supported; the token endpoint is for services.
    """
    url = context_of(request).url
    document = {
        "issuer": url,
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint": f"{url}/auth/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "revocation_endpoint": f"{url}/auth/revoke",
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        "introspection_endpoint": f"{url}/auth/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
    }
    return web.json_response(document, headers=_CACHE)


ROUTES = (
    web.get("/.well-known/jwks.json", jwks),
    web.get("/.well-known/edges/jwks.json", edges_jwks),
    web.get("/.well-known/oauth-authorization-server", metadata),
)
