"""The keys of ``services.yaml`` with their types and bounds; `model_json_schema` gives editors its schema."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

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
Upstream = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$")]
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


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class RoleNeeds(_Document):
    """Roles with both halves written out."""

    any: list[Role] = []
    all: list[Role] = []


class PermissionNeeds(_Document):
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


class ServiceDocument(_Document):
    """One entry under ``services``."""

    host: Host | None = None
    paths: list[PathPrefix] = Field(default=["/"], min_length=1)
    upstream: Upstream
    expose_publicly: bool = True
    require_auth: bool = True
    public_paths: list[PathPrefix] = []
    token_types: list[TokenType] = Field(default=["user"], min_length=1)
    roles: Roles = RoleNeeds()
    permissions: Permissions = PermissionNeeds()
    organisation: Organisations = []
    emails: list[Email] = []
    callers: list[Caller] = []
    login_age: Duration | None = None
    allowed_origins: list[Origin] = []
    allow_credentials: bool = False
    rate_limit: Rate | None = None
    rate_burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    middlewares: list[Middleware] = []
    headers: dict[HeaderName, Claim] = {}
    security_headers: bool = True
    content_security_policy: Policy | None = None
    max_staleness: Duration | None = None


class CatalogueDocument(_Document):
    """The whole file."""

    services: dict[Name, ServiceDocument]
