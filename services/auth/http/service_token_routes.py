"""``/auth/service-tokens`` for whoever has the permission, and ``POST /auth/token`` for services themselves.

Under ``/auth/orgs/{org}`` its members see and end the tokens bound to it, whoever made them.
"""

from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from services.auth.domain.service_tokens import NotDone, Wanted, may_give, may_manage
from services.auth.flows.service_access import NotGranted
from services.auth.http.bodies import Body, read_body
from services.auth.http.clients import read_basic
from services.auth.http.context import context_of
from services.auth.http.oauth import (
    OAuthError,
    answers_oauth,
    count_client,
    count_stranger,
    invalid_client,
    read_fields,
)
from services.auth.http.policy import claims_of
from services.auth.http.prefer import end_and_wait, read_wait
from services.auth.http.problems import Problem
from services.auth.ports import Watch
from shared.messages import ServiceToken
from shared.messages.base import ULID
from shared.messages.service_token import MAX_SCOPES, Scope, ServiceName
from shared.service_tokens import (
    LIFETIME_MS,
    OVERLAP_MS,
    hash_service_token,
    make_service_token,
    parse_lifetime,
    variable_of,
)

STATUS = {
    "not_found": 404,
    "too_many": 409,
    "already_replaced": 409,
    "already_there": 409,
    "service_revoked": 409,
    "beyond_own_permissions": 403,
    "invalid_lifetime": 400,
}
REFUSED = {
    "token_revoked": "The service token was revoked.",
    "token_expired": "The service token has run out.",
}
BY_ORGANISATION = "revoked_by_organisation"
Lifetime = Annotated[str, Field(max_length=8)]


class CreateBody(Body):
    """POST /auth/service-tokens: *lifetime* as ``90d``; *org* binds it (a bound service's by itself)."""

    service: ServiceName
    scopes: Annotated[list[Scope], Field(max_length=MAX_SCOPES)] = []  # noqa: RUF012 - pydantic copies
    lifetime: Lifetime = ""
    org: ULID | None = None


class RotateBody(Body):
    """POST /auth/service-tokens/{id}/rotate: *overlap* is how long the old one is good."""

    lifetime: Lifetime = ""
    overlap: Lifetime = ""


async def list_tokens(request: web.Request) -> web.Response:
    """GET: every living token that the caller may manage, without anything that could be used as one."""
    listed = await context_of(request).services.listed()
    rows = [
        _described(row, listed.uses) for row in listed.rows if _may(request, row.service, row.org)
    ]
    return web.json_response({"tokens": rows, "uses_known": listed.uses is not None})


async def create(request: web.Request) -> web.Response:
    """POST: 201 with the token, which is shown this once."""
    body = await read_body(request, CreateBody)
    claims = claims_of(request)
    org = body.org or (claims.org if claims.service else "") or None
    _require_may(request, body.service, org)
    lifetime_ms = _milliseconds("lifetime", body.lifetime, LIFETIME_MS)
    return await _kept(
        request, org, service=body.service, scopes=tuple(body.scopes), lifetime_ms=lifetime_ms
    )


async def rotate(request: web.Request) -> web.Response:
    """POST …/rotate: 201 with the token that takes its place."""
    old = await _named(request)
    body = await read_body(request, RotateBody, empty_ok=True)
    return await _kept(
        request,
        old.org,
        service=old.service,
        scopes=None,
        lifetime_ms=_milliseconds("lifetime", body.lifetime, LIFETIME_MS),
        replaces=old.id,
        overlap_ms=_milliseconds("overlap", body.overlap, OVERLAP_MS),
    )


async def revoke(request: web.Request) -> web.Response:
    """DELETE: 204 once it is on the stream; how far it has come, with ``Prefer: wait``."""
    return await _ended(request, await _named(request), "revoked_by_manager")


async def list_of_org(request: web.Request) -> web.Response:
    """GET /auth/orgs/{org}/service-tokens: every living one that is bound to it."""
    listed = await context_of(request).services.listed()
    rows = [_described(r, listed.uses) for r in listed.rows if r.org == request.match_info["org"]]
    return web.json_response({"tokens": rows, "uses_known": listed.uses is not None})


async def revoke_of_org(request: web.Request) -> web.Response:
    """DELETE /auth/orgs/{org}/service-tokens/{id}: as `revoke`, one that is bound to it."""
    row = await context_of(request).services.find(request.match_info["id"])
    if row is None or row.org != request.match_info["org"]:
        raise Problem(404, "not_found")
    return await _ended(request, row, BY_ORGANISATION)


@answers_oauth
async def grant(request: web.Request) -> web.Response:
    """POST /auth/token: client credentials (RFC 6749 §4.4), the service's token as its secret."""
    fields = await read_fields(request)
    if fields.get("grant_type") != "client_credentials":
        description = "The only grant type here is client_credentials."
        raise OAuthError(400, "unsupported_grant_type", description)
    service, secret = read_basic(request)
    if not service or "client_secret" in fields or fields.get("client_id", service) != service:
        count_stranger(request)
        raise invalid_client()
    granted = await context_of(request).service_access.grant(
        service, secret, fields.get("scope", "")
    )
    if isinstance(granted, NotGranted):
        count_stranger(request)
        if granted.error == "invalid_scope":
            raise OAuthError(400, "invalid_scope", "A scope is asked for that the token lacks.")
        raise invalid_client(REFUSED.get(granted.why, ""))
    count_client(request, f"service:{service}")
    return web.json_response(
        {
            "access_token": granted.access,
            "token_type": "Bearer",
            "expires_in": granted.expires_in,
            "scope": " ".join(granted.scopes),
        },
        headers={"Pragma": "no-cache"},
    )


ROUTES = (
    web.get("/auth/service-tokens", list_tokens),
    web.post("/auth/service-tokens", create),
    web.post("/auth/service-tokens/{id}/rotate", rotate),
    web.delete("/auth/service-tokens/{id}", revoke),
    web.post("/auth/token", grant),
)
OF_ORGS = (
    web.get("/auth/orgs/{org}/service-tokens", list_of_org),
    web.delete("/auth/orgs/{org}/service-tokens/{id}", revoke_of_org),
)


async def _ended(request: web.Request, row: ServiceToken, reason: str) -> web.Response:
    flow, actor = context_of(request).services, claims_of(request).sub

    async def end(watch: Watch) -> None:
        struck = await flow.revoke(row.id, reason, actor, watch=watch)
        if isinstance(struck, NotDone):
            raise Problem(STATUS[struck.code], struck.code)

    return await end_and_wait(request, end, otherwise=web.Response(status=204))


async def _kept(request: web.Request, org: str | None, **wanted: Any) -> web.Response:
    context = context_of(request)
    token = make_service_token(context.ids.secret(), live=context.secure)
    kept = await context.services.keep(
        Wanted(
            sha256=hash_service_token(token.encode("ascii")),
            last_four=token[-4:],
            actor=claims_of(request).sub,
            within=_may_give(request, org),
            org=org,
            **wanted,
        )
    )
    if isinstance(kept, NotDone):
        raise Problem(STATUS[kept.code], kept.code)
    shown = {"token": token, "variable": variable_of(kept.row.service)}
    answer = {**_described(kept.row, {}), **shown}
    seconds = read_wait(request)
    if not seconds or not context.token_reach.room.is_left:
        return web.json_response(answer, status=201)
    reached = await context.token_reach.reached(kept.generation, seconds)
    answer |= {
        "edges": reached.edges, "confirmed": reached.confirmed, "complete": reached.complete
    }  # fmt: skip
    return web.json_response(answer, status=201, headers={"Preference-Applied": f"wait={seconds}"})


async def _named(request: web.Request) -> ServiceToken:
    row = await context_of(request).services.find(request.match_info["id"])
    if row is None:
        raise Problem(404, "not_found")
    _require_may(request, row.service, row.org)
    return row


def _may(request: web.Request, service: str, org: str | None) -> bool:
    claims = claims_of(request)
    return may_manage(
        service, org, caller=claims.service, caller_org=claims.org, permissions=claims.permissions
    )


def _may_give(request: web.Request, org: str | None) -> frozenset[str]:
    claims, accounts = claims_of(request), context_of(request).accounts
    return may_give(
        org,
        caller=claims.service,
        caller_org=claims.org,
        permissions=claims.permissions,
        of_installation=accounts.orgs.table.of_installation if accounts else frozenset(),
    )


def _require_may(request: web.Request, service: str, org: str | None) -> None:
    if not _may(request, service, org):
        raise Problem(STATUS["beyond_own_permissions"], "beyond_own_permissions")


def _described(row: ServiceToken, uses: Any) -> dict[str, Any]:
    used = (uses or {}).get(row.id)
    return row.model_dump(exclude={"sha256"}, exclude_none=True) | {"last_used_at": used}


def _milliseconds(field: str, text: str, default: int) -> int:
    try:
        return parse_lifetime(text) if text else default
    except ValueError:
        raise Problem(400, "invalid_request", members={"fields": [field]}) from None
