"""Who may call which route: one row for every route of auth, and nothing for what has no row.

==============  ==========================================================================================
``public``      everybody; the answer tells nothing about anybody
``proof``       the request carries its own proof (a link, a code, a password, a refresh token), which the
                route judges
``signed_in``   a genuine, unrevoked access token
``fresh``       the same, of a session that began at most `FRESH_SECONDS` ago (RFC 9470)
``member``      the same, of a member of the organisation ``{org}`` who holds *permission* in it ("": any
                member); to everybody else the organisation is not there: 404
``permitted``   a bearer token, a person's or a service's, with *permission*; never a cookie
``client``      a confidential client's id and secret, which the route judges
``gateway``     the gateway itself, from an address of ours and for nobody else, which the route judges
==============  ==========================================================================================

`guard` enforces `GUARDED` before a route's own code runs. Where *answers* is ``page`` the route does it itself,
because it sends the person to sign in instead of refusing.

What changes something for who is signed in counts against their budget (`Throttles.count_change`), where
*paced*; forms count where they find out who is signed in. Ending sessions is never refused for that.

*cross_site* says what stops a request that another site made a browser send: ``guarded`` (`require_same_site`),
``form`` (a token in a form of ours, bound to the browser), ``bodies`` (no cookie of ours counts there).

*siblings*: pages on the catalogue's other hosts that share the login may call it with their cookies
(`services.auth.http.cross_origin`). Nothing that says who somebody is, and nothing that gives more than they
have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from latchwire.claims import Claims
from services.auth.domain.csrf import SAFE_METHODS
from services.auth.domain.roles import (
    DELETE,
    INVITE,
    REMOVE_MEMBERS,
    RENAME,
    SEE_MEMBERS,
    SET_ROLES,
)
from services.auth.domain.service_tokens import MANAGE
from services.auth.http.context import context_of
from services.auth.http.problems import Problem
from services.auth.http.reading import require_bearer, require_same_site, require_signed_in

log = structlog.get_logger()

FRESH_SECONDS = 600
GUARDED = frozenset({"signed_in", "fresh", "member", "permitted"})

Access = Literal[
    "public", "proof", "signed_in", "fresh", "member", "permitted", "client", "gateway"
]
CrossSite = Literal["guarded", "form", "bodies"]


@dataclass(frozen=True)
class Policy:
    """A row. *permission* with ``member`` and ``permitted``; *cross_site* counts for unsafe methods."""

    access: Access
    permission: str = ""
    cross_site: CrossSite = "guarded"
    answers: Literal["json", "page"] = "json"
    paced: bool = True
    siblings: bool = False

    @property
    def guarded(self) -> bool:
        """Whether `guard` decides, and not the route."""
        return self.answers == "json" and self.access in GUARDED


def _page(access: Access = "public") -> Policy:
    return Policy(access, answers="page")


def _form(access: Access) -> Policy:
    return Policy(access, cross_site="form", answers="page")


Route = tuple[str, str]  # method and path, as the router has it
PUBLIC, PROOF, SIGNED_IN, FRESH = (
    Policy("public"),
    Policy("proof"),
    Policy("signed_in"),
    Policy("fresh"),
)
SHARED = Policy("proof", siblings=True)
MEMBER = Policy("member")
MANAGING = Policy("permitted", MANAGE, cross_site="bodies")
ENDING = Policy("signed_in", paced=False)

ROWS: Mapping[Route, Policy] = {
    # Links and sessions.
    ("POST", "/auth/login"): PUBLIC,
    ("POST", "/auth/link"): PROOF,
    ("POST", "/auth/link/inspect"): PROOF,
    ("POST", "/auth/link/cancel"): PROOF,
    ("POST", "/auth/refresh"): SHARED,
    ("POST", "/auth/logout"): SHARED,
    ("DELETE", "/auth/logout"): SHARED,
    ("GET", "/auth/me"): SIGNED_IN,
    ("GET", "/auth/sessions"): SIGNED_IN,
    ("DELETE", "/auth/sessions"): ENDING,
    ("DELETE", "/auth/sessions/{handle}"): ENDING,
    # Registration and passwords.
    ("POST", "/auth/register"): PUBLIC,
    ("POST", "/auth/register/resend"): PUBLIC,
    ("POST", "/auth/password/forgot"): PUBLIC,
    ("POST", "/auth/password/reset"): PROOF,
    ("PUT", "/auth/password"): SIGNED_IN,
    ("GET", "/auth/password/rules"): PUBLIC,
    # Clients and services.
    ("POST", "/auth/revoke"): Policy("proof", cross_site="bodies"),
    ("POST", "/auth/introspect"): Policy("client", cross_site="bodies"),
    ("GET", "/.well-known/jwks.json"): PUBLIC,
    ("GET", "/.well-known/edges/jwks.json"): PUBLIC,
    ("GET", "/.well-known/oauth-authorization-server"): PUBLIC,
    ("GET", "/gateway/traefik"): Policy("gateway"),
    ("DELETE", "/auth/me"): FRESH,
    ("DELETE", "/auth/delete"): FRESH,
    # Service tokens.
    ("POST", "/auth/token"): Policy("client", cross_site="bodies"),
    ("GET", "/auth/service-tokens"): Policy("permitted", MANAGE),
    ("POST", "/auth/service-tokens"): MANAGING,
    ("POST", "/auth/service-tokens/{id}/rotate"): MANAGING,
    ("DELETE", "/auth/service-tokens/{id}"): replace(MANAGING, paced=False),
    # Organisations.
    ("POST", "/auth/orgs"): SIGNED_IN,
    ("GET", "/auth/orgs"): SIGNED_IN,
    ("GET", "/auth/orgs/{org}"): MEMBER,
    ("PATCH", "/auth/orgs/{org}"): Policy("member", RENAME),
    ("DELETE", "/auth/orgs/{org}"): Policy("member", DELETE),
    ("GET", "/auth/orgs/{org}/members"): Policy("member", SEE_MEMBERS),
    ("PUT", "/auth/orgs/{org}/members/{sub}/roles"): Policy("member", SET_ROLES),
    ("DELETE", "/auth/orgs/{org}/members/{sub}"): MEMBER,  # oneself, or with the permission
    ("GET", "/auth/orgs/{org}/invitations"): Policy("member", INVITE),
    ("POST", "/auth/orgs/{org}/invitations"): Policy("member", INVITE),
    ("DELETE", "/auth/orgs/{org}/invitations/{id}"): Policy("member", INVITE),
    ("GET", "/auth/orgs/{org}/service-tokens"): Policy("member", REMOVE_MEMBERS),
    ("DELETE", "/auth/orgs/{org}/service-tokens/{id}"): Policy("member", REMOVE_MEMBERS),
    ("POST", "/auth/invitations/accept"): SIGNED_IN,
    # Logins at providers.
    ("GET", "/auth/oauth/{provider}"): _page(),
    ("GET", "/auth/oauth/{provider}/callback"): _page("proof"),
    ("GET", "/auth/identities"): SIGNED_IN,
    ("DELETE", "/auth/identities/{handle}"): FRESH,
    ("GET", "/auth/login/added"): _page("signed_in"),
    ("POST", "/auth/form/confirm-login"): _form("fresh"),
    ("POST", "/auth/form/link-login"): _form("fresh"),
    ("POST", "/auth/form/unlink"): _form("fresh"),
    # Pages.
    ("GET", "/auth/login"): _page(),
    ("GET", "/auth/login/sent"): _page(),
    ("GET", "/auth/link"): _page(),
    ("GET", "/auth/account"): _page("signed_in"),
    ("GET", "/auth/continue"): _page("proof"),
    ("GET", "/auth/latchwire.js"): _page(),
    ("GET", "/auth/static/{name}"): _page(),
    ("GET", "/auth/cancelled"): _page(),
    ("GET", "/auth/signed-out"): _page(),
    ("GET", "/auth/signed-out-everywhere"): _page(),
    ("GET", "/auth/session-ended"): _page(),
    ("GET", "/auth/register"): _page(),
    ("GET", "/auth/register/sent"): _page(),
    ("GET", "/auth/password/forgot"): _page(),
    ("GET", "/auth/password/forgot/sent"): _page(),
    ("GET", "/auth/password/set"): _page(),
    ("GET", "/auth/deleted"): _page(),
    ("GET", "/auth/account/password"): _page("signed_in"),
    ("GET", "/auth/account/delete"): _page("fresh"),
    ("GET", "/auth/account/join"): _page("signed_in"),
    ("GET", "/auth/account/orgs"): _page("signed_in"),
    ("GET", "/auth/account/orgs/{org}"): _page("member"),
    ("GET", "/auth/account/orgs/{org}/settings"): _page("member"),
    ("GET", "/auth/account/orgs/{org}/members/{sub}"): _page("member"),
    ("GET", "/auth/account/orgs/{org}/service-tokens"): _page("member"),
    ("POST", "/auth/form/login"): _form("public"),
    ("POST", "/auth/form/code"): _form("proof"),
    ("POST", "/auth/form/inspect"): _form("proof"),
    ("POST", "/auth/form/link"): _form("proof"),
    ("POST", "/auth/form/cancel"): _form("proof"),
    ("POST", "/auth/form/notice"): _form("proof"),
    ("POST", "/auth/form/logout"): _form("proof"),
    ("POST", "/auth/form/sessions"): _form("signed_in"),
    ("POST", "/auth/form/register"): _form("public"),
    ("POST", "/auth/form/register-again"): _form("public"),
    ("POST", "/auth/form/register-code"): _form("proof"),
    ("POST", "/auth/form/forgot"): _form("public"),
    ("POST", "/auth/form/reset"): _form("proof"),
    ("POST", "/auth/form/reset-code"): _form("proof"),
    ("POST", "/auth/form/password"): _form("signed_in"),
    ("POST", "/auth/form/delete"): _form("fresh"),
    ("POST", "/auth/form/join"): _form("signed_in"),
    ("POST", "/auth/form/switch"): _form("signed_in"),
    ("POST", "/auth/form/org-create"): _form("signed_in"),
    ("POST", "/auth/form/org-invite"): _form("signed_in"),
    ("POST", "/auth/form/org-withdraw"): _form("signed_in"),
    ("POST", "/auth/form/org-roles"): _form("signed_in"),
    ("POST", "/auth/form/org-remove"): _form("signed_in"),
    ("POST", "/auth/form/org-leave"): _form("signed_in"),
    ("POST", "/auth/form/org-rename"): _form("signed_in"),
    ("POST", "/auth/form/org-delete"): _form("signed_in"),
    ("POST", "/auth/form/org-end-token"): _form("signed_in"),
}

CLAIMS = web.RequestKey("CLAIMS", Claims)


def policy_of(request: web.BaseRequest) -> Policy | None:
    """The row of the route that *request* was resolved to; HEAD is GET."""
    assert isinstance(request, web.Request)
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return ROWS.get((method, resource.canonical)) if resource else None


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse who may not, and every route that has no row. What has no route at all is a 404 or 405 as ever."""
    if request.match_info.http_exception is not None:
        return await handler(request)
    policy = policy_of(request)
    if policy is None:
        log.error("route.without_policy", method=request.method)
        raise Problem(403, "no_policy")
    if policy.guarded:
        if request.method not in SAFE_METHODS and policy.cross_site == "guarded":
            require_same_site(request)
        await _require(request, policy)
    return await handler(request)


def claims_of(request: web.Request) -> Claims:
    """Whose request this is, where the route's row asks for that."""
    return request[CLAIMS]


async def _require(request: web.Request, policy: Policy) -> None:
    if policy.access == "permitted":
        claims = require_permitted(request, policy.permission)
    else:
        claims = require_signed_in(request).claims
    if policy.access == "fresh":
        require_fresh(request, claims)
    if policy.paced and request.method not in SAFE_METHODS:
        context = context_of(request)
        context.throttles.count_change(claims.sub, context.clock)
    if policy.access == "member":
        await _require_member(request, claims, policy.permission)
    request[CLAIMS] = claims


def require_permitted(request: web.Request, permission: str) -> Claims:
    """Whose bearer token this is, a service's or a person's, if it has *permission*. Raises: Problem."""
    claims = require_bearer(request)
    if permission not in claims.permissions:
        raise Problem(403, "permission_missing")
    return claims


def require_fresh(request: web.Request, claims: Claims) -> None:
    """Raises: Problem 401 where the session is older than `FRESH_SECONDS` (RFC 9470 §3)."""
    age = context_of(request).clock.now_ms() // 1000 - claims.auth_time
    if age > FRESH_SECONDS:
        raise reauthentication_required()


def reauthentication_required() -> Problem:
    """401: who this is, is known; that it is still the person, is not."""
    challenge = (
        'Bearer error="insufficient_user_authentication", '
        f'error_description="reauthentication_required", max_age="{FRESH_SECONDS}"'
    )
    return Problem(401, "reauthentication_required", headers={"WWW-Authenticate": challenge})


async def _require_member(request: web.Request, claims: Claims, permission: str) -> None:
    accounts = context_of(request).accounts
    assert accounts is not None, "the routes of organisations are there only where accounts are"
    org = request.match_info["org"]
    refusal = await accounts.orgs.refusal(org, claims.sub, permission)
    if refusal == "no_such_org":
        raise Problem(404, "not_found")
    if refusal:
        raise Problem(403, refusal)
