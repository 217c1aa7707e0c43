"""What the page routes share: rendering, form tokens and the browser they are bound to."""

from dataclasses import dataclass

from aiohttp import web

from latchwire.claims import Claims
from services.auth.domain.outcomes import NotSignedIn
from services.auth.http.context import Context, context_of
from services.auth.http.cookies import ensure_browser, set_browser
from services.auth.http.form_tokens import FormTokens
from services.auth.http.page_responses import PageResponses
from services.auth.http.reading import read_credentials
from services.auth.pages import Assets, Renderer, View


@dataclass(frozen=True)
class PageContext:
    """Made once, at start."""

    responses: PageResponses
    tokens: FormTokens
    assets: Assets

    @classmethod
    def of(cls, context: Context) -> "PageContext":
        """The pages of the installation that *context* describes."""
        assets = Assets.load()
        renderer = Renderer(site_name=context.site_name, url=context.url, assets=assets)
        responses = PageResponses(renderer, form_targets=context.reach.sources)
        return cls(responses, FormTokens(context.csrf_keys), assets)


PAGES = web.AppKey("PAGES", PageContext)


class Browser:
    """One browser, known by its pre-login cookie; every form it is shown is bound to that."""

    def __init__(self, request: web.Request) -> None:
        """Raises `Problem` where the cookie is there twice."""
        self._request = request
        self._nonce = ensure_browser(request)

    def form_token(self, form: str) -> str:
        """A token for the form *form* in this browser."""
        return self._request.app[PAGES].tokens.issue(form, self._nonce)

    def show(self, view: View) -> web.Response:
        """The page of *view*, and the cookie that its forms need."""
        return self._with_cookie(show(self._request, view))

    def show_form(self, view: View, problem: str, at: str) -> web.Response:
        """The same for a page whose form may have been sent: 422 with a *problem*.

        *at* is where a GET shows the page. A script of ours puts that into the history: Back and Reload go
        there, and do not send the form again.
        """
        if not problem:
            return self.show(view)
        return self._with_cookie(show(self._request, view, status=422, at=at))

    def _with_cookie(self, response: web.Response) -> web.Response:
        set_browser(self._request, response, self._nonce)
        return response


def show(
    request: web.Request, view: View, *, status: int | None = None, at: str = ""
) -> web.Response:
    """A page without a form; *at* as in `PageResponses.page`."""
    return request.app[PAGES].responses.page(view, status=status, at=at)


def see_other(request: web.Request, location: str) -> web.Response:
    """303 to a path of this site, or to an address that `Context.return_address` gave."""
    return request.app[PAGES].responses.see_other(location)


def person_of(request: web.Request) -> Claims | None:
    """Who is signed in, None: nobody, or nobody any more."""
    signed_in = context_of(request).sessions.identify(read_credentials(request))
    return None if isinstance(signed_in, NotSignedIn) else signed_in.claims


def somebody_else(request: web.Request, email: str) -> str:
    """The address of who is signed in here, when it is not *email*; else ""."""
    person = person_of(request)
    return person.email if person and person.email != email else ""


def now_ms(request: web.Request) -> int:
    """The time the page is made at."""
    return context_of(request).clock.now_ms()
