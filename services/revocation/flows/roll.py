"""The roll of edges: every worker hears all heartbeats, so each can tell which edges may be live.

An edge that was cut off a moment ago is silent and still lets people in until its proof is too old: whoever
begins to listen now would miss it.
"""

from collections.abc import Callable

from services.revocation.domain.roll import Heard, window_ms
from services.revocation.ports import Link
from shared.clock import Clock
from shared.messages import EdgeList, Heartbeat, ListEdges, SeenEdge

MAX_EDGES = 500  # an answer has to fit into one message of NATS


class EdgeRoll:
    """Remembers the last heartbeat of each edge that may be live; at most MAX_EDGES.

    *usual_staleness* in seconds.
    """

    def __init__(self, clock: Clock, link: Link, *, usual_staleness: float) -> None:
        self._clock = clock
        self._link = link
        self._usual_ms = round(usual_staleness * 1000)
        self._heard: dict[str, Heard] = {}
        self._since = clock.monotonic()
        self._connection = link.reconnections
        # Called with what was heard of the edge before, and its new word.
        self.on_beat: list[Callable[[Heard | None, Heartbeat], None]] = []

    async def hear(self, beat: Heartbeat) -> None:
        """An edge has spoken."""
        now = self._now()
        if beat.edge_id not in self._heard and len(self._heard) >= MAX_EDGES:
            self._forget_one(now)
        before = self._heard.get(beat.edge_id)
        self._heard[beat.edge_id] = Heard(beat, now)
        for callback in self.on_beat:
            callback(before, beat)

    def live(self) -> dict[str, Heard]:
        """The edges that may be letting people in, by name."""
        self._forget_closed(self._now())
        return dict(sorted(self._heard.items()))

    def whole(self) -> bool:
        """Whether no live edge can be missing."""
        return self._listening_ms() >= self.window_ms()

    def window_ms(self) -> int:
        """How long an edge may go on after its last word, the most patient one."""
        return window_ms(self._usual_ms, self._heard.values())

    async def answer(self, _question: ListEdges) -> EdgeList:
        """The live edges, by name."""
        live, now = self.live(), self._now()
        seen = (SeenEdge(beat=heard.beat, age_ms=heard.age_ms(now)) for heard in live.values())
        return EdgeList(
            edges=tuple(seen),
            whole=self.whole(),
            listening_ms=self._listening_ms(),
            window_ms=self.window_ms(),
        )

    def _listening_ms(self) -> int:
        return round((self._now() - self._since) * 1000)

    def _now(self) -> float:
        """The monotonic time; after a lost connection, listening began anew."""
        now = self._clock.monotonic()
        if self._link.reconnections != self._connection:
            self._connection = self._link.reconnections
            self._since = now
        return now

    def _forget_closed(self, now: float) -> None:
        self._heard = {name: heard for name, heard in self._heard.items() if heard.is_live(now)}

    def _forget_one(self, now: float) -> None:
        """Make room; where a live edge is forgotten, what is known is not the whole any more."""
        self._forget_closed(now)
        if len(self._heard) >= MAX_EDGES:
            del self._heard[min(self._heard, key=lambda name: self._heard[name].at)]
            self._since = now
