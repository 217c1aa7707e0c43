"""A check, start to end: route, credential, token, revocation, origin, permission.

Everything is in memory and nothing waits. The order is the contract's (DESIGN §7): what is decided first
is what a caller may learn first.
"""

from latchwire.keys import KeyRing
from latchwire.tokens import Refused, TokenPolicy, check_times
from services.edge.domain import csrf
from services.edge.domain.credentials import Presented, read_credentials
from services.edge.domain.decision import Allowed, Code, Decision, Denied, VerifiedToken
from services.edge.domain.original import Asking, Fields, is_preflight
from services.edge.domain.routes import Route, RouteTable
from services.edge.domain.rules import ORGANISATION, refuse_old_login
from services.edge.flows.passing import Passing, refuse_passed
from services.edge.flows.routing import Asked, Router
from services.edge.flows.standings import standing_of
from services.edge.flows.tokens import VerifiedTokens
from services.edge.ports import Revocations
from shared.catalogue import Service
from shared.clock import Clock
from shared.messages import ServiceToken


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
        passing: Passing,
    ) -> None:
        self._router = Router(routes)
        self._tokens = tokens
        self._revocations = revocations
        self._policy = policy
        self._clock = clock
        self._cookie_name = cookie_name.encode("ascii")
        self._max_staleness = max_staleness
        self.passing = passing
        # Seconds after its last proof at which no route of this edge answers any more.
        self.longest_staleness = max(max_staleness, routes.longest_staleness)
        # Of the documents in force; 0: the files that this process started with.
        self.keys_generation = 0
        self.catalogue_generation = 0
        self.tokens_generation = 0

    def use_keys(self, ring: KeyRing, generation: int) -> None:
        """Accept the tokens of *ring* from the next check on."""
        self._tokens.use(ring)
        self.keys_generation = generation

    def use_service_tokens(self, rows: tuple[ServiceToken, ...], kid: str, generation: int) -> None:
        """Accept exactly the service tokens of *rows*, of a document of *kid*, from the next check on."""
        self._tokens.use_service_tokens(rows, kid)
        self.tokens_generation = generation

    def use_routes(self, routes: RouteTable, generation: int) -> None:
        """Decide by *routes* from the next check on."""
        self._router.use(routes)
        self.longest_staleness = max(self._max_staleness, routes.longest_staleness)
        self.catalogue_generation = generation

    def check(self, asking: Asking, fields: Fields, chosen: str = "") -> Decision:
        """May the request pass that *asking* describes and that came with *fields*?

        *chosen*: the service the gateway is about to call, or the stamp of its entry, "" when it does not say.
        Two readers of one request need not agree; when they do not, the rule found here is not the upstream's.
        """
        return self.check_at(asking, fields, chosen, self._clock.now_ms())

    def check_at(self, asking: Asking, fields: Fields, chosen: str, now_ms: int) -> Decision:
        """As `check`, for who has looked at the clock (Unix ms)."""
        asked = self._router.find(asking)
        if isinstance(asked, Denied):
            return asked
        service = asked.route.service
        if chosen and chosen != asked.route.stamp and chosen != service.name:
            return self._by_both(asked, chosen, fields, now_ms)
        if not (chosen or service.expose_publicly):
            return _deny(asked, "not_exposed")
        return self._decide(asked, fields, now_ms)

    def _by_both(self, asked: Asked, chosen: str, fields: Fields, now_ms: int) -> Decision:
        """The gateway goes by another catalogue: it calls an earlier entry's upstream, by its shields.

        That is not opened by a rule for another one, nor by a rule that is past: both entries must let pass.
        """
        service = asked.route.service
        name, _, digest = chosen.partition(".")
        if not digest or name != service.name:
            # An edge that has just started may be the one that is behind.
            behind = bool(digest) and self.is_stale(asked.route)
            return _deny(asked, "stale" if behind else "wrong_service", chosen)
        earlier = self._router.find_earlier(asked, chosen)
        if isinstance(earlier, Denied):
            return earlier
        if earlier.route.service.expose_publicly and not service.expose_publicly:
            return _deny(asked, "not_exposed", chosen)
        decision = self._decide(asked, fields, now_ms)
        return decision if isinstance(decision, Denied) else self._decide(earlier, fields, now_ms)

    def _decide(self, asked: Asked, fields: Fields, now_ms: int) -> Decision:
        service = asked.route.service
        if asked.route.public:
            return asked.for_anybody
        if is_preflight(asked.original, fields):
            allowed = csrf.may_preflight(service, fields)
            return asked.for_anybody if allowed else _deny(asked, "preflight_refused")
        if self.is_stale(asked.route):
            return _deny(asked, "stale")
        presented = read_credentials(
            fields.get(b"authorization", ()), fields.get(b"cookie", ()), self._cookie_name
        )
        if not isinstance(presented, Presented):
            return _deny(asked, presented)
        return self._protected(asked, presented, fields, now_ms)

    def route_of(self, asking: Asking) -> Route | None:
        """The rule that `check` goes by for *asking*, or None when there is none."""
        asked = self._router.find(asking)
        return None if isinstance(asked, Denied) else asked.route

    def check_token(self, token: bytes) -> VerifiedToken | Denied:
        """Is *token* good at this moment: genuine, within its times, not revoked?"""
        return self._check_token(token, self._clock.now_ms())

    def _check_token(self, token: bytes, now_ms: int) -> VerifiedToken | Denied:
        verified = self._tokens.verify(token)
        if isinstance(verified, Refused):
            return Denied(verified.code, verified.detail)
        if not verified.from_ms <= now_ms < verified.until_ms:
            if verified.revoked_at:
                return Denied("token_revoked", "register", token=verified)
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

    def _protected(
        self, asked: Asked, presented: Presented, fields: Fields, now_ms: int
    ) -> Decision:
        token = presented.bearer or presented.cookie
        if not token:
            return _deny(asked, "no_credentials")
        if presented.bearer and presented.cookie and self._differ(presented):
            return _deny(asked, "two_subjects")
        verified = self._check_token(token, now_ms)
        if isinstance(verified, Denied):
            by_cookie = not presented.bearer
            return _deny(asked, verified.code, verified.detail, cookie=by_cookie)
        if verified.claims.service and not presented.bearer:
            return _deny(asked, "token_invalid", "a service's token in a cookie")
        forgeable = not presented.bearer and csrf.is_forgeable(asked.original, fields)
        service, claims = asked.route.service, verified.claims
        if forgeable and not csrf.is_allowed(asked.original, fields, claims.csrf, service):
            return _deny(asked, "csrf_failed")
        refused = _judge(service, verified, now_ms)
        if refused is not None:
            code, rule = refused
            return _deny(asked, code, rule, cookie=not presented.bearer)
        if claims.service:
            return self._for_whom(asked, verified, fields, now_ms)
        return Allowed(asked.route, verified)

    def _for_whom(
        self, asked: Asked, caller: VerifiedToken, fields: Fields, now_ms: int
    ) -> Decision:
        """*caller*, a service that may come in, with the one it calls for."""
        found = self.passing.read(caller, fields, now_ms)
        if isinstance(found, Denied):
            return _deny(asked, found.code, found.detail)
        if caller.claims.org and found.claims.org != caller.claims.org:
            return _deny(
                asked, "not_allowed", f"{ORGANISATION} (of whom {caller.claims.service} calls for)"
            )
        refused = refuse_passed(asked.route.service, found.claims, now_ms)
        if refused is not None:
            code, rule = refused
            return _deny(asked, code, f"{rule} (of whom {caller.claims.service} calls for)")
        return Allowed(asked.route, found)

    def _differ(self, presented: Presented) -> bool:
        """Whether two genuine tokens name two people; what is no token of ours names nobody."""
        bearer = self._tokens.verify(presented.bearer)
        cookie = self._tokens.verify(presented.cookie)
        if isinstance(bearer, Refused) or isinstance(cookie, Refused):
            return False
        return bearer.claims.sub != cookie.claims.sub


def _judge(service: Service, token: VerifiedToken, now_ms: int) -> tuple[Code, str] | None:
    """`services.edge.domain.rules.judge`, with what time does not change out of the token's standing."""
    refused = standing_of(token, service).refused
    if refused is not None or service.login_age_seconds is None or token.claims.service:
        return refused
    return refuse_old_login(service, token.claims.auth_time, now_ms)


def _deny(asked: Asked, code: Code, detail: str = "", *, cookie: bool = False) -> Denied:
    service = asked.route.service
    max_age = int(service.login_age_seconds or 0) if code == "login_too_old" else 0
    return Denied(code, detail, asked.original, service.name, cookie, max_age=max_age)
