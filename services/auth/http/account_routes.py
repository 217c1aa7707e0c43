"""``/auth/register``: an address and a password, and the same 202 for every address. Only with accounts."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from services.auth.domain.password_use import PasswordRefused
from services.auth.http.asking import ULID, AskBody, read_ask
from services.auth.http.context import accounts_of
from services.auth.http.pacing import HASHED_SECONDS, paced
from services.auth.http.problems import Problem


class RegisterBody(AskBody):
    """POST /auth/register."""

    password: Annotated[str, Field(repr=False)]


class ResendBody(AskBody):
    """POST /auth/register/resend; *login_id* is what the registration answered."""

    login_id: Annotated[str, Field(pattern=ULID)] | None = None


async def register(request: web.Request) -> web.Response:
    """POST /auth/register: 202 for every address, 400 for a password that nobody may have."""
    asker, body = await read_ask(request, RegisterBody)
    flow = accounts_of(request).registering
    result = await paced(request, flow.register(asker.ask, body.password), HASHED_SECONDS)
    if isinstance(result, PasswordRefused):
        raise Problem(400, result.code)
    return asker.answer(request, result)


async def resend(request: web.Request) -> web.Response:
    """POST /auth/register/resend: the mail once more; 202 for every address."""
    asker, body = await read_ask(request, ResendBody)
    flow = accounts_of(request).registering
    result = await paced(request, flow.resend(asker.ask, body.login_id or ""), HASHED_SECONDS)
    return asker.answer(request, result)


ROUTES = (
    web.post("/auth/register", register),
    web.post("/auth/register/resend", resend),
)
