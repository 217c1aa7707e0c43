"""What was done and what was seen, with monotonic times, and the invariants that a history must keep.

Nothing here talks to anything: a history can be written by hand, and `tests/faults/test_history.py` shows that
each broken promise is found.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Seen = Literal["accepted", "revoked", "unsure", "unanswered", "wrong"]


@dataclass(frozen=True, slots=True)
class Revoke:
    """One event *event* that ends session *sid*; *acked* is when its PubAck came, None when none did.

    All times are monotonic seconds.
    """

    event: str
    sid: str
    began: float
    acked: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check of *sid*'s token at *edge*: ``unsure`` is a 503, ``wrong`` any other refusal than revoked."""

    edge: str
    sid: str
    began: float
    ended: float
    seen: Seen


@dataclass(frozen=True, slots=True)
class Effect:
    """A change of the record of *sid* in BLOCKLIST: the *seq* of *epoch* that it became."""

    sid: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which *edges* had no reason to be unsure, and *within* (s) had to know each revocation."""

    begin: float
    end: float
    edges: tuple[str, ...]
    within: float = 1.0

    def holds(self, check: Check) -> bool:
        """Whether *check* was begun and ended within."""
        inside = self.begin <= check.began and check.ended <= self.end
        return inside and check.edge in self.edges


@dataclass
class History:
    """Everything that happened, in the order in which it ended."""

    revokes: dict[str, Revoke] = field(default_factory=dict)  # by event
    checks: list[Check] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    writes: int | None = None  # how far BLOCKLIST's sequence has moved; None where nobody looked

    def begin(self, event: str, sid: str, at: float) -> None:
        """*event* is on its way: from here on it may take effect."""
        self.revokes[event] = Revoke(event, sid, at)

    def acknowledge(self, event: str, at: float) -> None:
        """Its PubAck has come."""
        begun = self.revokes[event]
        self.revokes[event] = Revoke(event, begun.sid, begun.began, at)

    @property
    def acknowledged(self) -> dict[str, float]:
        """When each session's first acknowledgement came."""
        found: dict[str, float] = {}
        for revoke in self.revokes.values():
            if revoke.acked is not None:
                found[revoke.sid] = min(revoke.acked, found.get(revoke.sid, revoke.acked))
        return found

    @property
    def attempted(self) -> dict[str, float]:
        """When each session's first revocation was begun."""
        found: dict[str, float] = {}
        for revoke in self.revokes.values():
            found[revoke.sid] = min(revoke.began, found.get(revoke.sid, revoke.began))
        return found


def violations(
    history: History,
    *,
    bounds: Mapping[str, float],
    healthy: Iterable[Window] = (),
) -> list[str]:
    """Every broken promise, as a sentence; [] is a good history.

    *bounds* (s): for how long after its acknowledgement an edge may accept a token, whatever happens. In a
    *healthy* window nothing is refused without a reason, and revocations take effect within its own bound. At
    the end each edge has refused every acknowledged one.
    """
    windows = tuple(healthy)
    return [
        *_accepted_late(history, bounds),
        *_late_in(history, windows),
        *_refused_alive(history),
        *_refused_in(history, windows),
        *_forgotten(history),
        *_never_refused(history, bounds),
        *_effects_twice(history),
    ]


def _accepted_late(history: History, bounds: Mapping[str, float]) -> Iterator[str]:
    acked = history.acknowledged
    for check in history.checks:
        late = check.began - acked.get(check.sid, check.began)
        if check.seen == "accepted" and late > bounds[check.edge]:
            yield f"{check.edge} accepted {check.sid} {late:.2f} s after it was acknowledged"


def _late_in(history: History, windows: tuple[Window, ...]) -> Iterator[str]:
    """Acknowledged and asked about within one healthy window."""
    acked = history.acknowledged
    for check in history.checks:
        at = acked.get(check.sid)
        if check.seen != "accepted" or at is None:
            continue
        late = check.began - at
        if any(w.begin <= at and w.holds(check) and late > w.within for w in windows):
            yield f"{check.edge} took {late:.2f} s for {check.sid} while all was well"


def _refused_alive(history: History) -> Iterator[str]:
    attempted = history.attempted
    for check in history.checks:
        if check.seen == "wrong":
            yield f"{check.edge} refused {check.sid} for a wrong reason"
        elif check.seen == "revoked" and check.ended < attempted.get(check.sid, float("inf")):
            yield f"{check.edge} refused {check.sid}, which nobody had revoked"


def _refused_in(history: History, windows: tuple[Window, ...]) -> Iterator[str]:
    for check in history.checks:
        # An answer that did not come counts either way: the machine may have been too busy.
        if check.seen == "unsure" and any(window.holds(check) for window in windows):
            yield f"{check.edge} answered unsure about {check.sid} while all was well"


def _forgotten(history: History) -> Iterator[str]:
    """Once refused as revoked, never accepted again by the same edge."""
    refused: dict[tuple[str, str], float] = {}
    for check in sorted(history.checks, key=lambda check: check.began):
        key = check.edge, check.sid
        if check.seen == "revoked":
            refused[key] = min(refused.get(key, check.ended), check.ended)
        elif check.seen == "accepted" and refused.get(key, check.began) < check.began:
            yield f"{check.edge} accepted {check.sid} after having refused it"


def _never_refused(history: History, edges: Iterable[str]) -> Iterator[str]:
    last: dict[tuple[str, str], Check] = {}
    for check in history.checks:
        key = check.edge, check.sid
        if key not in last or last[key].began < check.began:
            last[key] = check
    for sid in history.acknowledged:
        for edge in edges:
            found = last.get((edge, sid))
            if found is None or found.seen != "revoked":
                yield f"{edge} does not refuse {sid}: {found.seen if found else 'never asked'}"


def _effects_twice(history: History) -> Iterator[str]:
    """A session record never changes once it is there: a second change is an event applied twice."""
    places: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for effect in history.effects:
        places[effect.sid, effect.epoch].add(effect.seq)
    for (sid, _), seqs in places.items():
        if len(seqs) > 1:
            yield f"{sid} was written {len(seqs)} times: {sorted(seqs)}"
    if history.writes is not None and history.writes != len(history.effects):
        yield f"BLOCKLIST was written {history.writes} times for {len(history.effects)} records"
    attempted = history.attempted
    for sid in {effect.sid for effect in history.effects} - attempted.keys():
        yield f"{sid} was written, and nobody had revoked it"


def summary(history: History) -> str:
    """Counts for a test's report."""
    seen = Counter(check.seen for check in history.checks)
    acked = len(history.acknowledged)
    return f"{len(history.revokes)} events, {acked} acknowledged, checks {dict(seen)}"
