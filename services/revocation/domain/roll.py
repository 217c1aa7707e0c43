"""When an edge counts as live: until it has had the time to close by itself. Which edges there should be."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from shared.messages import Heartbeat

MARGIN_MS = 2_000  # a heartbeat's way here, and that edges beat once a second


@dataclass(frozen=True, slots=True)
class Heard:
    """An edge's last heartbeat, and when it came (monotonic seconds of this worker)."""

    beat: Heartbeat
    at: float

    def age_ms(self, now: float) -> int:
        """How long ago that was, at *now*."""
        return round((now - self.at) * 1000)

    def is_live(self, now: float) -> bool:
        """Whether it may still let somebody in: no longer than its patience after it was last heard."""
        return self.age_ms(now) <= self.beat.max_staleness_ms + MARGIN_MS

    def is_of_another_process(self, beat: Heartbeat) -> bool:
        """Whether *beat* is from a process older than the last to use the name: then two are alive."""
        return 0 < beat.started_at < self.beat.started_at


def window_ms(usual_ms: int, heard: Iterable[Heard]) -> int:
    """How long one has to have listened to know of each live edge.

    *usual_ms* is the installation's ``max_staleness``; a route of a known edge may allow more.
    """
    return max([usual_ms, *(h.beat.max_staleness_ms for h in heard)]) + MARGIN_MS


@dataclass(frozen=True, slots=True)
class Names:
    """The names of all edges, as the operator says; none: nobody said.

    *unheard*: those that have not spoken since one listens. *strangers*: an edge has spoken that is not among
    the names, so more such edges may be there, and silent.
    """

    expected: frozenset[str] = frozenset()
    unheard: frozenset[str] = frozenset()
    strangers: bool = False

    @classmethod
    def of(cls, expected: Iterable[str]) -> "Names":
        """All of them, before any has spoken."""
        names = frozenset(expected)
        return cls(names, names)

    @property
    def all_have_spoken(self) -> bool:
        """Whether each edge there is has spoken: none that was silent before one listened can be missing."""
        return bool(self.expected) and not self.unheard and not self.strangers

    def heard(self, name: str) -> "Names":
        """*name* has spoken."""
        if self.is_stranger(name):
            return self if self.strangers else replace(self, strangers=True)
        return replace(self, unheard=self.unheard - {name}) if name in self.unheard else self

    def anew(self) -> "Names":
        """Listening has begun anew. That the names are not all of the edges stays true."""
        return replace(self, unheard=self.expected)

    def is_stranger(self, name: str) -> bool:
        """Whether *name* is not among the names that there are."""
        return bool(self.expected) and name not in self.expected
