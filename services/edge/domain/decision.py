"""The decision table: every code an edge may refuse with, and what the gateway hears.

401 asks for a credential, 403 means that none would help, 503 that the edge cannot know now. A stale
edge never says 401: nobody is logged out because a server is away.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

from latchwire.blocklist import Fingerprint
from latchwire.claims import Claims
from services.edge.domain.assertion import NOT_PASSED, Passed
from services.edge.domain.original import Original
from services.edge.domain.routes import Route
from shared.catalogue import Service

Code: TypeAlias = Literal[
    "untrusted_peer",
    "bad_forwarded",
    "ambiguous_path",
    "no_route",
    "wrong_service",
    "not_exposed",
    "preflight_refused",
    "stale",
    "two_credentials",
    "two_subjects",
    "no_credentials",
    "token_invalid",
    "token_expired",
    "token_revoked",
    "csrf_failed",
    "wrong_token_type",
    "not_allowed",
    "login_too_old",
    "internal",
]

STATUS: Final[dict[Code, int]] = {
    "untrusted_peer": 403,
    "bad_forwarded": 403,
    "ambiguous_path": 403,
    "no_route": 403,
    "wrong_service": 403,
    "not_exposed": 403,
    "preflight_refused": 403,
    "stale": 503,
    "two_credentials": 403,
    "two_subjects": 403,
    "no_credentials": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "token_revoked": 401,
    "csrf_failed": 403,
    "wrong_token_type": 403,
    "not_allowed": 403,
    "login_too_old": 401,
    "internal": 503,
}


# A browser that is told one of these has a token whose session may go on: it ran out, or what it says of the
# person (roles, an organisation) is true no more. Only auth knows whether the session is over too.
RENEWABLE: Final[frozenset[Code]] = frozenset({"token_expired", "token_revoked"})


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token whose signature, issuer, audience and form are right, with what each check needs.

    *identity* is its identity headers as they go on the wire. *passed* tells on whose behalf a service calls.
    From *from_ms* until before *until_ms* (Unix ms) its own times are right; outside they are to be looked at.
    *revoked_at* (Unix ms, 0: not) is of a service token whose register says so; then it is in its time never.
    *standings* is for `services.edge.flows.standings`: what is kept with the token goes with it.
    """

    claims: Claims
    fingerprint: Fingerprint
    identity: bytes
    passed: Passed = NOT_PASSED
    from_ms: int = 0
    until_ms: int = 0
    revoked_at: int = 0
    standings: dict[int, "Standing"] = field(default_factory=dict, compare=False, repr=False)

    @property
    def own_sid(self) -> str:
        """The session of the token itself, also where the claims are of whom a service calls for."""
        return self.passed.caller_sid or self.claims.sid


@dataclass(slots=True)
class Standing:
    """One token at one *service*: what no request and no moment changes, and the headers last told.

    *refused*: the code and the rule that its bearer does not meet, whatever the time. *lines* are all its
    header lines, by key number *era* (0: none yet), made at *made_ms*, good until *renew_ms* (Unix ms).
    """

    service: Service
    refused: tuple[Code, str] | None
    era: int = 0
    made_ms: int = 0
    renew_ms: int = 0
    lines: bytes = b""


class Allowed(NamedTuple):
    """Let it through: as *token*'s owner, or as nobody (a public route or a preflight)."""

    route: Route
    token: VerifiedToken | None


@dataclass(frozen=True, slots=True)
class Denied:
    """Do not let it through. *detail* is for an operator's eyes; it repeats nothing of the token.

    *original* is there when it could be read; *cookie* tells that a session cookie came and no bearer.
    *max_age* is how many seconds ago the login may have been, where it was too long ago (RFC 9470 §3).
    """

    code: Code
    detail: str = ""
    original: Original | None = None
    service: str = ""
    cookie: bool = False
    token: VerifiedToken | None = None
    max_age: int = 0


Decision: TypeAlias = Allowed | Denied
