"""The operator's documents: what is in force, a next generation of it, and which edges have taken that."""

from dataclasses import dataclass
from typing import Any

from ctl.heartbeats import ROLL_CALL_SECONDS, RollCall, others_in_words
from ctl.output import one_line, say
from ctl.session import Session
from latchwire.documents import Document, read_document
from shared.bus import BusUnavailableError
from shared.bus.documents import DocumentStore
from shared.documents import OperatorKey
from shared.messages import Heartbeat
from shared.secrets import load_operator_keys

POLL_SECONDS = 0.25
# An edge that claims to be further ahead than this tells a lie, and generations are no endless supply.
MAX_AHEAD = 1_000_000


class ConflictError(Exception):
    """Somebody else wrote the same document at this moment: look again, then repeat."""


@dataclass(frozen=True)
class Shelf:
    """What the stream keeps of one document: *genuine* by rising generation, where its subject ends."""

    genuine: tuple[Document, ...]
    last_seq: int
    not_believed: int

    @property
    def in_force(self) -> Document | None:
        """The one readers go by; None: their files."""
        return self.genuine[-1] if self.genuine else None

    @property
    def generation(self) -> int:
        """Of the one in force; 0: the files."""
        return self.genuine[-1].generation if self.genuine else 0


@dataclass(frozen=True)
class EdgeWord:
    """One live edge: the generation it has, and *after_ms* when it is first heard to have the one asked for."""

    edge_id: str
    generation: int
    after_ms: float | None


@dataclass(frozen=True)
class Words:
    """What the edges said. *whole*: no live edge can be missing; *missing*: who was named and is not heard."""

    generation: int
    edges: tuple[EdgeWord, ...]
    whole: bool
    missing: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether no live edge goes by anything older; where none is live, none does."""
        return self.whole and all(edge.after_ms is not None for edge in self.edges)

    def answer(self) -> dict[str, object]:
        """For machines."""
        edges = [
            {"edge_id": e.edge_id, "generation": e.generation, "after_ms": e.after_ms}
            for e in self.edges
        ]
        return {
            "complete": self.complete,
            "whole": self.whole,
            "edges": edges,
            "missing": list(self.missing),
        }


class Hearing:
    """Hears how far edges are with the document *name*: keys, catalogue, edges or tokens."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name
        self.roll = RollCall(session.clock)

    async def start(self) -> None:
        """Begin to listen."""
        await self.roll.start(self.session.bus)

    async def words(self, generation: int, timeout: float) -> Words:
        """Wait until every live edge has *generation* or a later one, at most *timeout* seconds."""
        clock, began = self.session.clock, self.session.clock.monotonic()
        reached: dict[str, float] = {}
        while True:
            await self.ask()
            now = clock.monotonic()
            for edge_id, edge in self.roll.edges.items():
                if self.generation_of(edge.last) >= generation:
                    reached.setdefault(edge_id, max(0.0, edge.heard_at - began))
            settled = self.roll.whole or (
                self.roll.told is None and now > began + ROLL_CALL_SECONDS
            )
            if (settled and self.roll.edges.keys() <= reached.keys()) or now >= began + timeout:
                return self._words(generation, reached)
            await self.roll.more(min(POLL_SECONDS, began + timeout - now))

    async def ask(self) -> None:
        """Ask a worker which edges are live; it may as well be away."""
        try:
            await self.roll.ask(self.session.bus)
        except BusUnavailableError:
            self.roll.told = None  # the connection may yet come back in time

    def generation_of(self, beat: Heartbeat) -> int:
        """What the edge of *beat* goes by."""
        generation: int = getattr(beat, f"{self.name}_generation")
        return generation

    def _words(self, generation: int, reached: dict[str, float]) -> Words:
        edges = tuple(
            EdgeWord(
                edge_id,
                self.generation_of(edge.last),
                round(reached[edge_id] * 1000, 1) if edge_id in reached else None,
            )
            for edge_id, edge in sorted(self.roll.edges.items())
        )
        return Words(generation, edges, self.roll.whole, self.roll.missing)


class DocumentDesk(Hearing):
    """Reads and writes one document, *name*, and hears which edges have it."""

    def __init__(self, session: Session, name: str) -> None:
        super().__init__(session, name)
        self._store = DocumentStore(session.bus.client, session.bus.js)
        self._operators = load_operator_keys(session.installation.secrets_dir)
        self.shelf = Shelf((), 0, 0)

    async def open(self) -> None:
        """Read what is kept, and begin to hear edges.

        Raises:
            BusUnavailableError: the stream could not be read.
        """
        await self.start()
        await self.read()

    async def read(self) -> None:
        """Read again what is kept."""
        stored = await self._store.kept(self.name)
        read = [read_document(s.jws, self._operators, name=self.name) for s in stored]
        genuine = {d.generation: d for d in reversed(read) if isinstance(d, Document)}
        ordered = tuple(genuine[generation] for generation in sorted(genuine))
        last_seq = stored[-1].seq if stored else 0
        unread = sum(not isinstance(d, Document) for d in read)
        self.shelf = Shelf(ordered, last_seq, unread)

    async def next_generation(self, claimed_elsewhere: int = 0) -> int:
        """Above the one in force and above every edge's: a stream that was lost may know less than they."""
        await self.ask()
        known = self.shelf.generation
        claimed = [self.generation_of(edge.last) for edge in self.roll.edges.values()]
        claimed.append(claimed_elsewhere)
        return max([known, *(c for c in claimed if c <= known + MAX_AHEAD)]) + 1

    async def publish(self, body: Any, generation: int, *, at: int) -> None:
        """Sign *body* as *generation* and store it.

        Raises:
            ConflictError: somebody else was faster.
            BusUnavailableError: no PubAck; it may or may not be stored.
            SecretsError: the operator's key is not here.
            DocumentTooLargeError: the stream would not take it.
        """
        key = OperatorKey.load(self.session.installation.secrets_dir)
        jws = key.sign(self.name, generation, at, body)
        ack = await self._store.put(self.name, jws, after_seq=self.shelf.last_seq)
        if ack is None:
            raise ConflictError(f"document {self.name}: {ConflictError.__doc__}")
        await self.read()


def tell(words: Words) -> None:
    """One line per edge, then what that means."""
    for edge in words.edges:
        name = one_line(edge.edge_id).ljust(10)
        said = f"has generation {edge.generation}"
        if edge.after_ms is None:
            said = f"still has generation {edge.generation}"
        elif edge.after_ms:
            said += f" after {edge.after_ms:.0f} ms"
        say(f"{name}  {said}")
    if not words.edges:
        say("no edge is live" if words.whole else "no edge is heard on the bus")
    if words.complete:
        say(f"everywhere  {len(words.edges)} of {len(words.edges)} live edges")
    elif not words.whole:
        for line in others_in_words(words.missing):
            say(line)
