"""What became of a revocation: its place in BLOCKLIST, which edges have it, whom it hits."""

from typing import Annotated, Literal

from pydantic import Field

from shared.messages.base import Identifier, Message, Millis, ShortText
from shared.messages.edge import LONGEST_STALENESS_MS
from shared.messages.token import RevocationScope

AppliedOutcome = Literal["stored", "known", "lapsed", "refused"]


class RevocationApplied(Message):
    """``revocation.applied.<event>``: what an event became, said once it is true.

    ``stored``: a new record at *seq* of *epoch*. ``known``: all of it was refused already, since *seq*.
    ``lapsed``: nothing it could hit is alive. ``refused``: it was put aside, *reason* says why.
    *event* is the event's id, or its sequence in its stream when it has none. *stream* holds it: an id is its
    publisher's choice, and a service may choose one that auth or an operator has.
    """

    event: ShortText
    token_seq: int
    outcome: AppliedOutcome
    epoch: ShortText = ""
    seq: int = 0
    reason: ShortText = ""
    stream: ShortText = ""


class ReceiptsRequest(Message):
    """``revocation.receipts``: answer when every live edge has applied *seq* of *epoch*, or after *wait_ms*."""

    epoch: ShortText
    seq: int
    wait_ms: int = 1_000


class EdgeReceipt(Message):
    """One live edge, and whether it has said that it is that far."""

    edge_id: Identifier
    confirmed: bool


class ReceiptsAnswer(Message):
    """The live edges. *whole*: no live edge can be missing. *safe_in_ms*: by then a silent one has closed."""

    edges: tuple[EdgeReceipt, ...] = ()
    whole: bool = False
    safe_in_ms: Annotated[int, Field(ge=0, le=LONGEST_STALENESS_MS + 60_000)] = 0

    @property
    def complete(self) -> bool:
        """Whether every live edge has confirmed."""
        return self.whole and bool(self.edges) and all(e.confirmed for e in self.edges)


class MatchRequest(Message):
    """``op.revocation.match``: what would a revocation of this hit right now? Changes nothing."""

    scope: RevocationScope
    id: Identifier


class Match(Message):
    """Living sessions and unopened links of it; *counted* is False where auth keeps no such list

    (a single token, a service, a key).
    """

    sessions: int = 0
    links: int = 0
    counted: bool = True
    at: Millis = 0
