"""What became of one event: the revocation worker's own word or, when that is lost, what its consumer shows."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Literal

from shared import contract
from shared.bus import Ack, Bus, BusUnavailableError, Position
from shared.clock import Clock
from shared.messages import DeadLetter, RevocationApplied

POLL_SECONDS = 0.25
GRACE_SECONDS = 0.1
_MAX_LETTERS = 1_000

Outcome = Literal["stored", "known", "lapsed", "refused", "applied"]


@dataclass(frozen=True)
class Fate:
    """*outcome* as `RevocationApplied` says it; ``applied``: taken up, and nobody told how.

    *position* is where an edge has to be to refuse; None when there is nothing to wait for.
    """

    outcome: Outcome
    position: Position | None = None
    reason: str = ""


class Word:
    """Listens for the fate of the event *event_id* from before it is published."""

    def __init__(self, event_id: str) -> None:
        self._event_id = event_id
        self._applied: RevocationApplied | None = None
        self._buried: dict[int, str] = {}
        self._said = asyncio.Event()

    async def listen(self, bus: Bus) -> None:
        """From now on nothing that is said is missed, as long as the connection lives."""
        await bus.listen(contract.REVOCATION_APPLIED.of(self._event_id), self._on_applied)
        await bus.listen(contract.DEADLETTER_TOKEN, self._on_letter)

    async def fate(self, bus: Bus, ack: Ack, clock: Clock, deadline: float) -> Fate | None:
        """What became of the event that *ack* stored; None when that is not known by *deadline*."""
        while (left := deadline - clock.monotonic()) > 0:
            await self._wait(min(POLL_SECONDS, left))
            if self._known(ack) is None and await _is_taken_up(bus, ack):
                await self._wait(GRACE_SECONDS)  # its word may be right behind
                return self._known(ack) or await _applied_somehow(bus)
            if (fate := self._known(ack)) is not None:
                return fate
        return None

    def _known(self, ack: Ack) -> Fate | None:
        said = self._applied
        if said is not None:
            reached = said.outcome in ("stored", "known")
            position = Position(said.epoch, 0, said.seq) if reached else None
            return Fate(said.outcome, position, said.reason)
        if ack.seq in self._buried:
            return Fate("refused", reason=self._buried[ack.seq])
        return None

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._said.wait(), seconds)
        self._said.clear()

    async def _on_applied(self, said: RevocationApplied) -> None:
        # A service's event under our id is not ours.
        if said.event == self._event_id and said.stream != contract.TOKEN_BY.name:
            self._applied = said
            self._said.set()

    async def _on_letter(self, letter: DeadLetter) -> None:
        # Which of them is ours is known with the PubAck.
        if letter.stream == contract.TOKEN.name and len(self._buried) < _MAX_LETTERS:
            self._buried[letter.sequence] = letter.reason
            self._said.set()


async def _is_taken_up(bus: Bus, ack: Ack) -> bool:
    """Whether the event and all before it are acknowledged."""
    try:
        info = await bus.state.consumer(contract.REVOCATION)
    except BusUnavailableError:
        return False  # it is stored: what is missing is only the news of it
    # Not "nothing waits": the consumer's leader counts its own copy of the stream, which may lag (adr/0015).
    return bool(info["ack_floor"]["stream_seq"] >= ack.seq)


async def _applied_somehow(bus: Bus) -> Fate | None:
    """BLOCKLIST's end: at or after the record itself, also when the event changed nothing."""
    try:
        return Fate("applied", await bus.stream_position(contract.BLOCKLIST))
    except BusUnavailableError:
        return None
