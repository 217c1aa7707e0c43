"""The roll of edges: every worker hears all heartbeats, so each can tell which edges may be live.

An edge that was cut off a moment ago is silent and still lets people in until its proof is too old: whoever
begins to listen now would miss it.
"""

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

    async def hear(self, beat: Heartbeat) -> None:
        """An edge has spoken."""
        now = self._now()
        if beat.edge_id not in self._heard and len(self._heard) >= MAX_EDGES:
            self._forget_one(now)
        self._heard[beat.edge_id] = Heard(beat, now)

    async def answer(self, _question: ListEdges) -> EdgeList:
        """The live edges, by name."""
        now = self._now()
        self._forget_closed(now)
        listening_ms = round((now - self._since) * 1000)
        return EdgeList(
            edges=tuple(
                SeenEdge(beat=heard.beat, age_ms=heard.age_ms(now))
                for _, heard in sorted(self._heard.items())
            ),
            whole=listening_ms >= window_ms(self._usual_ms, self._heard.values()),
            listening_ms=listening_ms,
        )

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
