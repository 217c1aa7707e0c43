"""How pages and static files are sent.

The headers that every answer of auth carries come from `services.auth.http.middleware`; a page has a
policy of its own, because it may load our style sheet, our scripts and nothing else.
"""

from aiohttp import web

from services.auth.pages import Asset, Renderer, View

# A form may end, by redirects, on a host that shares the login: browsers ask the policy about each of them.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action %s; base-uri 'none'; frame-ancestors 'none'"
)
FOR_EVER = "public, max-age=31536000, immutable"


class PageResponses:
    """Makes the responses."""

    def __init__(self, renderer: Renderer, *, form_targets: str) -> None:
        """*form_targets* are sources of a Content-Security-Policy (`shared.origins.Origins.sources`)."""
        self._renderer = renderer
        self._headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY % form_targets}

    def page(self, view: View, *, status: int | None = None, at: str = "") -> web.Response:
        """The page of *view*: never stored, never framed, nothing from elsewhere in it.

        *at* as in `Renderer.render`.
        """
        return web.Response(
            text=self._renderer.render(view, at=at),
            status=status or view.status,
            content_type="text/html",
            charset="utf-8",
            headers=self._headers | {"Cache-Control": "no-store"},
        )

    def see_other(self, location: str) -> web.Response:
        """After a form: 303, so that going back or reloading does not post again."""
        headers = self._headers | {"Cache-Control": "no-store", "Location": location}
        return web.Response(status=303, headers=headers)

    def asset(self, asset: Asset, *, version: str, known: str) -> web.Response:
        """A static file; *version* is the digest asked for, *known* the ``If-None-Match``."""
        caching = FOR_EVER if version == asset.digest else "no-cache"
        headers = self._headers | {"Cache-Control": caching, "ETag": f'"{asset.digest}"'}
        if known == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=asset.body, content_type=asset.content_type, charset="utf-8", headers=headers
        )
