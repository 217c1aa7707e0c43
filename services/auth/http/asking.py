"""What the requests for a mail have in common: who asks, for which address, and the one answer."""

from dataclasses import dataclass
from typing import Annotated, TypeVar

from aiohttp import web
from pydantic import Field

from services.auth.domain.client import Client, describe_browser, describe_network
from services.auth.domain.link import (
    CodeProof,
    LinkAsk,
    LinkSent,
    Proof,
    TokenProof,
    TooManyRequests,
)
from services.auth.http.bodies import Body, read_body
from services.auth.http.clients import read_client_id
from services.auth.http.context import context_of
from services.auth.http.cookies import ensure_browser, hash_browser, read_browser, set_browser
from services.auth.http.problems import Problem
from services.auth.http.reading import read_client, require_same_site
from shared.emails import InvalidEmailError, canonical_email

ULID = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
# 128 bits at least, in base64url: the name of a browser does not fit.
Device = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22,128}$")]


class ClientBody(Body):
    """The person behind a confidential client: the address and User-Agent as its server saw them.

    *device*: a random value that the client made for this browser and keeps in it, as we do with our cookie.
    """

    address: Annotated[str, Field(max_length=64)] = ""
    user_agent: Annotated[str, Field(max_length=1024)] = ""
    device: Annotated[Device | None, Field(repr=False)] = None


class AskBody(Body):
    """A request for a mail."""

    email: Annotated[str, Field(max_length=1024)]
    next: Annotated[str, Field(max_length=2048)] = ""
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$")] = "en"
    client: ClientBody | None = None


class ProofBody(Body):
    """What a mail carried: *token*, or *login_id* with *code*."""

    token: Annotated[str, Field(max_length=256)] | None = None
    login_id: Annotated[str, Field(pattern=ULID)] | None = None
    code: Annotated[str, Field(max_length=64)] | None = None

    def proof(self) -> Proof:
        """The one proof that is given. Raises: Problem."""
        if self.token is not None and self.login_id is None and self.code is None:
            return TokenProof(self.token)
        if self.token is None and self.login_id is not None and self.code is not None:
            return CodeProof(self.login_id, self.code)
        raise Problem(400, "invalid_request", members={"fields": ["token", "login_id", "code"]})


BodyT = TypeVar("BodyT", bound=AskBody)


@dataclass(frozen=True)
class Asker:
    """*nonce* is the browser's pre-login value, "" behind the confidential client *client_id*."""

    ask: LinkAsk
    client_id: str | None
    nonce: str

    def answer(self, request: web.Request, result: LinkSent | TooManyRequests) -> web.Response:
        """202 for every address. Raises: Problem: 429 when the network asks too often."""
        if isinstance(result, TooManyRequests):
            raise too_many_requests(result)
        sent = {"login_id": result.login_id, "expires_in": result.expires_in}
        return self.remember(request, web.json_response(sent, status=202))

    def remember(self, request: web.Request, response: web.Response) -> web.Response:
        """*response*, with the cookie that tells this browser apart."""
        if self.nonce:
            set_browser(request, response, self.nonce)
        return response


async def read_ask(
    request: web.Request, model: type[BodyT], *, always: bool = False
) -> tuple[Asker, BodyT]:
    """Who asks for what. *always*: see `require_same_site`. Raises: Problem."""
    client_id = read_client_id(request, context_of(request).clients)
    body = await read_body(request, model)
    require_same_site(request, always=always)
    return make_asker(request, body, client_id), body


def make_asker(request: web.Request, body: AskBody, client_id: str | None) -> Asker:
    """The asker of *body*. Raises: Problem."""
    nonce = "" if client_id else ensure_browser(request)
    browser = hash_browser(nonce) if nonce else browser_of(request, client_id, body.client)
    ask = LinkAsk(
        email=read_email(body.email),
        client=describe_client(request, client_id, body.client),
        browser=browser,
        next=read_next(request, body.next),
        locale=body.locale,
    )
    return Asker(ask, client_id, nonce)


def read_email(text: str) -> str:
    """The canonical form of an address. Raises: Problem."""
    try:
        return canonical_email(text)
    except InvalidEmailError as error:
        raise Problem(400, "invalid_email", members={"reason": error.code}) from error


def read_next(request: web.Request, text: str) -> str:
    """Where people may be sent, "" when nothing is asked for. Raises: Problem."""
    target = context_of(request).return_address(text) if text else ""
    if target is None:
        raise Problem(400, "invalid_next")
    return target


def describe_client(request: web.Request, client_id: str | None, body: ClientBody | None) -> Client:
    """The person's network and browser; only a confidential client may say them. Raises: Problem."""
    if body is None:
        return read_client(request)
    if client_id is None:
        raise Problem(403, "client_only")
    return Client(describe_network(body.address), describe_browser(body.user_agent))


def browser_of(request: web.Request, client_id: str | None, body: ClientBody | None) -> str:
    """What this browser is known by, hashed: a confidential client's `device`, our pre-login value, or ""."""
    if client_id is None or body is None or body.device is None:
        return read_browser(request)
    return hash_browser(f"device|{client_id}|{body.device}")


def too_many_requests(result: TooManyRequests) -> Problem:
    """429."""
    retry = {"Retry-After": str(result.retry_after)}
    return Problem(429, "too_many_requests", headers=retry)
