"""The page of an organisation's service tokens, for whoever may remove its members: when used, until when, End.

As ``/auth/orgs/{org}/service-tokens`` in `services.auth.http.service_token_routes`. To everybody else it is not
there.
"""

from collections.abc import Mapping

from aiohttp import web

from latchwire.claims import Claims
from services.auth.domain.roles import REMOVE_MEMBERS
from services.auth.domain.service_tokens import Rows
from services.auth.flows.org import Place
from services.auth.http.context import context_of
from services.auth.http.page_context import Browser, now_ms, see_other
from services.auth.http.page_forms import read_form
from services.auth.http.page_orgs import ORGS, place_of, read_id
from services.auth.http.page_renewing import acting_person
from services.auth.http.pages import require_person
from services.auth.http.problems import Problem
from services.auth.http.service_token_routes import BY_ORGANISATION
from services.auth.pages import org_views, phrases
from shared.messages import ServiceToken

FORM = "org-end-token"


async def service_tokens(request: web.Request) -> web.Response:
    """``GET /auth/account/orgs/{org}/service-tokens``."""
    org = read_id(request.match_info["org"])
    place = await _managed(request, require_person(request, address(org)), org)
    rows, uses = await _bound(request, org)
    browser, now = Browser(request), now_ms(request)
    view = org_views.OrgTokens(
        org=org,
        name=place.org.name,
        end_token=browser.form_token(FORM),
        tokens=tuple(_row(row, uses, now) for row in rows),
    )
    return browser.show(view)


async def end(request: web.Request) -> web.Response:
    """End one, everywhere; one that is gone already is no error."""
    fields = await read_form(request, FORM)
    org = read_id(fields["org"])
    person = await acting_person(request, address(org))
    await _managed(request, person, org)
    rows, _ = await _bound(request, org)
    for row in rows:
        if row.id == fields["token"]:
            await context_of(request).services.revoke(row.id, BY_ORGANISATION, person.sub)
    return see_other(request, address(org))


def address(org: str) -> str:
    """Where the page is."""
    return f"{ORGS}/{org}/service-tokens"


async def _managed(request: web.Request, person: Claims, org: str) -> Place:
    """The place of *person* in *org*. Raises: Problem 404, also where they may remove nobody."""
    place = await place_of(request, person, org)
    if REMOVE_MEMBERS not in place.permissions:
        raise Problem(404, "not_found")
    return place


async def _bound(request: web.Request, org: str) -> tuple[Rows, Mapping[str, int] | None]:
    """The living ones that are bound to *org*, and when they were used."""
    listed = await context_of(request).services.listed()
    return tuple(row for row in listed.rows if row.org == org), listed.uses


def _row(row: ServiceToken, uses: Mapping[str, int] | None, now: int) -> org_views.TokenRow:
    return org_views.TokenRow(
        token=row.id,
        service=row.service,
        last_four=row.last_four,
        scopes=", ".join(row.scopes),
        times=phrases.token_times(row.created_at, row.expires_at, now),
        used=phrases.last_used(uses, row.id, now),
    )
