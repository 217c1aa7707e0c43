"""``op.token.explain``: decide a token as a check would, and say why. The token is neither kept nor logged."""

from services.edge.domain.decision import Decision, Denied, VerifiedToken
from services.edge.flows.check import Checker
from services.edge.handlers.heartbeat import staleness_ms
from services.edge.ports import Revocations
from shared.messages import ExplainRequest, Explanation


def explain(
    request: ExplainRequest, *, edge_id: str, checker: Checker, revocations: Revocations
) -> Explanation:
    """With a host the whole check for that request; without one, the token alone."""
    token_bytes = request.token.strip().encode("utf-8", "replace")
    found = checker.check_token(token_bytes)
    decision = _check(checker, request, token_bytes) if request.host else found
    token = found.token if isinstance(found, Denied) else found
    explanation = Explanation(
        edge_id=edge_id,
        outcome="deny" if isinstance(decision, Denied) else "allow",
        reason=_reason(decision),
        detail=decision.detail if isinstance(decision, Denied) else "",
        rule=_rule(decision),
        epoch=revocations.epoch,
        seq=revocations.seq,
        staleness_ms=staleness_ms(revocations),
    )
    return explanation if token is None else explanation.model_copy(update=_of(token))


def _check(checker: Checker, request: ExplainRequest, token: bytes) -> Decision:
    return checker.check(
        {
            b"x-forwarded-method": [request.method.encode()],
            b"x-forwarded-proto": [b"https"],
            b"x-forwarded-host": [request.host.encode()],
            b"x-forwarded-uri": [request.uri.encode()],
            b"authorization": [b"Bearer " + token],
        }
    )


def _reason(decision: Decision | VerifiedToken) -> str:
    if isinstance(decision, Denied):
        return decision.code
    if isinstance(decision, VerifiedToken) or decision.token is not None:
        return "token"
    return "public"


def _rule(decision: Decision | VerifiedToken) -> str:
    if isinstance(decision, VerifiedToken):
        return ""
    return decision.service if isinstance(decision, Denied) else decision.route.service.name


def _of(token: VerifiedToken) -> dict[str, str | int]:
    claims = token.claims
    return {
        "kid": claims.kid,
        "sub": claims.sub,
        "sid": claims.sid,
        "expires_at": claims.exp * 1000,
    }
