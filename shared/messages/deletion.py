"""A person's data is erased everywhere: auth asks each service that registered interest, until it says done."""

from typing import Annotated, Literal

from pydantic import Field

from shared.messages.base import ULID, Identifier, Message, Millis, ShortText

PAGE = 200


class EraseUser(Message):
    """``user.erase.<service>``: erase what you keep of this person, and say so. Asked until it is done.

    *email* is there because a service may have kept it; it leaves the ledger with the last answer.
    """

    deletion_id: ULID
    sub: Identifier
    email: Identifier
    requested_at: Millis
    deadline: Millis


class EraseAnswer(Message):
    """``done``: nothing is left. ``later``: at work, ask again. ``failed``: a person has to look, ask again."""

    state: Literal["done", "later", "failed"]
    note: ShortText = ""


class ListDeletions(Message):
    """``op.deletions.list``: those not complete, or with *all* every one that the ledger still has."""

    all: bool = False
    after: ShortText = ""
    limit: Annotated[int, Field(ge=1, le=PAGE)] = PAGE


class ErasedBy(Message):
    """How one service stands: *answered_at* (ms) is when it said done."""

    service: Identifier
    answered_at: Millis | None = None
    asked: int = 0
    asked_at: Millis | None = None
    note: ShortText = ""


class DeletionRow(Message):
    """One deletion. *late*: the deadline is over and somebody has not answered."""

    deletion_id: ULID
    sub: Identifier
    requested_at: Millis
    deadline: Millis
    complete: bool = False
    completed_at: Millis | None = None
    late: bool = False
    services: tuple[ErasedBy, ...] = ()


class DeletionPage(Message):
    """*next* is what to ask after; "" at the end."""

    deletions: tuple[DeletionRow, ...] = ()
    next: ShortText = ""
    error: ShortText = ""
