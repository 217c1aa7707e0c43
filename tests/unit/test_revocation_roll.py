"""The roll of edges: silent ones stay on it until they have closed by themselves; it knows what it misses."""

from dataclasses import dataclass

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from services.edge.handlers.heartbeat import EVERY_SECONDS
from services.revocation.flows.roll import (
    GONE_SECONDS,
    MAX_EDGES,
    MISSING_AFTER_MS,
    SPOKEN_MS,
    EdgeRoll,
)
from shared.messages import EdgeList, Heartbeat, ListEdges
from shared.messages.edge import LONGEST_STALENESS_MS
from tests.support.fakes.clock import FakeClock

WINDOW_MS = 12_000  # max_staleness of 10 s and the margin


@dataclass
class FakeLink:
    """A connection that a test makes anew."""

    reconnections: int = 0


class Desk:
    """A worker's roll, its clock and its connection."""

    def __init__(self, *names: str) -> None:
        self.clock = FakeClock()
        self.link = FakeLink()
        self.roll = EdgeRoll(self.clock, self.link, usual_staleness=10.0, names=names)

    async def hear(self, edge_id: str, *, patience_ms: int = 10_000, started_at: int = 0) -> None:
        """A heartbeat."""
        await self.roll.hear(
            Heartbeat(
                edge_id=edge_id,
                at=0,
                epoch="e",
                seq=1,
                ready=True,
                staleness_ms=0,
                blocklist_size=0,
                max_staleness_ms=patience_ms,
                started_at=started_at,
            )
        )

    async def told(self) -> EdgeList:
        """The answer to an operator."""
        return await self.roll.answer(ListEdges())

    async def names(self) -> list[str]:
        """The edges it counts as live."""
        return [seen.beat.edge_id for seen in (await self.told()).edges]


async def test_a_silent_edge_is_live_until_it_has_closed_by_itself() -> None:
    """To the millisecond: its own patience and two seconds."""
    desk = Desk()
    await desk.hear("edge-1")

    desk.clock.advance(WINDOW_MS)
    assert await desk.names() == ["edge-1"]
    assert (await desk.told()).edges[0].age_ms == WINDOW_MS

    desk.clock.advance(1)
    assert await desk.names() == []


async def test_an_edge_with_a_patient_route_is_live_for_longer() -> None:
    """Each edge says how long it may go on without a proof."""
    desk = Desk()
    await desk.hear("edge-1", patience_ms=60_000)
    await desk.hear("edge-2")
    desk.clock.advance(WINDOW_MS + 1)

    assert await desk.names() == ["edge-1"]


async def test_what_was_silent_before_one_listened_is_not_claimed_to_be_known() -> None:
    """Whole only after listening for as long as an edge may be silent and live."""
    desk = Desk()
    assert not (await desk.told()).whole

    desk.clock.advance(WINDOW_MS)
    assert (await desk.told()).whole

    await desk.hear("edge-1", patience_ms=60_000)
    assert not (await desk.told()).whole, "one with such a route may have fallen silent before"


async def test_it_says_how_long_a_silent_edge_may_go_on() -> None:
    """By then even one that nobody has heard of has closed itself: the operator's time is counted by it."""
    desk = Desk()
    assert (await desk.told()).window_ms == WINDOW_MS

    await desk.hear("edge-1", patience_ms=60_000)
    assert (await desk.told()).window_ms == 62_000


async def test_after_a_lost_connection_listening_begins_anew() -> None:
    """Beats that were missed meanwhile may have been an edge's last."""
    desk = Desk()
    desk.clock.advance(WINDOW_MS)
    desk.link.reconnections += 1

    assert not (await desk.told()).whole
    desk.clock.advance(WINDOW_MS)
    assert (await desk.told()).whole


async def test_the_roll_is_bounded_and_says_when_it_had_to_forget() -> None:
    """Dead edges make room first; when a live one has to go, the roll is not whole."""
    desk = Desk()
    await desk.hear("edge-dead")
    desk.clock.advance(WINDOW_MS + 1)
    for number in range(MAX_EDGES):
        await desk.hear(f"edge-{number}")
    assert (await desk.told()).whole

    await desk.hear("edge-more")
    told = await desk.told()

    assert len(told.edges) == MAX_EDGES
    assert "edge-more" in [seen.beat.edge_id for seen in told.edges]
    assert not told.whole
    assert len(told.model_dump_json()) < 512 * 1024, "one message of NATS"


async def test_a_second_heartbeat_replaces_the_first() -> None:
    """One row per edge, with its last word."""
    desk = Desk()
    await desk.hear("edge-1")
    desk.clock.advance(5_000)
    await desk.hear("edge-1")

    assert [seen.age_ms for seen in (await desk.told()).edges] == [0]


ONE, TWO, ELSE = "edge-1", "edge-2", "edge-9"
WHOLE_SOON = [
    # the names, what happens in turn -> whole before the window is over
    ((), [ONE], False),  # nobody said which edges there are
    ((ONE,), [], False),
    ((ONE,), [ONE], True),
    ((ONE, TWO), [ONE], False),
    ((ONE, TWO), [ONE, ONE], False),
    ((ONE, TWO), [ONE, TWO], True),
    ((ONE,), [ELSE], False),
    ((ONE,), [ONE, ELSE], False),  # the names are not all: another such edge may be silent
    ((ONE,), [ELSE, ONE], False),
    ((ONE,), [ONE, "link lost"], False),  # what it said last may have been missed
    ((ONE,), [ONE, "link lost", ONE], True),
    ((ONE,), [ONE, ELSE, "link lost", ONE], False),  # it was heard once: the names are not all
    ((ONE, TWO), [ONE, "link lost", TWO], False),
]


@pytest.mark.parametrize(("names", "happens", "whole"), WHOLE_SOON)
async def test_with_the_names_of_all_edges_the_roll_is_whole_when_each_has_spoken(
    names: tuple[str, ...], happens: list[str], whole: bool
) -> None:
    """And no other has. In every other case it takes as long as a silent edge may go on."""
    desk = Desk(*names)
    for what in happens:
        if what == "link lost":
            desk.link.reconnections += 1
        else:
            await desk.hear(what)
    assert not desk.roll.whole(), "who has no name has not had the time to speak"
    desk.clock.advance(SPOKEN_MS)

    assert desk.roll.whole() is whole
    assert (await desk.told()).whole is whole
    desk.clock.advance(WINDOW_MS)
    assert (await desk.told()).whole


@pytest.mark.parametrize(("at_ms", "whole"), [(SPOKEN_MS - 1, False), (SPOKEN_MS, True)])
async def test_nothing_is_whole_before_every_live_edge_has_had_the_time_to_speak(
    at_ms: int, whole: bool
) -> None:
    """Once a second: all with a name may have spoken before one that nobody named, and that lags."""
    assert SPOKEN_MS > EVERY_SECONDS * 1000
    desk, alone = Desk(ONE, TWO), Desk(ONE, TWO)
    for one in (desk, alone):
        one.clock.advance(100)
        await one.hear(ONE)
        await one.hear(TWO)
        assert not (await one.told()).whole
        one.clock.advance(at_ms - 100)
    assert (await alone.told()).whole is whole

    await desk.hear(ELSE)
    assert not (await desk.told()).whole, "and then by the window"


async def test_a_named_edge_that_spoke_and_fell_silent_stays_on_the_whole_roll() -> None:
    """What waits for all edges waits for its last word to be overtaken by its closing, and no longer."""
    desk = Desk(ONE, TWO)
    await desk.hear(ONE)
    await desk.hear(TWO)
    desk.clock.advance(WINDOW_MS - 1)
    await desk.hear(TWO)
    assert (await desk.names(), (await desk.told()).whole) == ([ONE, TWO], True)

    desk.clock.advance(2)
    assert (await desk.names(), (await desk.told()).whole) == ([TWO], True)


async def test_the_last_edge_died_before_the_worker_began_to_listen() -> None:
    """Named and silent: nothing is whole before its patience must be over; and no edge is live."""
    desk = Desk(ONE)
    desk.clock.advance(WINDOW_MS - 1)
    told = await desk.told()
    assert (told.whole, told.missing) == (False, (ONE,))

    desk.clock.advance(1)
    told = await desk.told()
    assert (told.whole, told.edges, told.missing) == (True, (), (ONE,))


async def test_a_named_edge_is_missing_while_it_is_not_live() -> None:
    """Not in the first seconds, in which nobody can have spoken; nor while it is only silent."""
    desk = Desk(ONE, TWO)
    await desk.hear(ONE)
    assert (await desk.told()).missing == ()

    desk.clock.advance(MISSING_AFTER_MS)
    assert (await desk.told()).missing == (TWO,)
    assert desk.roll.trouble() == "named in LATCHWIRE_EDGES and not heard: edge-2"

    await desk.hear(TWO)
    assert ((await desk.told()).missing, desk.roll.trouble()) == ((), None)
    desk.clock.advance(WINDOW_MS + 1)
    assert (await desk.told()).missing == (ONE, TWO)


async def test_an_edge_without_a_name_is_told_of_and_logged_once() -> None:
    """In the answer, in /ready, where `doctor` reads it, and as one line."""
    desk = Desk(ONE)
    with capture_logs() as logs:
        for name in (ONE, ELSE, ELSE):
            await desk.hear(name)

    assert (await desk.told()).unnamed == (ELSE,)
    assert desk.roll.trouble() == "heard and not named in LATCHWIRE_EDGES: edge-9"
    assert [(e["event"], e["edge"]) for e in logs] == [("edges.unnamed_heard", ELSE)]


@pytest.mark.parametrize(
    ("started", "twice"),
    [
        ([1, 1, 1], False),
        ([1, 2, 2], False),  # started anew
        ([1, 2, 3], False),
        ([1, 2, 1], True),  # the first goes on: it was cut off, or both are meant to be there
        ([2, 1], True),
        ([2, 0], False),  # an older version does not say
    ],
)
async def test_two_processes_with_one_name_are_told_of(started: list[int], twice: bool) -> None:
    """One row stands for both, and a receipt of one would be taken for the other's."""
    desk = Desk(ONE)
    with capture_logs() as logs:
        for began in started * 2 if twice else started:
            await desk.hear(ONE, started_at=began)

    assert (await desk.told()).twice == ((ONE,) if twice else ())
    assert [e["event"] for e in logs] == (["edges.two_with_one_name"] if twice else [])
    assert ("two processes" in (desk.roll.trouble() or "")) is twice

    desk.clock.advance(WINDOW_MS + 1)
    assert (await desk.told()).twice == ()


async def test_many_troubles_are_still_one_short_line() -> None:
    """Three names and how many more."""
    desk = Desk(*(f"edge-{letter}" for letter in "abcde"))
    desk.clock.advance(MISSING_AFTER_MS)

    assert (desk.roll.trouble() or "").endswith("edge-a, edge-b, edge-c and 2 more")


async def test_without_names_nobody_is_missing_and_nobody_a_stranger() -> None:
    """As before there were any."""
    desk = Desk()
    await desk.hear(ELSE)
    desk.clock.advance(MISSING_AFTER_MS)
    told = await desk.told()

    assert (told.missing, told.unnamed, desk.roll.trouble()) == ((), (), None)


async def test_without_names_an_edge_that_closed_is_told_of_for_an_hour() -> None:
    """Else it would vanish from every list a few seconds after it died, and nothing be wrong."""
    desk = Desk()
    await desk.hear(ONE)
    await desk.hear(TWO)
    desk.clock.advance(WINDOW_MS + 1)
    await desk.hear(ONE)

    told = await desk.told()
    assert [(e.edge_id, e.age_ms) for e in told.gone] == [(TWO, WINDOW_MS + 1)]
    assert [e.beat.edge_id for e in told.edges] == [ONE]
    desk.clock.advance(round(GONE_SECONDS * 1000) - WINDOW_MS - 1)
    assert [e.edge_id for e in (await desk.told()).gone] == [ONE, TWO]
    desk.clock.advance(1)
    assert [e.edge_id for e in (await desk.told()).gone] == [ONE]
    await desk.hear(ONE)
    assert (await desk.told()).gone == ()


async def test_with_names_who_closed_is_missing_and_not_gone_too() -> None:
    """One word for one thing; and whoever is taken out of the names is forgotten."""
    desk = Desk(ONE)
    await desk.hear(ONE)
    await desk.hear(ELSE)
    desk.clock.advance(WINDOW_MS + 1)

    assert ((await desk.told()).missing, (await desk.told()).gone) == ((ONE,), ())


LIES = {
    "max_staleness_ms": [LONGEST_STALENESS_MS + 1, 10**15, -1],
    "seq": [-1, 1 << 63],
    "staleness_ms": [-1, 10**15],
    "blocklist_size": [-1, 1 << 63],
    "keys_generation": [-1, 1 << 63],
    "catalogue_generation": [-1, 1 << 63],
}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, vs in LIES.items() for v in vs])
def test_a_heartbeat_beyond_every_bound_is_none(field: str, value: int) -> None:
    """A stolen edge's patience of years would keep everybody waiting: such a word is skipped."""
    beat = {
        "edge_id": "edge-1", "at": 0, "epoch": "e", "seq": 1, "ready": True, "staleness_ms": 0,
        "blocklist_size": 0,
    }  # fmt: skip
    Heartbeat.model_validate(beat)

    with pytest.raises(ValidationError):
        Heartbeat.model_validate(beat | {field: value})
