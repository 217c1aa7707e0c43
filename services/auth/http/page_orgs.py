"""The pages of organisations: mine, one with its people, one member, name and end.

What a person may not do has no form there; what decides is the flow, once the form is sent. To who is no
member an organisation is not there. `services.auth.http.page_org_actions` has the forms' own routes.
"""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, urlencode

from aiohttp import web

from latchwire.claims import Claims
from services.auth.domain.account import Account
from services.auth.domain.org import Invitation, Member
from services.auth.domain.roles import (
    DELETE,
    INVITE,
    REMOVE_MEMBERS,
    RENAME,
    SEE_MEMBERS,
    SET_ROLES,
)
from services.auth.flows.org import Place
from services.auth.http.context import accounts_of
from services.auth.http.page_context import Browser, now_ms
from services.auth.http.pages import require_person
from services.auth.http.problems import Problem
from services.auth.pages import org_views, phrases
from services.auth.pages.account_phrases import ROLES_MISSING
from services.auth.pages.org_views import RoleChoice

ORGS = "/auth/account/orgs"
MAX_ID = 255
A_PAGE = 50  # members
EASY = "member"  # the role that the form of an invitation begins with


async def organisations(request: web.Request) -> web.Response:
    """``GET /auth/account/orgs``."""
    return await show_organisations(request, require_person(request, ORGS))


async def show_organisations(
    request: web.Request, person: Claims, *, name: str = "", problem: str = ""
) -> web.Response:
    """The list and the form for a new one; 422 with a *problem*."""
    browser = Browser(request)
    places = await accounts_of(request).orgs.places(person.sub)
    view = org_views.Organisations(
        switch_token=browser.form_token("switch"),
        create_token=browser.form_token("org-create"),
        orgs=tuple(
            org_views.OrgRow(p.org.org, p.org.name, words(p.roles), p.org.org == person.org)
            for p in places
        ),
        name=name,
        problem=problem,
    )
    return browser.show_form(view, problem, ORGS)


async def organisation(request: web.Request) -> web.Response:
    """``GET /auth/account/orgs/{org}``."""
    org = read_id(request.match_info["org"])
    person = require_person(request, f"{ORGS}/{org}")
    return await show_organisation(request, person, org)


async def show_organisation(
    request: web.Request,
    person: Claims,
    org: str,
    *,
    email: str = "",
    chosen: Iterable[str] = (EASY,),
    problem: str = "",
) -> web.Response:
    """Members and invitations; 422 with a *problem*, which is the invitation's."""
    browser, flows = Browser(request), accounts_of(request)
    place = await place_of(request, person, org)
    may = set(place.permissions)
    after = read_id(request.query.get("after", ""))
    members = await flows.orgs.members(org, after, A_PAGE) if SEE_MEMBERS in may else []
    invited = await flows.invitations.open(org) if INVITE in may else []
    view = org_views.Organisation(
        org=org,
        name=place.org.name,
        members=tuple(_member_row(member, person, org, may) for member in members),
        more=_more(org, members),
        invitations=tuple(_invited_row(row, now_ms(request)) for row in invited),
        choices=choices(request, place, chosen),
        invite_token=browser.form_token("org-invite") if INVITE in may else "",
        withdraw_token=browser.form_token("org-withdraw") if INVITE in may else "",
        leave_token=browser.form_token("org-leave"),
        settings=bool(may & {RENAME, DELETE}),
        tokens=REMOVE_MEMBERS in may,
        email=email,
        problem=problem,
        at_email=problem != ROLES_MISSING,
    )
    return browser.show_form(view, problem, f"{ORGS}/{org}")


async def member(request: web.Request) -> web.Response:
    """``GET /auth/account/orgs/{org}/members/{sub}``."""
    org, sub = read_id(request.match_info["org"]), read_id(request.match_info["sub"])
    person = require_person(request, f"{ORGS}/{org}")
    return await show_member(request, person, org, sub)


async def show_member(
    request: web.Request, person: Claims, org: str, sub: str, *, problem: str = ""
) -> web.Response:
    """Roles, and the button that removes; 422 with a *problem*."""
    browser = Browser(request)
    place = await place_of(request, person, org)
    found, account = await _find(request, place, sub)
    may = set(place.permissions)
    view = org_views.Member(
        org=org,
        name=place.org.name,
        member=sub,
        email=account.email,
        choices=choices(request, place, found.roles),
        roles_token=browser.form_token("org-roles") if SET_ROLES in may else "",
        remove_token=browser.form_token("org-remove") if REMOVE_MEMBERS in may else "",
        problem=problem,
    )
    return browser.show_form(view, problem, member_address(org, sub))


async def settings(request: web.Request) -> web.Response:
    """``GET /auth/account/orgs/{org}/settings``."""
    org = read_id(request.match_info["org"])
    return await show_settings(request, require_person(request, f"{ORGS}/{org}/settings"), org)


async def show_settings(
    request: web.Request, person: Claims, org: str, *, typed: str = "", problem: str = ""
) -> web.Response:
    """Name and end; 422 with a *problem*."""
    browser = Browser(request)
    place = await place_of(request, person, org)
    view = org_views.OrgSettings(
        org=org,
        name=place.org.name,
        rename_token=browser.form_token("org-rename") if RENAME in place.permissions else "",
        delete_token=browser.form_token("org-delete") if DELETE in place.permissions else "",
        typed=typed,
        problem=problem,
    )
    return browser.show_form(view, problem, f"{ORGS}/{org}/settings")


async def place_of(request: web.Request, person: Claims, org: str) -> Place:
    """The place of *person* in *org*. Raises: Problem 404, also where it is somebody else's."""
    place = await accounts_of(request).orgs.place(org, person.sub)
    if place is None:
        raise Problem(404, "not_found")
    return place


def member_address(org: str, sub: str) -> str:
    """Where the page of a member is."""
    return f"{ORGS}/{org}/members/{quote(sub, safe='')}"


def read_id(text: str) -> str:
    """*text*, as far as it can be the id of anything. Raises: Problem 404."""
    if not text.isprintable() or len(text) > MAX_ID:
        raise Problem(404, "not_found")
    return text


def choices(request: web.Request, place: Place, chosen: Iterable[str]) -> tuple[RoleChoice, ...]:
    """The roles that somebody with *place* may give, and those that are *chosen*."""
    table, may, held = accounts_of(request).orgs.table, set(place.permissions), set(chosen)
    return tuple(
        RoleChoice(role, role in held)
        for role in table.organisation
        if role in held or table.org_permissions([role]) <= may
    )


def chosen_roles(fields: Mapping[str, str]) -> tuple[str, ...]:
    """The roles whose boxes were ticked."""
    return tuple(sorted(name.removeprefix("role-") for name in fields if name[:5] == "role-"))


def words(roles: Iterable[str]) -> str:
    """ "admin, member"."""
    return ", ".join(roles) or "no role"


async def _find(request: web.Request, place: Place, sub: str) -> tuple[Place, Account]:
    flows = accounts_of(request)
    found = await flows.orgs.place(place.org.org, sub) if SEE_MEMBERS in place.permissions else None
    account = await flows.accounts.by_sub(sub) if found else None
    if found is None or account is None:
        raise Problem(404, "not_found")
    return found, account


def _member_row(member: Member, person: Claims, org: str, may: set[str]) -> org_views.MemberRow:
    may_change = bool(may & {SET_ROLES, REMOVE_MEMBERS})
    return org_views.MemberRow(
        email=member.email,
        roles=words(member.roles),
        me=member.sub == person.sub,
        href=member_address(org, member.sub) if may_change else "",
    )


def _more(org: str, members: Sequence[Member]) -> str:
    """Where the next page of members is, "" after the last one."""
    full = len(members) == A_PAGE
    return f"{ORGS}/{org}?{urlencode({'after': members[-1].sub})}" if full else ""


def _invited_row(row: Invitation, now: int) -> org_views.InvitationRow:
    times = f"Invited {phrases.ago(row.created_at_ms, now)}"
    return org_views.InvitationRow(row.invitation, row.email, words(row.roles), times)
