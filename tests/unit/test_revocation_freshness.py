"""Proofs: never older than the question, and cheap when many ask at once."""

import asyncio
from collections.abc import Sequence

import pytest

from services.revocation.flows.freshness import BlocklistRefillingError, FreshnessDesk
from services.revocation.flows.wholeness import Wholeness
from shared.bus import BusUnavailableError, Position
from shared.bus.state import StoredMessage
from shared.contract import BLOCKLIST, REVOCATION, Durable, Stream
from shared.messages import Freshness, Probe
from shared.revokers import parse_revokers
from tests.support.fakes.blocklist import FakeBlocklist
from tests.support.fakes.clock import FakeClock

BACKLOGS = ["revocation", "revocation-by"]
ROUND = [*BACKLOGS, "BLOCKLIST", "DOCUMENT"]
FIRST = [*BACKLOGS, "BLOCKLIST", *BACKLOGS, "DOCUMENT"]  # of a BLOCKLIST that is not known yet


class HeldBroker(FakeBlocklist):
    """Lets each round of questions through only when told; notes the order of what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Semaphore(0)
        self.asked: list[str] = []
        self.waiting = asyncio.Event()

    async def consumer_backlog_ms(
        self, durable: Durable, subjects: Sequence[str] | None = None
    ) -> int:
        self.asked.append(durable.name)
        self.waiting.set()
        if durable is REVOCATION:
            await self.gate.acquire()
        return await super().consumer_backlog_ms(durable, subjects)

    async def stream_position(self, stream: Stream) -> Position:
        self.asked.append(stream.name)
        return await super().stream_position(stream)


async def test_an_answer_tells_epoch_position_and_backlog() -> None:
    """What an edge needs to judge itself."""
    broker = FakeBlocklist("epoch-7")
    broker.last_seq, broker.documents_seq = 42, 7
    desk = FreshnessDesk(broker)
    await desk.answer(Probe())
    broker.backlogs = {"revocation": 1500}

    answer = await desk.answer(Probe())

    assert answer == Freshness(epoch="epoch-7", last_seq=42, backlog_ms=1500, documents_seq=7)


class Looked(FakeBlocklist):
    """Counts how often what was acknowledged is looked up; *gone*: BLOCKLIST alone does not answer."""

    reconnections = 0
    looks = 0
    gone = False

    async def acknowledged(self, durable: Durable, most: int) -> list[StoredMessage]:
        self.looks += 1
        return []

    async def get_each(self, keys: Sequence[str]) -> list[tuple[bytes, int] | None]:
        return []

    async def stored_at(self, seq: int) -> str | None:
        return None

    async def stream_position(self, stream: Stream) -> Position:
        if self.gone and stream is BLOCKLIST:
            raise BusUnavailableError("stream not found")
        return await super().stream_position(stream)


async def test_a_blocklist_that_did_not_answer_is_looked_over_when_it_is_back() -> None:
    """It may have been put back from a copy meanwhile; while it answers, one look is enough."""
    broker = Looked()
    desk = FreshnessDesk(broker, Wholeness(broker, broker, FakeClock(), bytes(32)))
    await desk.answer(Probe())
    await desk.answer(Probe())
    assert broker.looks == 1

    broker.gone = True
    with pytest.raises(BusUnavailableError):
        await desk.answer(Probe())
    broker.gone = False
    await desk.answer(Probe())

    assert broker.looks == 2


async def test_a_new_blocklist_is_proven_once_the_replay_has_caught_up() -> None:
    """Edges that begin anew dropped what they refused; a proof dated back would let it in until it is there."""
    broker = FakeBlocklist("epoch-7")
    desk = FreshnessDesk(broker)
    await desk.answer(Probe())
    broker.epoch, broker.backlogs = "epoch-8", {"revocation": 6_000}

    with pytest.raises(BlocklistRefillingError):
        await desk.answer(Probe())
    with pytest.raises(BlocklistRefillingError):
        await FreshnessDesk(broker).answer(Probe())
    broker.backlogs = {"revocation": 20}
    assert (await desk.answer(Probe())).backlog_ms == 20


class Restored(FakeBlocklist):
    """The operator's ``streams apply --restored`` falls between the two questions of a round."""

    replay_ms = 0

    async def stream_position(self, stream: Stream) -> Position:
        if stream is BLOCKLIST and self.replay_ms:
            self.epoch, self.backlogs = "epoch-8", {"revocation": self.replay_ms}
        return await super().stream_position(stream)


async def test_a_replay_that_begins_while_an_edge_asks_is_not_missed() -> None:
    """The backlog was asked of what was there before; the position is of the new BLOCKLIST, which is empty."""
    broker = Restored("epoch-7")
    desk = FreshnessDesk(broker)
    await desk.answer(Probe())
    broker.replay_ms = 6_000

    with pytest.raises(BlocklistRefillingError):
        await desk.answer(Probe())


async def test_a_blocklist_that_holds_less_is_proven_once_it_was_caught_up_again() -> None:
    """Put back from a backup it has its epoch still; edges drop what they refused there too."""
    broker = FakeBlocklist("epoch-7")
    broker.last_seq = 40
    desk = FreshnessDesk(broker)
    await desk.answer(Probe())
    broker.last_seq, broker.backlogs = 20, {"revocation": 6_000}

    with pytest.raises(BlocklistRefillingError):
        await desk.answer(Probe())
    broker.backlogs = {}
    assert (await desk.answer(Probe())).last_seq == 20


async def test_what_a_service_said_counts_as_much() -> None:
    """A revocation of TOKEN_BY that waits makes the proof older, like one of TOKEN."""
    broker = FakeBlocklist()
    broker.backlogs = {"revocation": 200, "token.revoked.by.shop": 900}
    revokers = parse_revokers("shop: [session]")

    assert (await FreshnessDesk(broker, None, revokers).answer(Probe())).backlog_ms == 900


async def test_what_a_name_said_that_may_not_revoke_makes_no_proof_older() -> None:
    """It will never be applied: without a row, with an empty one, or after its row was removed."""
    broker = FakeBlocklist()
    broker.backlogs = {"revocation": 200, "token.revoked.by.shop": 900, "token.revoked.by.x": 900}

    for table in ("shop: []", "hr: [session]"):
        desk = FreshnessDesk(broker, None, parse_revokers(table))
        assert (await desk.answer(Probe())).backlog_ms == 200


async def test_who_asks_during_a_round_gets_the_next_one() -> None:
    """A revocation stored between the two is never missing from the later asker's proof."""
    broker = HeldBroker()
    desk = FreshnessDesk(broker)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(desk.answer(Probe()))
        await broker.waiting.wait()
        late = [group.create_task(desk.answer(Probe())) for _ in range(50)]
        broker.gate.release()
        broker.gate.release()
        await first
        broker.last_seq = 9
        broker.gate.release()

    assert first.result().last_seq == 0
    assert {task.result().last_seq for task in late} == {9}
    assert broker.asked == FIRST + ROUND, "fifty askers share one round"


async def test_the_backlogs_are_asked_before_the_positions() -> None:
    """The other order could miss an event that is applied between the two questions."""
    broker = HeldBroker()
    desk = FreshnessDesk(broker)
    for _ in range(3):
        broker.gate.release()

    await desk.answer(Probe())
    await desk.answer(Probe())

    assert broker.asked == FIRST + ROUND


async def test_no_leader_no_proof() -> None:
    """The asker gets no answer rather than a guess, and the next one is asked anew."""
    broker = FakeBlocklist()
    desk = FreshnessDesk(broker)
    broker.away = True
    with pytest.raises(BusUnavailableError):
        await desk.answer(Probe())

    broker.away = False

    assert (await desk.answer(Probe())).last_seq == 0
