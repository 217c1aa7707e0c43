"""``op.tokens.*``, and what edges tell of the use of service tokens."""

from collections.abc import Mapping
from functools import partial

import structlog

from services.auth.domain.service_tokens import NotDone, Wanted
from services.auth.flows.service_tokens import ServiceTokenFlow
from services.auth.ports import FeedStaleError, StoreUnavailableError
from shared.bus import Bus
from shared.contract import EDGE_USAGE, OP_TOKENS_CREATE, OP_TOKENS_LIST
from shared.messages import (
    CreateServiceToken,
    ListServiceTokens,
    ServiceToken,
    ServiceTokenAnswer,
    ServiceTokenRow,
    TokensUsed,
)

log = structlog.get_logger()

USES_UNKNOWN = "uses_unknown"


async def on_list(request: ListServiceTokens, *, tokens: ServiceTokenFlow) -> ServiceTokenAnswer:
    """``uses_unknown``: all are there, and when they were used cannot be said now."""
    listed = await tokens.listed(request.service, revoked=request.revoked)
    rows = tuple(row_of(row, listed.uses or {}) for row in listed.rows)
    return ServiceTokenAnswer(problem=USES_UNKNOWN if listed.uses is None else "", tokens=rows)


async def on_create(request: CreateServiceToken, *, tokens: ServiceTokenFlow) -> ServiceTokenAnswer:
    """Keep the hash of a token that the operator has."""
    wanted = Wanted(
        service=request.service,
        sha256=request.sha256,
        last_four=request.last_four,
        lifetime_ms=request.lifetime_ms,
        actor=request.actor,
        scopes=request.scopes,
        replaces=request.replaces,
        overlap_ms=request.overlap_ms,
        org=request.org,
    )
    try:
        kept = await tokens.keep(wanted)
    except FeedStaleError:
        return ServiceTokenAnswer(problem="feed_stale")
    if isinstance(kept, NotDone):
        return ServiceTokenAnswer(problem=kept.code)
    return ServiceTokenAnswer(tokens=(row_of(kept.row, {}),), generation=kept.generation)


async def on_used(told: TokensUsed, *, tokens: ServiceTokenFlow) -> None:
    """An edge's word; lost without harm. None is believed about the future: the latest time stays."""
    now_ms = tokens.clock.now_ms()
    known = {i: min(at, now_ms) for i, at in told.used.items() if tokens.reader.known.by_id(i)}
    try:
        await tokens.uses.note(known)
    except StoreUnavailableError:
        log.info("service_token.use_not_noted")


async def answer_service_tokens(bus: Bus, tokens: ServiceTokenFlow) -> None:
    """Begin to answer, and to hear edges."""
    await bus.answer(OP_TOKENS_LIST, partial(on_list, tokens=tokens))
    await bus.answer(OP_TOKENS_CREATE, partial(on_create, tokens=tokens))
    await bus.listen(EDGE_USAGE, partial(on_used, tokens=tokens))


def row_of(row: ServiceToken, uses: Mapping[str, int]) -> ServiceTokenRow:
    """What is told of *row*: no hash."""
    told = row.model_dump(exclude={"sha256"})
    return ServiceTokenRow(**told, last_used_at=uses.get(row.id))
