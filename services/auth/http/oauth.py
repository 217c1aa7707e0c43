"""How the OAuth endpoints read and answer: forms in, RFC 6749 §5.2 errors out, clients by HTTP Basic.

A request carries its token in the body and nothing of ours in cookies counts, so no other site can make a
browser do here what its page could not do by itself.
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.typedefs import Handler

from services.auth.domain.limits import Throttle, retry_after
from services.auth.domain.session import FIRST_PARTY
from services.auth.http.bodies import read_bounded
from services.auth.http.clients import read_client_id
from services.auth.http.context import context_of
from services.auth.http.problems import AWAY, REASON, Problem, away, count_refusal
from services.auth.http.reading import read_client

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 16
MAX_TOKEN = 4096
BASIC = {"WWW-Authenticate": 'Basic realm="auth"'}


class OAuthError(Exception):
    """RFC 6749 §5.2: *error* is the protocol's code, *description* a sentence for a developer."""

    def __init__(
        self,
        status: int,
        error: str,
        description: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.error = error
        self.description = description
        self.headers = dict(headers or {})
        super().__init__(error)


def answers_oauth(handler: Handler) -> Handler:
    """Every refusal of *handler* as RFC 6749 §5.2 has it; 503 means "not now, ask again" (RFC 7009 §2.2.1)."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except OAuthError as error:
            return _refusal(error)
        except Problem as problem:
            return _refusal(_as_oauth(problem))
        except AWAY as error:
            return _refusal(_as_oauth(away(error)))

    return answer


async def read_fields(request: web.Request) -> Mapping[str, str]:
    """The fields of the form; one without a value counts as absent, an unknown one is ignored (RFC 6749 §3.2).

    Raises:
        OAuthError: not a form, or a field is there twice.
        Problem: too large.
    """
    if request.content_type != FORM:
        raise invalid_request(f"Send a form: Content-Type {FORM}.")
    try:
        text = (await read_bounded(request)).decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise invalid_request("The body is no form in UTF-8.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise invalid_request("A field is there more than once.")
    return {name: value for name, value in fields.items() if value}


def read_token(fields: Mapping[str, str]) -> str:
    """The token of a form; any ``token_type_hint`` is ignored: a token tells its kind. Raises: OAuthError."""
    token = fields.get("token", "")
    if not token:
        raise invalid_request("The field token is missing.")
    return token if len(token) <= MAX_TOKEN else ""  # none of ours is so long: an unknown token


def read_requester(request: web.Request, fields: Mapping[str, str]) -> str:
    """The client's id: a confidential one's that has proven it, or the first party's (`FIRST_PARTY`).

    A public client is named by ``client_id`` (RFC 6749 §3.2.1) or not at all: there is only one.

    Raises:
        OAuthError: wrong credentials, none where there must be some, or too many requests.
        Problem: the same of wrong credentials.
    """
    client_id = _authenticated(request)
    if client_id is None:
        count_stranger(request)
        if "client_secret" in fields or fields.get("client_id", FIRST_PARTY) != FIRST_PARTY:
            raise invalid_client()
        return FIRST_PARTY
    count_client(request, client_id)
    if fields.get("client_id", client_id) != client_id:
        raise invalid_request("client_id names another client than the Authorization header.")
    return client_id


def count_stranger(request: web.Request) -> None:
    """One more of a network that has proven nothing. Raises: OAuthError: too many."""
    _count(request, context_of(request).throttles.networks, read_client(request).network)


def count_client(request: web.Request, name: str) -> None:
    """One more of somebody who has. Raises: OAuthError: too many."""
    _count(request, context_of(request).throttles.clients, name)


def invalid_request(description: str) -> OAuthError:
    """400 invalid_request."""
    return OAuthError(400, "invalid_request", description)


def invalid_client(why: str = "") -> OAuthError:
    """401 invalid_client, with the way to authenticate; *why* where who asks may know more than that."""
    description = why or "Authenticate as a configured client by HTTP Basic."
    return OAuthError(401, "invalid_client", description, BASIC)


def _authenticated(request: web.Request) -> str | None:
    """Who tries out secrets is counted with the network the tries come from."""
    context = context_of(request)
    try:
        return read_client_id(request, context.clients)
    except Problem:
        count_stranger(request)
        raise


def _count(request: web.Request, throttle: Throttle, key: str) -> None:
    wait_ms = throttle.wait_ms(key, context_of(request).clock.monotonic() * 1000)
    if wait_ms:
        headers = {"Retry-After": str(retry_after(wait_ms))}
        raise OAuthError(429, "too_many_requests", "Too many requests; try again later.", headers)


def _as_oauth(problem: Problem) -> OAuthError:
    """*problem* in the protocol's words; its own code stays in the header that all answers have."""
    count_refusal(problem)
    names = {401: "invalid_client", 413: "invalid_request", 503: "temporarily_unavailable"}
    error = OAuthError(
        problem.status,
        names.get(problem.status, "invalid_request"),
        str(problem.members.get("detail", problem.title)),
        problem.headers,
    )
    error.headers[REASON] = problem.code
    return error


def _refusal(error: OAuthError) -> web.Response:
    body = {"error": error.error, "error_description": error.description}
    headers = {REASON: error.error, **error.headers}
    return web.json_response(body, status=error.status, headers=headers)
