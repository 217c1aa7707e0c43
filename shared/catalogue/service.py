"""One service behind the gateway, as the edge decides by it and as Traefik's routes are rendered from it.

Plain values without a library: reading and checking the file is `shared.catalogue.reading`'s affair.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

TokenType: TypeAlias = Literal["user", "service"]

ANY: Final = "*"
UPSTREAM: Final = "upstream"  # the Content-Security-Policy is the service's own affair


@dataclass(frozen=True, slots=True)
class Needs:
    """Names a caller must have: at least one of *any*, and every one of *all*; an empty half asks nothing."""

    any: tuple[str, ...] = ()
    all: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.any or self.all)

    def met_by(self, held: tuple[str, ...]) -> bool:
        """Whether who holds *held* has what is needed."""
        if self.any and set(self.any).isdisjoint(held):
            return False
        return not self.all or set(self.all) <= set(held)


NOTHING: Final = Needs()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most *count* requests in *seconds* from one client address, and *burst* at once."""

    count: int
    seconds: float
    burst: int


@dataclass(frozen=True, slots=True)
class Service:
    """One service behind the gateway. *host* is lower-case, or None for every host.

    *token_types* says who may call at all. A person (``user``) needs *roles*, one of *emails*, an active
    organisation of *organisations* (`ANY`: any), and a login at most *login_age_seconds* old; a service needs
    to be one of *callers* (`ANY`: any); both need *permissions*. What is empty asks nothing.

    *expose_publicly* False: answered only for a check that names it, and routed at the internal entry point
    alone. *headers* are pairs of a header's name and the claim it carries. *middlewares* are the operator's
    own, by the gateway's full name. *content_security_policy* None: the gateway's usual one, `UPSTREAM`: none.
    """

    name: str
    host: str | None
    paths: tuple[str, ...]
    upstream: str
    require_auth: bool = True
    roles: Needs = NOTHING
    emails: tuple[str, ...] = ()
    public_paths: tuple[str, ...] = ()
    max_staleness_seconds: float | None = None
    expose_publicly: bool = True
    permissions: Needs = NOTHING
    organisations: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    token_types: tuple[TokenType, ...] = ("user",)
    login_age_seconds: float | None = None
    allowed_origins: tuple[str, ...] = ()
    allow_credentials: bool = False
    rate_limit: RateLimit | None = None
    middlewares: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    security_headers: bool = True
    content_security_policy: str | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All services, in the order of the file."""

    services: tuple[Service, ...]

    @property
    def hosts(self) -> frozenset[str]:
        """The host names that services answer on, lower-case."""
        return frozenset(s.host for s in self.services if s.host is not None)
