"""Behind the link of an invitation: join as who is signed in with its address, or sign in with that first.

A link is lost where somebody signs in on the way; then the invitation's id is enough, because an invitation
is its address's, and a session is proof of an address.
"""

from aiohttp import web

from services.auth.domain.org import NotDone
from services.auth.flows.invitation import Invited
from services.auth.http.context import accounts_of
from services.auth.http.page_accounts import JOIN
from services.auth.http.page_context import Browser, person_of, see_other, show
from services.auth.http.page_forms import read_form
from services.auth.http.page_orgs import ORGS
from services.auth.http.page_renewing import acting_person
from services.auth.http.pages import login_url, read_login_id, require_person
from services.auth.pages import messages, org_views
from services.auth.pages.account_phrases import org_problem


def ask_to_join(request: web.Request, invited: Invited, token: str) -> web.Response:
    """The page behind the link; consumes nothing."""
    browser = Browser(request)
    offer, person = invited.invitation, person_of(request)
    if person is not None and person.email == offer.email:
        view = org_views.Join(browser.form_token("join"), token, offer.email, invited.org.name)
        return browser.show(view)
    back = f"{JOIN}?id={offer.invitation}"
    return browser.show(
        org_views.JoinAfterLogIn(
            form_token=browser.form_token("login"),
            email=offer.email,
            org_name=invited.org.name,
            next=back,
            log_in=login_url(back),
            instead_of=person.email if person else "",
        )
    )


async def join(request: web.Request) -> web.Response:
    """``GET /auth/account/join?id=``: after signing in with the invitation's address."""
    invitation = read_login_id(request.query.get("id", ""))
    person = require_person(request, f"{JOIN}?id={invitation}")
    flow = accounts_of(request).invitations
    token = flow.token_of(invitation, person.email)
    invited = await flow.inspect(token)
    return (
        show(request, messages.LinkSpent())
        if invited is None
        else ask_to_join(request, invited, token)
    )


async def accept(request: web.Request) -> web.Response:
    """The button "Join"."""
    fields = await read_form(request, "join")
    person = await acting_person(request, ORGS)
    flow = accounts_of(request).invitations
    result = await flow.accept(person.sub, person.email, fields["token"])
    if isinstance(result, NotDone):
        return show(request, org_views.NotJoined(paragraphs=(org_problem(result.code),)))
    return see_other(request, f"{ORGS}/{result.org.org}")
