"""``/auth/oauth``: to a provider and back; ``/auth/identities``: the logins linked to an account.

The way there and back is a browser's own navigation. It leaves by a link and comes back by a redirect, so a
page may not post a form that ends at the provider: our pages allow forms to this site only (CSP).
"""

import re

from aiohttp import web

from services.auth.domain.link import TooManyRequests
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.provider import (
    MAX_CODE,
    GoToProvider,
    IdentityView,
    Linked,
    LinkOffered,
    ProofNeeded,
    ProviderAnswer,
    SocialFailed,
    SocialVisit,
)
from services.auth.flows.identities import IdentityFlow
from services.auth.flows.social import SocialFlow
from services.auth.http.context import accounts_of, context_of
from services.auth.http.cookies import (
    ensure_browser,
    hash_browser,
    read_browser,
    set_browser,
    set_session,
)
from services.auth.http.pacing import FLOOR_SECONDS, paced
from services.auth.http.page_account import require_fresh
from services.auth.http.page_accounts import provider_logins
from services.auth.http.page_context import Browser, see_other, show
from services.auth.http.page_errors import too_many_requests
from services.auth.http.page_forms import read_form
from services.auth.http.page_renewing import acting_person
from services.auth.http.pages import ACCOUNT, login_url, require_person
from services.auth.http.policy import claims_of
from services.auth.http.problems import Problem, unavailable
from services.auth.http.reading import read_client, read_credentials, require_signed_in
from services.auth.http.social_answers import failed
from services.auth.pages import social_views, views
from services.auth.ports import NotAnnouncedError

CONFIRM = "/auth/login/added"
_TICKET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_ERROR = re.compile(r"[a-z_]{1,64}", re.ASCII)


async def begin(request: web.Request) -> web.Response:
    """GET /auth/oauth/{provider}?next=&link=: 303 to the provider. *link*: for the account signed in here.

    Where another site sent the browser, a page of ours asks first: else any site could finish a login at a
    provider, its owner's own perhaps, in a browser whose person has pressed nothing here.
    """
    name, query = request.match_info["provider"], request.query
    next_ = context_of(request).return_address(query.get("next", "")) or ""
    link_sub = _who_links(request) if query.get("link") else ""
    if not _from_here(request):
        return _ask_to_leave(request, name, next_)
    nonce = ensure_browser(request)
    visit = SocialVisit(hash_browser(nonce), read_client(request))
    result = await social_of(request).begin(name, visit, next_=next_, link_sub=link_sub)
    response = _to_provider(request, result)
    set_browser(request, response, nonce)
    return response


async def callback(request: web.Request) -> web.Response:
    """GET /auth/oauth/{provider}/callback: the browser is back. Whatever came with it counts once."""
    name = request.match_info["provider"]
    visit = SocialVisit(read_browser(request), read_client(request))
    try:
        result = await social_of(request).finish(name, _answer(request), visit)
    except NotAnnouncedError:  # the account is made; what is said of it goes out as soon as it can
        raise unavailable("bus") from None
    if isinstance(result, SessionOpened):
        return await _opened(request, result)
    if isinstance(result, LinkOffered):
        return see_other(request, f"{CONFIRM}?ticket={result.ticket}")
    if isinstance(result, ProofNeeded):
        return await _ask_mailbox(request, result, visit)
    return _refused(request, result)


async def confirm(request: web.Request) -> web.Response:
    """GET /auth/login/added?ticket=: whose login was that, and shall it log in to this account?"""
    person = require_person(request, ACCOUNT)
    ticket = _ticket(request.query.get("ticket", ""))
    kept = await linking_of(request).offered(ticket, read_browser(request), person.sub)
    if kept is None:
        return show(request, social_views.LinkingSpent())
    browser = Browser(request)
    view = social_views.ConfirmLogin(
        form_token=browser.form_token("confirm-login"),
        ticket=ticket,
        provider=_title(request, kept.identity.provider),
        email=person.email,
        login_email=kept.identity.email,
    )
    return browser.show(view)


async def confirmed(request: web.Request) -> web.Response:
    """The button of that page: the only step that adds a login to an account somebody is signed in to."""
    fields = await read_form(request, "confirm-login")
    person = await acting_person(request, ACCOUNT)
    require_fresh(request, person, ACCOUNT)
    ticket = _ticket(fields["ticket"])
    result = await linking_of(request).link(ticket, read_browser(request), person.sub)
    if isinstance(result, Linked):
        return see_other(request, ACCOUNT)
    taken = result.reason == "taken"
    return show(request, social_views.LoginTaken() if taken else social_views.LinkingSpent())


async def link_login(request: web.Request) -> web.Response:
    """The account page's button "Link": a page that goes on to the provider by itself."""
    fields = await read_form(request, "link-login")
    person = await acting_person(request, ACCOUNT)
    require_fresh(request, person, ACCOUNT)
    visit = SocialVisit(read_browser(request), read_client(request))
    name = fields["provider"]
    result = await social_of(request).begin(name, visit, next_=ACCOUNT, link_sub=person.sub)
    if isinstance(result, GoToProvider):
        return show(request, views.Hop(result.url))
    return _to_provider(request, result)


async def unlink_login(request: web.Request) -> web.Response:
    """The account page's button "Unlink"."""
    fields = await read_form(request, "unlink")
    person = await acting_person(request, ACCOUNT)
    require_fresh(request, person, ACCOUNT)
    await linking_of(request).unlink(person.sub, fields["login"])
    return see_other(request, ACCOUNT)


async def list_identities(request: web.Request) -> web.Response:
    """GET /auth/identities."""
    found = await linking_of(request).list_identities(claims_of(request).sub)
    return web.json_response({"identities": [_identity(view) for view in found]})


async def unlink(request: web.Request) -> web.Response:
    """DELETE /auth/identities/{handle}: 204; 404 when it is none of the person's own."""
    handle = request.match_info["handle"]
    if not await linking_of(request).unlink(claims_of(request).sub, handle):
        raise Problem(404, "not_found")
    return web.Response(status=204)


def social_of(request: web.Request) -> SocialFlow:
    """The flow."""
    return accounts_of(request).social


def linking_of(request: web.Request) -> IdentityFlow:
    """The flow of linked logins."""
    return accounts_of(request).identities


def _who_links(request: web.Request) -> str:
    """Whose account: signed in lately, and asked by a page of ours, as far as the browser says so."""
    if not _from_here(request):
        raise Problem(403, "csrf_failed")
    claims = require_signed_in(request).claims
    require_fresh(request, claims, ACCOUNT)
    return claims.sub


def _from_here(request: web.Request) -> bool:
    """A page of ours, or the person's own bookmark; also what does not say: old, or on a site without TLS."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}


def _ask_to_leave(request: web.Request, name: str, next_: str) -> web.Response:
    choices = provider_logins(request, next_)
    choice = next((choice for choice in choices if choice.name == name), None)
    if choice is None:
        raise Problem(404, "not_found")
    return show(request, social_views.ask_to_leave(choice.title, choice.href))


def _answer(request: web.Request) -> ProviderAnswer:
    """What came back; a parameter that is there twice could be read in two ways, and counts for nothing."""
    query = request.query
    if any(len(query.getall(name, [])) > 1 for name in ("state", "code", "error", "iss")):
        raise Problem(400, "bad_request")
    code, error = query.get("code", ""), query.get("error", "")
    if len(code) > MAX_CODE or (error and code):
        raise Problem(400, "bad_request")
    unknown = "unknown_error" if error else ""
    return ProviderAnswer(
        state=query.get("state", ""),
        code=code,
        error=error if _ERROR.fullmatch(error) else unknown,
        iss=query.get("iss", ""),
    )


async def _ask_mailbox(
    request: web.Request, needed: ProofNeeded, visit: SocialVisit
) -> web.Response:
    """The same answer after the same time, whether the address is known or not, and may log in or not."""
    work = social_of(request).ask_mailbox(needed, visit)
    sent = await paced(request, work, FLOOR_SECONDS)
    if isinstance(sent, TooManyRequests):
        raise too_many_requests(sent.retry_after)
    return see_other(request, f"/auth/login/sent?id={sent.login_id}")


async def _opened(request: web.Request, result: SessionOpened) -> web.Response:
    target = context_of(request).return_address(result.next) or ACCOUNT
    response = see_other(request, target)
    await context_of(request).sessions.end_replaced(read_credentials(request))
    set_session(request, response, result.tokens)
    return response


def _to_provider(
    request: web.Request, result: GoToProvider | TooManyRequests | SocialFailed | None
) -> web.Response:
    if result is None:
        raise Problem(404, "not_found")
    if isinstance(result, GoToProvider):
        return see_other(request, result.url)
    return _refused(request, result)


def _refused(request: web.Request, result: TooManyRequests | SocialFailed) -> web.Response:
    if isinstance(result, TooManyRequests):
        raise too_many_requests(result.retry_after)
    return failed(request, result, _title(request, result.provider), login_url(result.next))


def _title(request: web.Request, name: str) -> str:
    return next((c.title for c in social_of(request).choices() if c.name == name), "That provider")


def _ticket(text: str) -> str:
    return text if _TICKET.fullmatch(text) else ""


def _identity(view: IdentityView) -> dict[str, object]:
    return {
        "handle": view.handle,
        "provider": view.provider,
        "title": view.title,
        "email": view.email,
        "created_at": view.created_at_ms,
        "used_at": view.used_at_ms,
    }


ROUTES = (
    web.get("/auth/oauth/{provider}", begin, allow_head=False),
    web.get("/auth/oauth/{provider}/callback", callback, allow_head=False),
    web.get("/auth/identities", list_identities),
    web.delete("/auth/identities/{handle}", unlink),
)
SHOWN = {CONFIRM: confirm}
POSTED = {
    "/auth/form/confirm-login": confirmed,
    "/auth/form/link-login": link_login,
    "/auth/form/unlink": unlink_login,
}
