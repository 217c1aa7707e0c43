"""The forms of `services.auth.http.page_orgs`: each leads to a page, or says in the form what is wrong."""

from collections.abc import Mapping

from aiohttp import web

from latchwire.claims import Claims
from services.auth.domain.link import LinkAsk, TooManyRequests
from services.auth.domain.org import Done, NotDone, name_problem
from services.auth.domain.outcomes import Refreshed, SessionOver
from services.auth.http.context import accounts_of, context_of
from services.auth.http.cookies import read_browser, set_session
from services.auth.http.pacing import FLOOR_SECONDS, paced
from services.auth.http.page_context import see_other, show
from services.auth.http.page_entering import NO_ADDRESS
from services.auth.http.page_errors import Elsewhere, too_many_requests
from services.auth.http.page_forms import read_form
from services.auth.http.page_orgs import (
    ORGS,
    chosen_roles,
    read_id,
    show_member,
    show_organisation,
    show_organisations,
    show_settings,
)
from services.auth.http.page_renewing import acting_person
from services.auth.http.pages import continue_url
from services.auth.http.problems import Problem
from services.auth.http.reading import read_bound_refresh, read_client
from services.auth.pages import account_phrases, org_views
from services.auth.pages.account_phrases import ROLES_MISSING, org_problem
from shared.emails import InvalidEmailError, canonical_email

MAX_FIELDS = 64


async def create(request: web.Request) -> web.Response:
    """A new organisation, and oneself its owner."""
    fields, person = await _read(request, "org-create")
    name = fields["name"].strip()
    wrong = name_problem(name)
    if wrong:
        problem = account_phrases.name_problem(wrong)
        return await show_organisations(request, person, name=name, problem=problem)
    result = await accounts_of(request).orgs.create(person.sub, name)
    if isinstance(result, NotDone):
        problem = org_problem(result.code)
        return await show_organisations(request, person, name=name, problem=problem)
    return see_other(request, f"{ORGS}/{result.org.org}")


async def switch(request: web.Request) -> web.Response:
    """Work for another organisation, or (``org`` "") for none: the next tokens say so."""
    fields = await read_form(request, "switch")
    read_id(fields["org"])
    result = await context_of(request).sessions.refresh(
        read_bound_refresh(request), client=read_client(request), cookies=True, org=fields["org"]
    )
    if isinstance(result, SessionOver):
        raise Elsewhere(continue_url(ORGS))
    response = see_other(request, ORGS)
    if isinstance(result, Refreshed):
        set_session(request, response, result.tokens)
    return response


async def invite(request: web.Request) -> web.Response:
    """Send an invitation."""
    fields, person = await _read(request, "org-invite")
    org, roles, problem = fields["org"], chosen_roles(fields), ""
    try:
        email = canonical_email(fields["email"])
    except InvalidEmailError:
        email, problem = fields["email"], NO_ADDRESS
    if not problem and not roles:
        problem = ROLES_MISSING
    if not problem:
        ask = LinkAsk(email, read_client(request), browser=read_browser(request))
        inviting = accounts_of(request).invitations.invite(person.sub, org, ask, roles)
        result = await paced(request, inviting, FLOOR_SECONDS)
        if isinstance(result, TooManyRequests):
            raise too_many_requests(result.retry_after)
        problem = org_problem(_known(result).code) if isinstance(result, NotDone) else ""
    if problem:
        return await show_organisation(
            request, person, org, email=email, chosen=roles, problem=problem
        )
    return see_other(request, f"{ORGS}/{org}")


async def withdraw(request: web.Request) -> web.Response:
    """Take an invitation back; one that is gone already is no error."""
    fields, person = await _read(request, "org-withdraw")
    flow = accounts_of(request).invitations
    result = await flow.withdraw(person.sub, fields["org"], fields["invitation"])
    if isinstance(result, NotDone):
        _known(result)
    return see_other(request, f"{ORGS}/{fields['org']}")


async def set_roles(request: web.Request) -> web.Response:
    """Let a member have exactly the roles that are ticked."""
    fields, person = await _read(request, "org-roles")
    org, member, roles = fields["org"], fields["member"], chosen_roles(fields)
    if not roles:
        return await show_member(request, person, org, member, problem=ROLES_MISSING)
    result = await accounts_of(request).orgs.set_roles(person.sub, org, member, roles)
    return await _about_member(request, person, fields, result)


async def remove(request: web.Request) -> web.Response:
    """Remove a member."""
    fields, person = await _read(request, "org-remove")
    result = await accounts_of(request).orgs.remove(person.sub, fields["org"], fields["member"])
    return await _about_member(request, person, fields, result)


async def leave(request: web.Request) -> web.Response:
    """Remove oneself."""
    fields, person = await _read(request, "org-leave")
    result = await accounts_of(request).orgs.remove(person.sub, fields["org"], person.sub)
    if isinstance(result, NotDone):
        return show(request, org_views.NotLeft(paragraphs=(org_problem(_known(result).code),)))
    return see_other(request, ORGS)


async def rename(request: web.Request) -> web.Response:
    """Another name."""
    fields, person = await _read(request, "org-rename")
    org, name = fields["org"], fields["name"].strip()
    wrong = name_problem(name)
    problem = account_phrases.name_problem(wrong) if wrong else ""
    if not problem:
        result = await accounts_of(request).orgs.rename(person.sub, org, name)
        problem = org_problem(_known(result).code) if isinstance(result, NotDone) else ""
    if problem:
        return await show_settings(request, person, org, typed=name, problem=problem)
    return see_other(request, f"{ORGS}/{org}")


async def delete(request: web.Request) -> web.Response:
    """End it."""
    fields, person = await _read(request, "org-delete")
    result = await accounts_of(request).orgs.delete(person.sub, fields["org"])
    if isinstance(result, NotDone):
        problem = org_problem(_known(result).code)
        return await show_settings(request, person, fields["org"], problem=problem)
    return see_other(request, ORGS)


async def _read(request: web.Request, form: str) -> tuple[Mapping[str, str], Claims]:
    fields = await read_form(request, form, max_fields=MAX_FIELDS)
    for name in ("org", "member", "invitation"):
        read_id(fields[name])
    return fields, await acting_person(request, ORGS)


async def _about_member(
    request: web.Request, person: Claims, fields: Mapping[str, str], result: Done | NotDone
) -> web.Response:
    if isinstance(result, NotDone):
        problem = org_problem(_known(result).code)
        return await show_member(request, person, fields["org"], fields["member"], problem=problem)
    return see_other(request, f"{ORGS}/{fields['org']}")


def _known(result: NotDone) -> NotDone:
    """*result*. Raises: Problem 404 where the asker is no member: the organisation is not there then."""
    if result.code == "no_such_org":
        raise Problem(404, "not_found")
    return result
