"""Strict JSON bodies: the right Content-Type, bounded, UTF-8, one object, no field we do not know.

aiohttp's own ``request.json()`` would take ``text/plain``, which another site may post without a preflight,
and turns odd bytes into a 500 (yardstick M-30).
"""

from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from services.auth.http.problems import Problem

MAX_BODY = 16 * 1024
JSON = "application/json"


class Body(BaseModel):
    """A request body: strict types, unknown fields refused, no input in an error's text."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, str_max_length=4096
    )

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        """No values: a body in a traceback would carry a token or an address."""
        return []


BodyT = TypeVar("BodyT", bound=Body)


async def read_body(request: web.Request, model: type[BodyT], *, empty_ok: bool = False) -> BodyT:
    """The body as *model*; with *empty_ok*, no body at all is the empty object.

    Raises:
        Problem: 400, 413 or 415 with a stable code.
    """
    if empty_ok and not request.can_read_body:
        return model()
    if request.content_type != JSON or (request.charset or "utf-8").lower() != "utf-8":
        raise Problem(415, "invalid_content_type")
    return _parse(await read_bounded(request), model)


async def read_bounded(request: web.Request) -> bytes:
    """The body, at most `MAX_BODY` bytes of it. Raises: Problem."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            raise Problem(413, "body_too_large", headers={"Connection": "close"})
    return bytes(body)


def _parse(body: bytes, model: type[BodyT]) -> BodyT:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    # Names of fields are the client's own text when they are unknown: only ours are repeated.
    known = model.model_fields.keys()
    if any(p["type"] in {"json_invalid", "model_type"} for p in problems):
        raise Problem(400, "invalid_json")
    fields = sorted({str(p["loc"][0]) for p in problems if p["loc"] and p["loc"][0] in known})
    unknown = any(p["type"] == "extra_forbidden" for p in problems)
    raise Problem(400, "invalid_request", members={"fields": fields, "unknown_fields": unknown})
