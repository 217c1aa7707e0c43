"""A check, start to end: route, credential, token, revocation, origin, permission.

Everything is in memory and nothing waits. The order is the contract's (DESIGN §7): what is decided first
is what a caller may learn first.
"""

from dataclasses import dataclass

from latchwire.tokens import Refused, TokenPolicy, check_times
from services.edge.domain import csrf
from services.edge.domain.credentials import Presented, read_credentials
from services.edge.domain.decision import Allowed, Code, Decision, Denied, VerifiedToken, may_use
from services.edge.domain.original import Fields, Original, is_preflight, read_original
from services.edge.domain.paths import plain_path
from services.edge.domain.routes import Route, RouteTable
from services.edge.flows.tokens import VerifiedTokens
from services.edge.ports import Revocations
from shared.clock import Clock


@dataclass(frozen=True, slots=True)
class _Protected:
    """A request for a route that needs a token."""

    original: Original
    route: Route
    fields: Fields

    def denied(self, code: Code, detail: str = "", presented: Presented | None = None) -> Denied:
        cookie = presented is not None and bool(presented.cookie) and not presented.bearer
        return Denied(code, detail, self.original, self.route.service.name, cookie)


class Checker:
    """Decides checks. *max_staleness* in seconds, for routes that do not say otherwise."""

    def __init__(
        self,
        *,
        routes: RouteTable,
        tokens: VerifiedTokens,
        revocations: Revocations,
        policy: TokenPolicy,
        clock: Clock,
        cookie_name: str,
        max_staleness: float,
    ) -> None:
        self._routes = routes
        self._tokens = tokens
        self._revocations = revocations
        self._policy = policy
        self._clock = clock
        self._cookie_name = cookie_name.encode("ascii")
        self._max_staleness = max_staleness

    def check(self, fields: Fields) -> Decision:
        """May the request pass that *fields*, the check's own headers, describe?"""
        original = read_original(fields)
        if original is None:
            return Denied("bad_forwarded")
        path = plain_path(original.target)
        if path is None:
            return Denied("ambiguous_path", original=original)
        route = self._routes.find(original.host, path)
        if route is None:
            return Denied("no_route", original=original)
        if route.public or is_preflight(original, fields):
            return Allowed(route, None)
        return self._protected(_Protected(original, route, fields))

    def check_token(self, token: bytes) -> VerifiedToken | Denied:
        """Is *token* good at this moment: genuine, within its times, not revoked?"""
        verified = self._tokens.verify(token)
        if isinstance(verified, Refused):
            return Denied(verified.code, verified.detail)
        now_ms = self._clock.now_ms()
        refused = check_times(verified.claims, self._policy, now_ms)
        if refused is not None:
            return Denied(refused.code, refused.detail, token=verified)
        hit = self._revocations.find(verified.fingerprint, now_ms)
        if hit is not None:
            return Denied("token_revoked", hit.scope, token=verified)
        return verified

    def is_stale(self, route: Route | None = None) -> bool:
        """Whether the blocklist's last proof is too old for *route*."""
        own = route.service.max_staleness_seconds if route is not None else None
        allowed = self._max_staleness if own is None else own
        return self._revocations.staleness_seconds() > allowed

    def _protected(self, request: _Protected) -> Decision:
        if self.is_stale(request.route):
            return request.denied("stale")
        fields = request.fields
        presented = read_credentials(
            fields.get(b"authorization", ()), fields.get(b"cookie", ()), self._cookie_name
        )
        if not isinstance(presented, Presented):
            return request.denied(presented)
        token = presented.bearer or presented.cookie
        if not token:
            return request.denied("no_credentials")
        if presented.bearer and presented.cookie and self._differ(presented):
            return request.denied("two_subjects")
        verified = self.check_token(token)
        if isinstance(verified, Denied):
            return request.denied(verified.code, verified.detail, presented)
        return self._permitted(request, presented, verified)

    def _permitted(
        self, request: _Protected, presented: Presented, token: VerifiedToken
    ) -> Decision:
        original, claims = request.original, token.claims
        forgeable = not presented.bearer and not original.safe
        if forgeable and not csrf.is_allowed(original, request.fields, claims.csrf):
            return request.denied("csrf_failed", presented=presented)
        if not may_use(request.route.service, claims):
            return request.denied("not_allowed", presented=presented)
        return Allowed(request.route, token)

    def _differ(self, presented: Presented) -> bool:
        """Whether two genuine tokens name two people; what is no token of ours names nobody."""
        bearer = self._tokens.verify(presented.bearer)
        cookie = self._tokens.verify(presented.cookie)
        if isinstance(bearer, Refused) or isinstance(cookie, Refused):
            return False
        return bearer.claims.sub != cookie.claims.sub
