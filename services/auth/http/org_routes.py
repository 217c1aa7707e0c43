"""``/auth/orgs`` and ``/auth/invitations``: organisations, members, roles, invitations.

Who may call what stands in `services.auth.http.policy`; the flows keep a row's promise once more, under the
lock of the organisation. Its id is in the path: which organisation is active in the token plays no part.
"""

import re
from typing import Annotated, NoReturn

from aiohttp import web
from pydantic import Field

from services.auth.domain.link import LinkAsk, TooManyRequests
from services.auth.domain.org import Invitation, Member, NotDone, OrgRefusal, name_problem
from services.auth.domain.roles import MAX_ROLES
from services.auth.flows.invitation import InvitationFlow
from services.auth.flows.org import OrgFlow, Place
from services.auth.http.asking import read_email
from services.auth.http.bodies import Body, read_body
from services.auth.http.context import AccountFlows, context_of
from services.auth.http.link_routes import link_spent
from services.auth.http.pacing import FLOOR_SECONDS, paced
from services.auth.http.policy import claims_of
from services.auth.http.problems import Problem
from services.auth.http.reading import read_client, unauthorized

PAGE = 200
_LIMIT = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
Roles = Annotated[
    list[Annotated[str, Field(max_length=64)]], Field(max_length=MAX_ROLES, min_length=0)
]

_STATUS: dict[OrgRefusal, int] = {
    "not_permitted": 403,
    "beyond_own_roles": 403,
    "other_address": 403,
    "unknown_role": 400,
    "last_owner": 409,
    "already_member": 409,
    "too_many": 409,
}


class OrgBody(Body):
    """POST /auth/orgs and PATCH /auth/orgs/{org}."""

    name: Annotated[str, Field(max_length=256)]


class RolesBody(Body):
    """PUT /auth/orgs/{org}/members/{sub}/roles: all that the member shall have."""

    roles: Roles


class InvitationBody(Body):
    """POST /auth/orgs/{org}/invitations."""

    email: Annotated[str, Field(max_length=1024)]
    roles: Annotated[Roles, Field(min_length=1)]
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$")] = "en"


class AcceptBody(Body):
    """POST /auth/invitations/accept."""

    token: Annotated[str, Field(max_length=256)]


async def create(request: web.Request) -> web.Response:
    """POST /auth/orgs: 201; whoever makes it is its owner."""
    body = await read_body(request, OrgBody)
    result = await _orgs(request).create(claims_of(request).sub, read_name(body.name))
    if isinstance(result, NotDone):
        _refuse(result.code)
    return web.json_response(_place(result), status=201)


async def list_orgs(request: web.Request) -> web.Response:
    """GET /auth/orgs: one's own."""
    places = await _orgs(request).places(claims_of(request).sub)
    return web.json_response({"orgs": [_place(place) for place in places]})


async def show(request: web.Request) -> web.Response:
    """GET /auth/orgs/{org}."""
    place = await _orgs(request).place(request.match_info["org"], claims_of(request).sub)
    if place is None:
        _refuse("no_such_org")
    return web.json_response(_place(place))


async def rename(request: web.Request) -> web.Response:
    """PATCH /auth/orgs/{org}: 204."""
    body = await read_body(request, OrgBody)
    result = await _orgs(request).rename(
        claims_of(request).sub, request.match_info["org"], read_name(body.name)
    )
    return _nothing_or_refuse(result)


async def delete(request: web.Request) -> web.Response:
    """DELETE /auth/orgs/{org}: 204 once the members' stale tokens are refused everywhere."""
    result = await _orgs(request).delete(claims_of(request).sub, request.match_info["org"])
    return _nothing_or_refuse(result)


async def list_members(request: web.Request) -> web.Response:
    """GET /auth/orgs/{org}/members?after=&limit=: *next* is what to ask after, null at the end."""
    limit, after = _read_limit(request), request.query.get("after", "")[:255]
    found = await _orgs(request).members(request.match_info["org"], after, limit)
    following = found[-1].sub if len(found) == limit else None
    return web.json_response({"members": [_member(m) for m in found], "next": following})


async def set_roles(request: web.Request) -> web.Response:
    """PUT /auth/orgs/{org}/members/{sub}/roles: 204 once tokens that say more are refused everywhere."""
    body = await read_body(request, RolesBody)
    org, sub = request.match_info["org"], request.match_info["sub"]
    return _nothing_or_refuse(
        await _orgs(request).set_roles(claims_of(request).sub, org, sub, body.roles)
    )


async def remove_member(request: web.Request) -> web.Response:
    """DELETE /auth/orgs/{org}/members/{sub}: 204; one's own ``sub``: leave."""
    org, sub = request.match_info["org"], request.match_info["sub"]
    return _nothing_or_refuse(await _orgs(request).remove(claims_of(request).sub, org, sub))


async def invite(request: web.Request) -> web.Response:
    """POST /auth/orgs/{org}/invitations: 201, whether a mail goes out or not."""
    body = await read_body(request, InvitationBody)
    ask = LinkAsk(read_email(body.email), read_client(request), locale=body.locale)
    inviting = _invitations(request).invite(
        claims_of(request).sub, request.match_info["org"], ask, body.roles
    )
    result = await paced(request, inviting, FLOOR_SECONDS)
    if isinstance(result, TooManyRequests):
        retry = {"Retry-After": str(result.retry_after)}
        raise Problem(429, "too_many_requests", headers=retry)
    if isinstance(result, NotDone):
        _refuse(result.code)
    return web.json_response(_invitation(result), status=201)


async def list_invitations(request: web.Request) -> web.Response:
    """GET /auth/orgs/{org}/invitations: those that can be accepted."""
    found = await _invitations(request).open(request.match_info["org"])
    return web.json_response({"invitations": [_invitation(offer) for offer in found]})


async def withdraw(request: web.Request) -> web.Response:
    """DELETE /auth/orgs/{org}/invitations/{id}: 204."""
    org, invitation = request.match_info["org"], request.match_info["id"]
    return _nothing_or_refuse(
        await _invitations(request).withdraw(claims_of(request).sub, org, invitation)
    )


async def accept(request: web.Request) -> web.Response:
    """POST /auth/invitations/accept: 200 with the organisation; 410 for what opens nothing (any more)."""
    body = await read_body(request, AcceptBody)
    claims = claims_of(request)
    result = await _invitations(request).accept(claims.sub, claims.email, body.token)
    if isinstance(result, NotDone):
        if result.code == "no_such_invitation":
            raise link_spent()
        _refuse(result.code)
    return web.json_response(_place(result))


def read_name(text: str) -> str:
    """A name as it may stand in mails. Raises: Problem."""
    problem = name_problem(text)
    if problem:
        raise Problem(400, "invalid_name", members={"reason": problem})
    return text


def _refuse(code: OrgRefusal) -> NoReturn:
    """What is not there, and what the asker must not know to be there, is one answer."""
    if code == "no_account":
        raise unauthorized("session_ended")
    status = _STATUS.get(code)
    raise Problem(status, code) if status else Problem(404, "not_found")


def _nothing_or_refuse(result: object) -> web.Response:
    if isinstance(result, NotDone):
        _refuse(result.code)
    return web.Response(status=204)


def _flows(request: web.Request) -> AccountFlows:
    flows = context_of(request).accounts
    assert flows is not None, "these routes are there only where accounts are"
    return flows


def _orgs(request: web.Request) -> OrgFlow:
    return _flows(request).orgs


def _invitations(request: web.Request) -> InvitationFlow:
    return _flows(request).invitations


def _read_limit(request: web.Request) -> int:
    text = request.query.get("limit", str(PAGE))
    if not _LIMIT.fullmatch(text) or int(text) > PAGE:
        raise Problem(400, "invalid_request", members={"fields": ["limit"]})
    return int(text)


def _place(place: Place) -> dict[str, object]:
    return {
        "org": place.org.org,
        "name": place.org.name,
        "created_at": place.org.created_at_ms,
        "roles": list(place.roles),
        "permissions": list(place.permissions),
    }


def _member(member: Member) -> dict[str, object]:
    return {
        "sub": member.sub,
        "email": member.email,
        "joined_at": member.joined_at_ms,
        "roles": list(member.roles),
    }


def _invitation(offer: Invitation) -> dict[str, object]:
    return {
        "id": offer.invitation,
        "email": offer.email,
        "roles": list(offer.roles),
        "invited_by": offer.invited_by,
        "created_at": offer.created_at_ms,
        "expires_at": offer.expires_at_ms,
    }


ROUTES = (
    web.post("/auth/orgs", create),
    web.get("/auth/orgs", list_orgs),
    web.get("/auth/orgs/{org}", show),
    web.patch("/auth/orgs/{org}", rename),
    web.delete("/auth/orgs/{org}", delete),
    web.get("/auth/orgs/{org}/members", list_members),
    web.put("/auth/orgs/{org}/members/{sub}/roles", set_roles),
    web.delete("/auth/orgs/{org}/members/{sub}", remove_member),
    web.get("/auth/orgs/{org}/invitations", list_invitations),
    web.post("/auth/orgs/{org}/invitations", invite),
    web.delete("/auth/orgs/{org}/invitations/{id}", withdraw),
    web.post("/auth/invitations/accept", accept),
)
