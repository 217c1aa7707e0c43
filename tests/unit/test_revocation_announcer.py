"""``revocation.applied``: said once it is true, in the epoch it is true of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.revocation.flows.announce import Announcer
from services.revocation.flows.revoke import Known, Lapsed, Stored
from shared.contract import M, Subject
from shared.messages import RevocationApplied
from tests.support.fakes.blocklist import FakeBlocklist
from tests.support.waiting import eventually


class Room:
    """A speaker whose words a test can look at."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, RevocationApplied]] = []

    async def signal(self, subject: Subject[M], message: M) -> None:
        assert isinstance(message, RevocationApplied)
        self.heard.append((subject.name, message))


@asynccontextmanager
async def announcing(broker: FakeBlocklist) -> AsyncIterator[tuple[Announcer, Room]]:
    """An announcer at work."""
    room = Room()
    announcer = Announcer(broker, room)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(announcer.run())
        await asyncio.sleep(0)
        yield announcer, room
        task.cancel()


async def test_each_outcome_is_said_under_the_events_name() -> None:
    """With the sequence and the epoch where there is a record, and the reason where there is none."""
    async with announcing(FakeBlocklist("epoch-3")) as (announcer, room):
        announcer.applied("a", 1, Stored("k", 7))
        announcer.applied("b", 2, Known("k", 7))
        announcer.applied("c", 3, Lapsed())
        announcer.refused("d", 4, "not permitted")
        await eventually(lambda: len(room.heard) == 4)

    told = {name.rsplit(".", 1)[1]: said for name, said in room.heard}
    assert room.heard[0][0] == "revocation.applied.a"
    assert told == {
        "a": RevocationApplied(event="a", token_seq=1, outcome="stored", epoch="epoch-3", seq=7),
        "b": RevocationApplied(event="b", token_seq=2, outcome="known", epoch="epoch-3", seq=7),
        "c": RevocationApplied(event="c", token_seq=3, outcome="lapsed"),
        "d": RevocationApplied(event="d", token_seq=4, outcome="refused", reason="not permitted"),
    }


async def test_a_sequence_is_never_told_in_an_epoch_that_began_meanwhile() -> None:
    """Nobody knows to which of the two it belongs; the replay that follows tells of it again."""
    broker = FakeBlocklist("before")
    async with announcing(broker) as (announcer, room):
        announcer.applied("a", 1, Stored("k", 7))
        await eventually(lambda: len(room.heard) == 1)
        broker.epoch = "after"
        announcer.applied("b", 2, Stored("k", 8))
        announcer.applied("c", 3, Lapsed())
        await eventually(lambda: len(room.heard) == 2)
        announcer.applied("b", 2, Known("k", 1))
        await eventually(lambda: len(room.heard) == 3)

    assert [(said.event, said.epoch) for _, said in room.heard] == [
        ("a", "before"), ("c", ""), ("b", "after"),
    ]  # fmt: skip


async def test_what_is_to_be_said_waits_for_the_leader() -> None:
    """An outage of a moment loses no word."""
    broker = FakeBlocklist()
    async with announcing(broker) as (announcer, room):
        announcer.applied("a", 1, Stored("k", 7))
        await eventually(lambda: len(room.heard) == 1)
        broker.away = True
        announcer.applied("b", 2, Stored("k", 8))
        await asyncio.sleep(0)
        broker.away = False
        await eventually(lambda: len(room.heard) == 2)
