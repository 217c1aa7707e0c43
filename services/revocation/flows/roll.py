"""The roll of edges: every worker hears all heartbeats, so each can tell which edges may be live.

An edge that was cut off a moment ago is silent and still lets people in until its proof is too old: whoever
begins to listen now would miss it. Who knows the names of all edges needs to hear each of them once, and to
listen for so long that one without a name, if it lives, has spoken too.
"""

from collections.abc import Callable, Iterable

import structlog

from services.revocation.domain.roll import Heard, Names, window_ms
from services.revocation.ports import Link
from shared.clock import Clock
from shared.messages import EdgeList, GoneEdge, Heartbeat, ListEdges, SeenEdge

log = structlog.get_logger()

MAX_EDGES = 500  # an answer has to fit into one message of NATS
SPOKEN_MS = 1_500  # by then whoever lives has spoken: edges beat once a second
MISSING_AFTER_MS = 3_000  # edges beat once a second
MOST_TOLD = 3  # names in one line
GONE_SECONDS = 3600.0  # for so long an edge that nobody named is told of after it closed
MOST_GONE = 100


class EdgeRoll:
    """Remembers the last heartbeat of each edge that may be live; at most MAX_EDGES.

    *usual_staleness* in seconds. *names* are those of all edges; none: nobody knows them.
    """

    def __init__(
        self, clock: Clock, link: Link, *, usual_staleness: float, names: Iterable[str] = ()
    ) -> None:
        self._clock = clock
        self._link = link
        self._usual_ms = round(usual_staleness * 1000)
        self._heard: dict[str, Heard] = {}
        self._names = Names.of(names)
        self._twice: dict[str, float] = {}
        # When they were heard last; only where nobody knows the names.
        self._gone: dict[str, float] = {}
        self._since = clock.monotonic()
        self._connection = link.reconnections
        # Called with what was heard of the edge before, and its new word.
        self.on_beat: list[Callable[[Heard | None, Heartbeat], None]] = []

    async def hear(self, beat: Heartbeat) -> None:
        """An edge has spoken."""
        now = self._now()
        if beat.edge_id not in self._heard and len(self._heard) >= MAX_EDGES:
            self._forget_one(now)
        self._names = self._names.heard(beat.edge_id)
        before = self._heard.get(beat.edge_id)
        if before is None and self._names.is_stranger(beat.edge_id):
            log.warning("edges.unnamed_heard", edge=beat.edge_id)
        if before is not None and before.is_of_another_process(beat):
            self._note_twice(beat.edge_id, now)
        self._heard[beat.edge_id] = Heard(beat, now)
        self._gone.pop(beat.edge_id, None)
        for callback in self.on_beat:
            callback(before, beat)

    def live(self) -> dict[str, Heard]:
        """The edges that may be letting people in, by name."""
        self._forget_closed(self._now())
        return dict(sorted(self._heard.items()))

    def whole(self) -> bool:
        """Whether no live edge can be missing."""
        listening_ms = self._listening_ms()  # the first: it notices a lost connection
        if self._names.all_have_spoken and listening_ms >= SPOKEN_MS:
            return True
        return listening_ms >= self.window_ms()

    def window_ms(self) -> int:
        """How long an edge may go on after its last word, the most patient one."""
        return window_ms(self._usual_ms, self._heard.values())

    def missing(self) -> tuple[str, ...]:
        """The named edges that are not live, once each had the time to speak."""
        live = self.live()
        if self._listening_ms() < MISSING_AFTER_MS:
            return ()
        return tuple(sorted(self._names.expected - live.keys()))

    def unnamed(self) -> tuple[str, ...]:
        """The live edges that are not among the names."""
        return tuple(name for name in self.live() if self._names.is_stranger(name))

    def twice(self) -> tuple[str, ...]:
        """The names under which two processes spoke in the last seconds: the roll takes them for one edge."""
        now, window = self._now(), self.window_ms() / 1000
        self._twice = {name: at for name, at in self._twice.items() if now - at <= window}
        return tuple(sorted(self._twice))

    def gone(self) -> tuple[GoneEdge, ...]:
        """Where nobody named them: the edges that spoke in the last hour and have closed since."""
        self.live()
        now = self._now()
        self._gone = {name: at for name, at in self._gone.items() if now - at <= GONE_SECONDS}
        ages = {name: round((now - at) * 1000) for name, at in sorted(self._gone.items())}
        return tuple(GoneEdge(edge_id=name, age_ms=age) for name, age in ages.items())

    def trouble(self) -> str | None:
        """Where the names and what is heard differ; None while they agree."""
        said = (
            ("named in LATCHWIRE_EDGES and not heard", self.missing()),
            ("heard and not named in LATCHWIRE_EDGES", self.unnamed()),
            ("two processes with one LATCHWIRE_EDGE_ID", self.twice()),
        )
        return "; ".join(f"{what}: {_some(names)}" for what, names in said if names) or None

    async def answer(self, _question: ListEdges) -> EdgeList:
        """The live edges, by name."""
        live, now = self.live(), self._now()
        seen = (SeenEdge(beat=heard.beat, age_ms=heard.age_ms(now)) for heard in live.values())
        return EdgeList(
            edges=tuple(seen),
            whole=self.whole(),
            listening_ms=self._listening_ms(),
            window_ms=self.window_ms(),
            missing=self.missing(),
            unnamed=self.unnamed(),
            twice=self.twice(),
            gone=self.gone(),
        )

    def _note_twice(self, name: str, now: float) -> None:
        if name not in self.twice():
            log.warning("edges.two_with_one_name", edge=name)
        self._twice[name] = now

    def _listening_ms(self) -> int:
        return round((self._now() - self._since) * 1000)

    def _now(self) -> float:
        """The monotonic time; after a lost connection, listening began anew."""
        now = self._clock.monotonic()
        if self._link.reconnections != self._connection:
            self._connection = self._link.reconnections
            self._listen_anew(now)
        return now

    def _listen_anew(self, now: float) -> None:
        self._since, self._names = now, self._names.anew()

    def _forget_closed(self, now: float) -> None:
        for name in [name for name, heard in self._heard.items() if not heard.is_live(now)]:
            closed = self._heard.pop(name)
            if not self._names.expected and len(self._gone) < MOST_GONE:
                self._gone[name] = closed.at

    def _forget_one(self, now: float) -> None:
        """Make room; where a live edge is forgotten, what is known is not the whole any more."""
        self._forget_closed(now)
        if len(self._heard) >= MAX_EDGES:
            del self._heard[min(self._heard, key=lambda name: self._heard[name].at)]
            self._listen_anew(now)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
    return ", ".join(names[:MOST_TOLD]) + more
