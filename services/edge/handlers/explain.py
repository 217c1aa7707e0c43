"""``op.token.explain``: decide as a check would, and say why. The token is neither kept nor logged."""

from dataclasses import dataclass

from latchwire.blocklist import Fingerprint
from services.edge.domain.claimed_key import claimed_kid
from services.edge.domain.decision import STATUS, Decision, Denied, VerifiedToken
from services.edge.domain.original import Asking, Fields
from services.edge.domain.paths import plain_path
from services.edge.domain.routes import Route
from services.edge.flows.check import Checker
from services.edge.handlers.heartbeat import staleness_ms
from services.edge.ports import Revocations, StoredRecords
from shared.catalogue.explained import explained_rule
from shared.clock import Clock
from shared.messages import ExplainedRecord, ExplainedRule, ExplainRequest, Explanation
from shared.messages.base import MAX_TIME_MS


@dataclass(frozen=True)
class Explainer:
    """Explains for the edge *edge_id*; *stored* tells more of a record than the replica keeps."""

    edge_id: str
    checker: Checker
    revocations: Revocations
    stored: StoredRecords
    clock: Clock

    async def explain(self, request: ExplainRequest) -> Explanation:
        """With a host the whole check for that request; without one, the token alone.

        An answer with a ``kid`` and no ``sub``: the token names that key and this edge does not have it
        (any more), so nobody can say who signed it; the record is then the key's.
        """
        token_bytes = request.token.strip().encode("utf-8", "replace")
        asking, fields = _asking(request), _fields(request, token_bytes)
        found = self.checker.check_token(token_bytes) if token_bytes else None
        decision = _decided(self.checker, request, fields, found)
        token = found.token if isinstance(found, Denied) else found
        route = self.checker.route_of(asking) if request.host else None
        explanation = Explanation(
            edge_id=self.edge_id,
            outcome="deny" if isinstance(decision, Denied) else "allow",
            reason=_reason(decision),
            status=STATUS[decision.code] if isinstance(decision, Denied) else 200,
            detail=decision.detail if isinstance(decision, Denied) else "",
            rule=route.service.name if route else "",
            route=_rule(route, request.uri) if route else None,
            epoch=self.revocations.epoch,
            seq=self.revocations.seq,
            staleness_ms=staleness_ms(self.revocations),
            keys_generation=self.checker.keys_generation,
            catalogue_generation=self.checker.catalogue_generation,
        )
        if token is not None:
            record = await self._record(token.fingerprint)
            return explanation.model_copy(update={**_of(token), "record": record})
        kid = claimed_kid(token_bytes) if _names_no_key_of_ours(found) else ""
        if not kid:
            return explanation
        record = await self._record(self.revocations.key_fingerprint(kid))
        return explanation.model_copy(update={"kid": kid, "record": record})

    async def _record(self, fingerprint: Fingerprint) -> ExplainedRecord | None:
        """The record that revokes it; its place and time when BLOCKLIST tells them at once."""
        hit = self.revocations.find(fingerprint, self.clock.now_ms())
        if hit is None:
            return None
        stored = await self.stored.find(hit.key)
        if stored is None:
            return ExplainedRecord(scope=hit.scope, key=hit.key)
        return ExplainedRecord(
            scope=hit.scope,
            key=hit.key,
            seq=stored.seq,
            stored_at=stored.stored_at_ms,
            until=_time(stored.record.until_ms),
            sessions_before=_time(stored.record.sessions_before),
            tokens_before=_time(stored.record.tokens_before),
        )


def _decided(
    checker: Checker,
    request: ExplainRequest,
    fields: Fields,
    found: VerifiedToken | Denied | None,
) -> Decision | VerifiedToken:
    if request.host:
        return checker.check(_asking(request), fields, request.chosen)
    return Denied("no_credentials") if found is None else found


def _names_no_key_of_ours(found: VerifiedToken | Denied | None) -> bool:
    """A key that was compromised or retired is taken off the ring, and then it is as any stranger's."""
    return isinstance(found, Denied) and found.detail == "kid unknown"


def _asking(request: ExplainRequest) -> Asking:
    asked = request.method, request.scheme, request.host, request.uri
    return Asking(*(text.encode() for text in asked))


def _fields(request: ExplainRequest, token: bytes) -> Fields:
    sent = {
        b"authorization": b"Bearer " + token if token else b"",
        b"origin": (request.origin or "").encode(),
        b"access-control-request-method": (request.asks_method or "").encode(),
    }
    return {name: [value] for name, value in sent.items() if value}


def _reason(decision: Decision | VerifiedToken) -> str:
    if isinstance(decision, Denied):
        return decision.code
    if isinstance(decision, VerifiedToken) or decision.token is not None:
        return "token"
    # Nobody's request passes a route that is not open: only a preflight does.
    return "public" if decision.route.public else "preflight"


def _rule(route: Route, uri: str) -> ExplainedRule:
    return explained_rule(route.service, plain_path(uri) or "")


def _of(token: VerifiedToken) -> dict[str, object]:
    claims = token.claims
    return {
        "revoked_at": _time(token.revoked_at),
        "kid": claims.kid,
        "sub": claims.sub,
        "email": claims.email if claims.email != claims.sub else "",
        "org": claims.org,
        "sid": claims.sid,
        "jti": claims.jti,
        "roles": tuple(claims.roles),
        "service": claims.service,
        "permissions": tuple(claims.permissions),
        "logged_in_at": None if claims.service else _time(claims.auth_time * 1000),
        "expires_at": claims.exp * 1000,
        "issued_at": _time(claims.iat_ms),
        "session_began_at": _time(claims.sst),
    }


def _time(ms: int) -> int | None:
    """None for "no time", and for one so far away that it means "for ever"."""
    return ms if 0 < ms <= MAX_TIME_MS else None
