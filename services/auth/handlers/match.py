"""``op.revocation.match``: an operator asks whom a revocation would hit. No id reaches a log line."""

from functools import partial

from services.auth.domain.outcomes import Matched
from services.auth.flows.match import MatchFlow
from shared.bus import Bus
from shared.clock import Clock
from shared.contract import OP_REVOCATION_MATCH
from shared.emails import InvalidEmailError, canonical_subject
from shared.messages import Match, MatchRequest


async def on_match(request: MatchRequest, *, match: MatchFlow, clock: Clock) -> Match:
    """Single tokens, services and keys are in no list here: not counted."""
    found: Matched | None = None
    if request.scope == "session":
        found = await match.session(request.id.strip())
    elif request.scope == "subject":
        found = await _subject(request.id, match)
    if found is None:
        return Match(counted=False, at=clock.now_ms())
    return Match(sessions=found.sessions, links=found.links, at=clock.now_ms())


async def answer_match(bus: Bus, match: MatchFlow, clock: Clock) -> None:
    """Begin to answer."""
    await bus.answer(OP_REVOCATION_MATCH, partial(on_match, match=match, clock=clock))


async def _subject(text: str, match: MatchFlow) -> Matched | None:
    try:
        return await match.subject(canonical_subject(text))
    except InvalidEmailError:
        return Matched(sessions=0, links=0)  # it would be put aside: nobody can be named so
