"""The keys of ``services.yaml`` with their types and bounds; `shared.catalogue.schema` is made of them.

The sentences below the keys are what editors show.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
)
from pydantic_core import PydanticCustomError

from shared.catalogue.service import TokenType

# Unreserved characters only (RFC 3986 §2.3): others have two spellings, which readers compare differently.
_PREFIX = r"^/$|^(?:/\.{0,2}[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)+$"
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"

PathPrefix = Annotated[str, StringConstraints(pattern=_PREFIX, max_length=1024)]
Host = Annotated[str, StringConstraints(pattern=rf"^(?:{_LABEL}\.)*{_LABEL}$", max_length=253)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Role = Annotated[str, StringConstraints(pattern=r"^[!-+\--~]{1,255}$")]
Permission = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.:-]{0,63}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\sA-Z]*@[^@\sA-Z]+$", max_length=254)]
# A name, which in a network of containers may have "_", or an address; a port.
Upstream = Annotated[
    str,
    StringConstraints(
        pattern=r"^https?://(?:[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$"
    ),
]
Duration = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,7}(?:ms|s|m|h)$")]
Organisation = Annotated[str, StringConstraints(pattern=r"^(?:\*|[A-Za-z0-9_-]{1,64})$")]
Caller = Annotated[str, StringConstraints(pattern=r"^(?:\*|[a-z][a-z0-9-]{0,62})$")]
# As a browser writes it in ``Origin``: scheme, host, and a port that is not the scheme's own.
Origin = Annotated[
    str,
    StringConstraints(
        pattern=r"^(?:\*|https?://[a-z0-9](?:[a-z0-9.-]{0,252})(?::[0-9]{1,5})?)$", max_length=270
    ),
]
Rate = Annotated[
    str,
    StringConstraints(pattern=r"^(?:standard|strict|[1-9][0-9]{0,6}/(?:second|minute|hour))$"),
]
Middleware = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^X(?:-[A-Za-z0-9]+)+$", max_length=64)]
Claim = Literal[
    "sub", "email", "org", "sid", "client_id", "roles", "permissions", "amr", "auth_time"
]
Policy = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,2048}$")]


def _empty() -> PydanticCustomError:
    return PydanticCustomError("empty_key", "is empty: write a value, or remove the key")


class _Document(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _not_forgotten(cls, value: Any) -> Any:
        """A key whose value was forgotten would mean "no rule"."""
        if value is None:
            raise _empty()
        return value


class _Rules(_Document):
    @field_validator("*", mode="before")
    @classmethod
    def _not_empty(cls, value: Any) -> Any:
        """So would a list of nobody: it would let everybody in."""
        if value in ([], {}):
            raise _empty()
        return value


class _Halves(_Rules):
    model_config = ConfigDict(json_schema_extra={"minProperties": 1})


class RoleNeeds(_Halves):
    """Roles with both halves written out."""

    any: list[Role] = []
    all: list[Role] = []


class PermissionNeeds(_Halves):
    """Permissions with both halves written out."""

    any: list[Permission] = []
    all: list[Permission] = []


def _written_out(value: Any) -> Any:
    """``[a, b]`` is short for ``{any: [a, b]}``."""
    return {"any": value} if isinstance(value, list) else value


Roles = Annotated[
    RoleNeeds, BeforeValidator(_written_out, json_schema_input_type=list[Role] | RoleNeeds)
]
Permissions = Annotated[
    PermissionNeeds,
    BeforeValidator(_written_out, json_schema_input_type=list[Permission] | PermissionNeeds),
]
Organisations = Annotated[
    list[Organisation],
    BeforeValidator(
        lambda value: [value] if isinstance(value, str) else value,
        json_schema_input_type=Organisation | list[Organisation],
    ),
]


class ServiceDocument(_Rules):
    """One service behind the gateway."""

    host: Host | None = None
    """Where it answers: the bare host name. Without it: every host."""
    paths: list[PathPrefix] = ["/"]
    """Prefixes by segment: /shop and /shop/basket, never /shopping. The longest one wins."""
    upstream: Upstream
    """Where the gateway sends what may pass: http://host:port, without a path."""
    expose_publicly: bool = True
    """false: only the gateway's internal entry point has a route to it."""
    require_auth: bool = True
    """false: everybody may, without a token."""
    public_paths: list[PathPrefix] = []
    """Open to everybody nevertheless. The service gets empty identity headers there."""
    token_types: list[TokenType] = ["user"]
    """Who may call: people (user), services with a token of their own (service), or both."""
    roles: Roles = RoleNeeds()
    """What a person needs: one of a list, or {any: [...], all: [...]}."""
    permissions: Permissions = PermissionNeeds()
    """What whoever calls needs: one of a list, or {any: [...], all: [...]}. Of a service: scopes."""
    organisation: Organisations = []
    """Which organisation must be active for a person, or bind a service's token that is bound: "*" or ids."""
    emails: list[Email] = []
    """Which people: whole addresses, or domains as @acme.com; in lower case."""
    callers: list[Caller] = []
    """Which services; "*": any that has the permissions."""
    login_age: Duration | None = None
    """How long ago a person may have logged in, from 1m to 720h; who logged in before that does it again."""
    allowed_origins: list[Origin] = []
    """Whose pages' scripts may call this service (CORS), as a browser writes it in Origin; "*": any page's."""
    allow_credentials: bool = False
    """true: with the visitor's cookies too. Never together with "*"."""
    rate_limit: Rate | None = None
    """Of one client address: standard (100/minute), strict (20/minute), or a number: 5/second, 100/hour."""
    rate_burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How many at once; half the limit when it is not written."""
    middlewares: list[Middleware] = []
    """Your own at the gateway by their full names (compress@file), after the check; or our words for keys."""
    headers: dict[HeaderName, Claim] = Field(default={}, min_length=1)
    """Claims as request headers for the service, beside the usual ones; empty where nobody is known."""
    security_headers: bool = True
    """HSTS, nosniff, no framing, a referrer policy and a Content-Security-Policy on every answer."""
    content_security_policy: Policy | None = None
    """In place of the usual Content-Security-Policy and a service's; upstream: its own left alone."""
    max_staleness: Duration | None = None
    """How old the edge's proof of a complete blocklist may be here, from 1s to 15m."""


class CatalogueDocument(_Document):
    """Which service answers where behind the gateway, and who may call it. What is not here is refused."""

    services: dict[Name, ServiceDocument]
    """By name: lower-case letters, digits and dashes."""
