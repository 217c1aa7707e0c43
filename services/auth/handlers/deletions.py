"""``op.deletions.list``: an operator asks who has not erased yet. Says no address: the ledger forgets them."""

from services.auth.domain.deletion import Answer
from services.auth.handlers.accounts import ACCOUNTS_OFF
from services.auth.ports.deletions import Deletions, LedgerRow
from shared.bus import Bus
from shared.clock import Clock
from shared.contract import OP_DELETIONS_LIST
from shared.messages import DeletionPage, DeletionRow, ErasedBy, ListDeletions


async def answer_deletions(bus: Bus, deletions: Deletions | None, clock: Clock) -> None:
    """Begin to answer. *deletions* None: accounts are off."""

    async def on_list(request: ListDeletions) -> DeletionPage:
        if deletions is None:
            return DeletionPage(error=ACCOUNTS_OFF)
        rows = await deletions.page(every=request.all, after=request.after, limit=request.limit)
        following = rows[-1].deletion.id if len(rows) == request.limit else ""
        now_ms = clock.now_ms()
        return DeletionPage(deletions=tuple(_row(row, now_ms) for row in rows), next=following)

    await bus.answer(OP_DELETIONS_LIST, on_list)


def _row(row: LedgerRow, now_ms: int) -> DeletionRow:
    deletion = row.deletion
    return DeletionRow(
        deletion_id=deletion.id,
        sub=deletion.sub,
        requested_at=deletion.requested_at_ms,
        deadline=deletion.deadline_ms,
        complete=deletion.completed_at_ms is not None,
        completed_at=deletion.completed_at_ms,
        late=deletion.is_late(now_ms),
        services=tuple(_answer(answer) for answer in row.answers),
    )


def _answer(answer: Answer) -> ErasedBy:
    return ErasedBy(
        service=answer.service,
        answered_at=answer.answered_at_ms,
        asked=answer.asked,
        asked_at=answer.asked_at_ms,
        note=answer.note,
    )
