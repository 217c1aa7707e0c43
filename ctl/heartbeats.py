"""Which edges are live, and how far each has come: what the revocation workers remember, and what is heard.

Listening alone is not enough: an edge that was cut off just before says nothing, and still lets people in
until its proof is too old. The workers hear all edges all the time.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

from ctl.installation import usual_staleness_ms
from ctl.output import complain, one_line
from shared.bus import Bus, NoAnswerError
from shared.clock import Clock
from shared.contract import EDGE_HEARTBEAT, OP_EDGES_LIST
from shared.messages import EdgeList, Heartbeat, ListEdges, SeenEdge

ROLL_CALL_SECONDS = 1.5  # edges beat once a second
ASK_AGAIN_SECONDS = 1.0
MARGIN_MS = 2_000  # the clocks of two hosts may be this far apart
OTHERS_MAY_BE_LIVE = (
    "other edges may be live: no revocation worker has listened long enough to name them all"
)
ONLY_HEARD = "no revocation worker told which edges are live: only those heard just now are shown"


@dataclass
class HeardEdge:
    """One edge: its *last* word, when that was heard, and when it had first come how far.

    Times are monotonic seconds.
    """

    last: Heartbeat
    heard_at: float
    progress: list[tuple[float, str, int]] = field(default_factory=list)

    def reached(self, epoch: str, seq: int) -> float | None:
        """When it was first heard to have applied *seq* of *epoch*, or None."""
        return next((at for at, e, s in self.progress if e == epoch and s >= seq), None)


class RollCall:
    """Listens to heartbeats from the moment it is started, and adds what a worker remembers.

    *told* is a worker's last answer, None while none has answered. *edges* are those that may be live.
    """

    def __init__(self, clock: Clock) -> None:
        self.edges: dict[str, HeardEdge] = {}
        self.told: EdgeList | None = None
        self._told_window_ms = 0
        self._ask_at = 0.0
        self._clock = clock
        self._heard = asyncio.Event()

    async def start(self, bus: Bus) -> None:
        """Begin to listen."""
        await bus.listen(EDGE_HEARTBEAT, self._on_heartbeat)

    @property
    def whole(self) -> bool:
        """Whether no live edge can be missing."""
        return self.told is not None and self.told.whole

    @property
    def missing(self) -> tuple[str, ...]:
        """The edges that LATCHWIRE_EDGES names and no worker hears; () where no worker answers."""
        return self.told.missing if self.told is not None else ()

    def window_ms(self) -> int:
        """After so long every edge, heard of or not, has taken what is published now, or closed itself.

        A worker knows; where none answers, it is as long as the settings here and the edges heard allow.
        """
        usual = self._told_window_ms or usual_staleness_ms() + MARGIN_MS
        allowed = [edge.last.max_staleness_ms + MARGIN_MS for edge in self.edges.values()]
        return max([usual, *allowed])

    async def ask(self, bus: Bus) -> None:
        """Ask a worker which edges are live; at most once a second."""
        now = self._clock.monotonic()
        if now < self._ask_at:
            return
        self._ask_at = now + ASK_AGAIN_SECONDS
        try:
            self._add(await bus.ask(OP_EDGES_LIST, ListEdges(), timeout=ASK_AGAIN_SECONDS))
        except NoAnswerError:
            self.told = None

    def _add(self, told: EdgeList) -> None:
        """Take in what a worker remembers; what it knows to have closed is live no more."""
        now = self._clock.monotonic()
        named = {seen.beat.edge_id for seen in told.edges}
        if told.whole:
            self.edges = {
                name: edge
                for name, edge in self.edges.items()
                if name in named or now - edge.heard_at < ROLL_CALL_SECONDS
            }
        for seen in told.edges:
            if seen.beat.edge_id not in self.edges:
                self._note(seen.beat, now - seen.age_ms / 1000)
        self.told = told
        self._told_window_ms = max(self._told_window_ms, told.window_ms)

    async def more(self, seconds: float) -> None:
        """Wait for the next heartbeat, at most *seconds*."""
        self._heard.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), seconds)

    async def complete(self, seconds: float = ROLL_CALL_SECONDS) -> None:
        """Listen for *seconds*: long enough that each live edge has spoken."""
        await asyncio.sleep(seconds)

    async def _on_heartbeat(self, beat: Heartbeat) -> None:
        self._note(beat, self._clock.monotonic())
        self._heard.set()

    def _note(self, beat: Heartbeat, at: float) -> None:
        edge = self.edges.setdefault(beat.edge_id, HeardEdge(beat, at))
        if not edge.progress or edge.progress[-1][1:] != (beat.epoch, beat.seq):
            edge.progress.append((at, beat.epoch, beat.seq))
        edge.last, edge.heard_at = beat, at


def others_in_words(missing: tuple[str, ...]) -> list[str]:
    """Why nobody can say that an edge is not live: those that are waited for by name, or nobody knows which."""
    named = [
        f"edge {one_line(name)} is missing: LATCHWIRE_EDGES names it, and until it is heard it may be live"
        for name in missing
    ]
    return named or [OTHERS_MAY_BE_LIVE]


async def live_edges(bus: Bus, clock: Clock) -> EdgeList:
    """Who is there now, silent ones included; where no worker answers, who is heard for a while."""
    try:
        return await bus.ask(OP_EDGES_LIST, ListEdges())
    except NoAnswerError:
        complain(ONLY_HEARD)
    roll = RollCall(clock)
    await roll.start(bus)
    await roll.complete()
    now = clock.monotonic()
    seen = (
        SeenEdge(beat=edge.last, age_ms=round((now - edge.heard_at) * 1000))
        for _, edge in sorted(roll.edges.items())
    )
    return EdgeList(edges=tuple(seen), listening_ms=round(ROLL_CALL_SECONDS * 1000))
