"""Proof that a revocation is in force: what the event became, and which edges have applied that."""

from dataclasses import dataclass

from ctl.fate import Fate, Word
from ctl.heartbeats import ROLL_CALL_SECONDS, RollCall
from ctl.output import date_time
from shared.bus import Ack, Bus, BusUnavailableError, Position
from shared.clock import Clock

POLL_ROLL_SECONDS = 0.25


@dataclass(frozen=True)
class Receipt:
    """One edge: *after_ms* from the PubAck to its word that it refuses, both as they arrived here.

    None when it said no such thing; 0 when it had said so before.
    """

    edge_id: str
    after_ms: float | None


@dataclass(frozen=True)
class Receipts:
    """What was confirmed in time. *fate* is None when no worker has applied the event yet.

    *whole* says whether *edges* are all that may be live, *missing* who was named and is not heard.
    *acked_at_ms*: when the event was stored;
    *closed_at_ms*: when the last edge, heard or not, has applied it or has closed for want of a fresher proof.
    """

    fate: Fate | None
    edges: tuple[Receipt, ...]
    acked_at_ms: int
    closed_at_ms: int
    whole: bool
    missing: tuple[str, ...] = ()

    @property
    def safe_at(self) -> str | None:
        """From when on no live edge accepts it, UTC, the next full second; None: it will never be in force.

        Past where all have confirmed, as `POST /auth/logout` with ``Prefer: wait`` says it.
        """
        if self.refused:
            return None
        confirmed = max((edge.after_ms or 0.0 for edge in self.edges), default=0.0)
        at = self.acked_at_ms + round(confirmed) if self.complete else self.closed_at_ms
        return date_time(at + 999)

    @property
    def refused(self) -> bool:
        """Whether the worker put the event aside: it will never be in force."""
        return self.fate is not None and self.fate.outcome == "refused"

    @property
    def nothing_alive(self) -> bool:
        """Whether there is nothing left that it could hit: no edge needs to do anything."""
        return self.fate is not None and self.fate.outcome == "lapsed"

    @property
    def complete(self) -> bool:
        """Whether every live edge has confirmed; without any edge there is nobody to confirm."""
        if self.fate is None or self.refused:
            return False
        confirmed = all(r.after_ms is not None for r in self.edges)
        return self.nothing_alive or (self.whole and bool(self.edges) and confirmed)


@dataclass(frozen=True)
class Published:
    """A stored event: its PubAck, and when that arrived here (monotonic s, and Unix ms)."""

    ack: Ack
    acked: float
    acked_at_ms: int


async def collect(
    bus: Bus, roll: RollCall, word: Word, published: Published, clock: Clock, timeout: float
) -> Receipts:
    """Wait until every live edge has applied the event, at most *timeout* seconds."""
    deadline = published.acked + timeout
    fate = await word.fate(bus, published.ack, clock, deadline)
    position = fate.position if fate is not None else None
    if position is not None:
        await _confirmed(bus, roll, position, clock, published.acked, deadline)
    else:
        await _ask(bus, roll)  # not applied: who may still let people in is named all the same
    edges = tuple(_receipt(roll, edge_id, position, published) for edge_id in sorted(roll.edges))
    closed_at_ms = published.acked_at_ms + roll.window_ms()
    acked_at_ms = published.acked_at_ms
    return Receipts(fate, edges, acked_at_ms, closed_at_ms, roll.whole, roll.missing)


async def _confirmed(
    bus: Bus, roll: RollCall, position: Position, clock: Clock, began: float, deadline: float
) -> None:
    """Return when every edge that may be live has confirmed.

    Asks again each second: an edge that has closed by itself meanwhile is waited for no longer, and a
    worker that began to listen only now will know all of them soon.
    """
    while clock.monotonic() < deadline:
        await _ask(bus, roll)
        now = clock.monotonic()
        known = roll.whole or (roll.told is None and now >= began + ROLL_CALL_SECONDS)
        if known and not _behind(roll, position):
            return
        await roll.more(max(0.0, min(POLL_ROLL_SECONDS, deadline - now)))


async def _ask(bus: Bus, roll: RollCall) -> None:
    try:
        await roll.ask(bus)
    except BusUnavailableError:
        roll.told = None  # the event is stored: the connection may yet come back in time


def _behind(roll: RollCall, position: Position) -> bool:
    reached = (e.reached(position.epoch, position.last_seq) for e in roll.edges.values())
    return any(at is None for at in reached)


def _receipt(
    roll: RollCall, edge_id: str, position: Position | None, published: Published
) -> Receipt:
    if position is None:
        return Receipt(edge_id, None)
    at = roll.edges[edge_id].reached(position.epoch, position.last_seq)
    return Receipt(edge_id, None if at is None else _after_ms(at, published))


def _after_ms(at: float, published: Published) -> float:
    return round(max(0.0, at - published.acked) * 1000, 1)
