"""Problem documents (RFC 9457): one per stable code, with the request's id and nothing about the input."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from prometheus_client import Counter

from services.auth.ports import (
    BusUnavailableError,
    ClockSkewedError,
    FeedStaleError,
    NotAnnouncedError,
    StoreUnavailableError,
    StoreUnsettledError,
)
from services.auth.ports.accounts import HasherBusyError

CONTENT_TYPE = "application/problem+json"
REASON = "X-Latchwire-Reason"  # the code again, where a script or a proxy reads no body
REQUEST_ID = web.RequestKey("REQUEST_ID", str)

# code -> what a developer reads. The codes are the contract; the sentences may get better.
TITLES: Mapping[str, str] = {
    "invalid_content_type": "Send a JSON object as application/json.",
    "invalid_json": "The body is not one JSON object in UTF-8.",
    "invalid_request": "The body does not have the fields this route takes.",
    "invalid_email": "That is not one plain e-mail address.",
    "invalid_next": "next must be a path of this site.",
    "body_too_large": "The body is larger than this route takes.",
    "too_many_requests": "Too many requests from this network.",
    "too_many_changes": "Too many changes by this account in too short a time.",
    "link_spent": "This link or code does not work, or no longer works.",
    "csrf_failed": "This request did not come from a page of this site.",
    "no_credentials": "This needs an access token.",
    "two_credentials": "More than one credential of a kind was sent.",
    "two_subjects": "The credentials belong to different people.",
    "token_invalid": "The access token does not count.",
    "token_expired": "The access token has run out.",
    "token_revoked": "The access token was revoked.",
    "refresh_invalid": "The refresh token does not count.",
    "session_ended": "The session is over.",
    "invalid_client": "Unknown client, or a wrong secret.",
    "client_only": "Only a confidential client may name the person's address and browser.",
    "no_policy": "This route is open to nobody.",
    "permission_missing": "This needs a permission that the credential does not carry.",
    "already_replaced": "This token has been replaced already: rotate the newer one.",
    "already_there": "This token is kept already.",
    "service_revoked": "The service was revoked as a whole: its name is not used again.",
    "beyond_own_permissions": "Nobody gives scopes that he does not have himself.",
    "invalid_lifetime": "A token lives 366 days at most.",
    "reauthentication_required": "This needs a sign-in of the last ten minutes.",
    "not_permitted": "Your roles in this organisation do not permit that.",
    "beyond_own_roles": "Nobody gives or takes roles that permit more than his own.",
    "unknown_role": "There is no such role.",
    "last_owner": "An organisation keeps an owner: make somebody else one first.",
    "already_member": "That person is a member already.",
    "too_many": "There are too many of these already.",
    "invalid_name": "That cannot be the name of an organisation.",
    "other_address": "This invitation is for another address than the one you are signed in with.",
    "provider_denied": "The person refused at the provider.",
    "provider_failed": "The provider's answer cannot be used.",
    "provider_unavailable": "The provider does not answer. Nothing was done; try again.",
    "provider_not_proven": "What came back does not prove who it is.",
    "provider_no_email": "The provider gave no address.",
    "provider_login_spent": "This login was begun elsewhere, too long ago, or is finished already.",
    "login_refused": "This person may not log in here.",
    "password_too_short": "The password has too few characters.",
    "password_too_long": "The password has more than 1024 bytes.",
    "password_common": "The password is one of the first that anybody would try.",
    "invalid_credentials": "Wrong address or password, or there is none.",
    "not_found": "There is nothing here.",
    "method_not_allowed": "This route does not take that method.",
    "unavailable": "A part this needs is away. Nothing is lost; try again.",
    "store_unsettled": "Nobody can vouch for the store at the moment. Nobody is signed out; try again.",
    "bad_request": "The request cannot be read.",
    "internal_error": "Something went wrong here.",
}

REFUSALS = Counter("latchwire_auth_refusals", "Requests that auth refused, by code", ["code"])
for _code in TITLES:
    REFUSALS.labels(_code)  # each is there with 0: a rate sees the first one

UNANNOUNCED = "It is over here. The other services are told as soon as they can be reached."


class Problem(Exception):
    """A refusal on its way to the client: *status*, a stable *code*, optional members and headers."""

    def __init__(
        self,
        status: int,
        code: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self.members = dict(members or {})
        super().__init__(code)

    @property
    def title(self) -> str:
        """The sentence of the code."""
        return TITLES[self.code]


def count_refusal(problem: Problem) -> None:
    """One more request ends so; to be called once by whatever writes the answer."""
    REFUSALS.labels(problem.code).inc()


def problem_response(request: web.BaseRequest, problem: Problem) -> web.Response:
    """*problem* as ``application/problem+json``."""
    count_refusal(problem)
    return web.Response(
        body=problem_document(problem, request.get(REQUEST_ID, "")),
        status=problem.status,
        headers={REASON: problem.code, **problem.headers},
        content_type=CONTENT_TYPE,
    )


def problem_document(problem: Problem, request_id: str) -> bytes:
    """The body."""
    document = {
        "type": f"urn:latchwire:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": TITLES[problem.code],
        "code": problem.code,
        "request_id": request_id,
        **problem.members,
    }
    return json.dumps(document).encode()


RETRY = {"Retry-After": "2"}
AWAY = (StoreUnavailableError, BusUnavailableError, FeedStaleError, HasherBusyError)
# The first that fits: the more special ones come first.
_MISSING: tuple[tuple[type[Exception], str], ...] = (
    (ClockSkewedError, "clock"),
    (StoreUnavailableError, "store"),
    (BusUnavailableError, "bus"),
    (FeedStaleError, "feed"),
    (HasherBusyError, "hasher"),
)


def away(error: Exception) -> Problem:
    """503 for one of `AWAY`. Never a reason to log anybody out."""
    if isinstance(error, NotAnnouncedError):
        return unannounced()
    if isinstance(error, StoreUnsettledError):
        return Problem(503, "store_unsettled", headers=RETRY, members={"missing": "store"})
    return unavailable(next(name for kind, name in _MISSING if isinstance(error, kind)))


def unannounced() -> Problem:
    """503 although the session is over here: not everybody could be told of it yet."""
    members = {"missing": "bus", "detail": UNANNOUNCED}
    return Problem(503, "unavailable", headers=RETRY, members=members)


def unavailable(what: str) -> Problem:
    """503: *what* (store, clock, bus, feed, hasher) is away, or too busy, for now."""
    return Problem(503, "unavailable", headers=RETRY, members={"missing": what})
