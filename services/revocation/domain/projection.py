"""Whether a store still holds what it was given, from what it says of itself."""

from dataclasses import dataclass
from enum import StrEnum

NOEVICTION = "noeviction"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a projection is: everything of *epoch* up to *seq* is in it."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Condition:
    """What the store says of itself.

    *run* is another after a restart or a failover; *policy* is what it does when it is full; *evicted* keys
    were dropped so far.
    """

    run: str
    policy: str
    evicted: int


@dataclass(frozen=True, slots=True)
class Begun:
    """A round that has begun. *mark* is the store's own, None when it has none.

    *beat* is the round's number in the store, never given twice; *past*: the store had forgotten one.
    """

    mark: Mark | None
    beat: int
    past: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """The store at the end of this worker's last round."""

    condition: Condition
    reached: Mark


class Doubt(StrEnum):
    """Why a store may lack something."""

    UNKNOWN = "nothing is known of it yet"
    EMPTY = "it has no mark"
    EPOCH = "it is of another epoch"
    AHEAD = "it claims more than there is"
    BEHIND = "it has fallen back to an older copy"
    PAST = "it has forgotten a round, as an older copy has"
    RESTARTED = "its server was restarted or failed over"
    EVICTED = "it has evicted keys"

    @property
    def needs_a_newer_proof(self) -> bool:
        """Whether another worker that is a moment ahead looks the same."""
        return self in (Doubt.EPOCH, Doubt.AHEAD)


def doubt_of(seen: Seen | None, condition: Condition, begun: Begun, reached: Mark) -> Doubt | None:
    """Why everything has to be written again; None when what changed since *seen* is enough.

    *reached* is how far this worker is itself.
    """
    mark = begun.mark
    if begun.past or mark is None:
        return Doubt.PAST if begun.past else Doubt.EMPTY
    if mark.epoch != reached.epoch:
        return Doubt.EPOCH
    if seen is None:
        return Doubt.AHEAD if mark.seq > reached.seq else Doubt.UNKNOWN
    return _changed(seen, condition, mark)


def _changed(seen: Seen, condition: Condition, mark: Mark) -> Doubt | None:
    if condition.run != seen.condition.run:
        return Doubt.RESTARTED
    if condition.evicted > seen.condition.evicted:
        return Doubt.EVICTED
    return Doubt.BEHIND if mark.seq < seen.reached.seq else None
