"""A form that is sent with an access token that has run out, or was refused since, is not lost.

A page's GET goes through ``/auth/continue`` and comes back; a form cannot, so it renews on the spot: it is our
own page that posts, and so the strict refresh cookie is there.
"""

from aiohttp import web
from aiohttp.typedefs import Handler

from latchwire.claims import Claims
from services.auth.domain.outcomes import Credentials, NotSignedIn, Refreshed, Tokens
from services.auth.http.context import context_of
from services.auth.http.cookies import set_session
from services.auth.http.page_context import person_of
from services.auth.http.page_errors import Elsewhere
from services.auth.http.pages import continue_url
from services.auth.http.reading import read_bound_refresh, read_client

RENEWED = web.RequestKey("RENEWED", Tokens)


async def acting_person(request: web.Request, back: str) -> Claims:
    """Who is signed in, for a change that counts against their budget.

    For handlers of forms, after the form has proven to be this browser's.

    Raises:
        Elsewhere: nobody; they log in, and come to *back*.
        Problem: 429, too many changes.
    """
    person = person_of(request) or await _renewed(request)
    if person is None:
        raise Elsewhere(continue_url(back))
    context = context_of(request)
    context.throttles.count_change(person.sub, context.clock)
    return person


async def _renewed(request: web.Request) -> Claims | None:
    sessions, refresh = context_of(request).sessions, read_bound_refresh(request)
    client = read_client(request)
    result = await sessions.refresh(refresh, client=client, cookies=True) if refresh else None
    if isinstance(result, Refreshed):
        signed_in = sessions.identify(Credentials(access=result.tokens.access))
        if not isinstance(signed_in, NotSignedIn):
            request[RENEWED] = result.tokens
            return signed_in.claims
    return None


@web.middleware
async def renewed_cookies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Hand the new tokens to the browser, unless the answer sets or clears the session itself."""
    response = await handler(request)
    tokens = request.get(RENEWED)
    if tokens is not None and context_of(request).cookies.access not in response.cookies:
        set_session(request, response, tokens)
    return response
