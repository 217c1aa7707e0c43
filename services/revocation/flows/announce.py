"""Say what each event became, once that is true: ``revocation.applied.<event>``.

A sequence means something in its epoch only, and a PubAck does not name it. So the epoch is asked for after
the record was stored, once for all that were stored meanwhile; where it is another than before, nobody can
tell which of the two a sequence belongs to. Nothing is said then: whoever renews the epoch has TOKEN
replayed, and the event is told of again.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from services.revocation.flows.revoke import Known, Lapsed, Outcome, Stored
from services.revocation.ports import BrokerFacts, Speaker
from shared import contract
from shared.bus import BusUnavailableError
from shared.messages import RevocationApplied
from shared.messages.revocation import AppliedOutcome

MOST_WAITING = 20_000  # more is not told of: a signal promises nothing
AGAIN_SECONDS = 0.25
GATHER_SECONDS = 0.005  # between two questions to the leader: many events share one
WORDS: dict[type[Outcome], AppliedOutcome] = {Stored: "stored", Known: "known", Lapsed: "lapsed"}


@dataclass(frozen=True, slots=True)
class _Word:
    """What is to be said; the epoch is known later."""

    event: str
    token_seq: int
    outcome: AppliedOutcome
    seq: int = 0
    reason: str = ""
    stream: str = ""

    def message(self, epoch: str) -> RevocationApplied:
        return RevocationApplied(
            event=self.event,
            token_seq=self.token_seq,
            outcome=self.outcome,
            epoch=epoch if self.seq else "",
            seq=self.seq,
            reason=self.reason,
            stream=self.stream,
        )


class Announcer:
    """Tells publishers, in the background: nothing waits for it."""

    def __init__(self, broker: BrokerFacts, speaker: Speaker) -> None:
        self._broker = broker
        self._speaker = speaker
        self._epoch = ""
        self._waiting: deque[_Word] = deque(maxlen=MOST_WAITING)
        self._wake = asyncio.Event()

    def applied(self, event: str, token_seq: int, outcome: Outcome, stream: str = "") -> None:
        """*event* became *outcome*."""
        seq = 0 if isinstance(outcome, Lapsed) else outcome.seq
        self._tell(_Word(event, token_seq, WORDS[type(outcome)], seq, stream=stream))

    def refused(self, event: str, token_seq: int, reason: str, stream: str = "") -> None:
        """*event* was put aside."""
        self._tell(_Word(event, token_seq, "refused", reason=reason, stream=stream))

    async def run(self) -> None:
        """Say what is to be said, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._say_all()
                await asyncio.sleep(GATHER_SECONDS)
                await self._wake.wait()
            except BusUnavailableError:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _say_all(self) -> None:
        """Each that waited when the leader was asked.

        Raises:
            BusUnavailableError: no answer; they go on waiting.
        """
        while self._waiting or not self._epoch:
            stored_before = len(self._waiting) if self._epoch else 0
            epoch = (await self._broker.stream_position(contract.BLOCKLIST)).epoch
            same, self._epoch = epoch == self._epoch, epoch
            ready = [self._waiting.popleft() for _ in range(stored_before)]
            await self._say(ready, epoch if same else "")

    async def _say(self, ready: Iterable[_Word], epoch: str) -> None:
        for word in ready:
            if epoch or not word.seq:
                message = word.message(epoch)
                await self._speaker.signal(contract.REVOCATION_APPLIED.of(word.event), message)

    def _tell(self, word: _Word) -> None:
        self._waiting.append(word)
        self._wake.set()
