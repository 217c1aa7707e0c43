"""How far a revocation has come."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.messages import RevocationApplied

MAX_WAIT_SECONDS = 5


@dataclass(frozen=True)
class Reached:
    """*edges* are live, *confirmed* of them refuse it. *complete*: all do, and none can be missing.

    *safe_at_ms*: by then every edge refuses it, because one that has not heard of it has closed by itself.
    None: nobody could say.
    """

    edges: int
    confirmed: int
    complete: bool
    safe_at_ms: int | None


@dataclass(frozen=True)
class Place:
    """A sequence of BLOCKLIST in its *epoch*."""

    epoch: str
    seq: int


def furthest(said: Sequence[RevocationApplied]) -> Place | None:
    """Where all of them are true; None when nothing that they could refuse is alive.

    Raises:
        ValueError: one was put aside and will never be true.
    """
    if any(applied.outcome == "refused" for applied in said):
        raise ValueError("refused")
    places = [Place(a.epoch, a.seq) for a in said if a.outcome != "lapsed"]
    return max(places, key=lambda place: place.seq, default=None)
