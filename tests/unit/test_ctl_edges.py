"""What `edges list` and `status` say of an edge."""

from ctl.commands.edges import problems_of, state_of
from shared.bus import Position
from shared.messages import Heartbeat, SeenEdge

POSITION = Position("e", 1, 7)


def seen(*, age_ms: int = 500, ready: bool = True, epoch: str = "e") -> SeenEdge:
    """An edge that was heard so long ago."""
    beat = Heartbeat(
        edge_id="edge-1",
        at=0,
        epoch=epoch,
        seq=7,
        ready=ready,
        staleness_ms=0,
        blocklist_size=0,
    )
    return SeenEdge(beat=beat, age_ms=age_ms)


def test_an_edge_that_fell_silent_is_a_problem_although_it_said_ready() -> None:
    """Three missed heartbeats: nobody knows what it does."""
    silent = seen(age_ms=3_001)

    assert state_of(silent, POSITION) == "silent"
    assert problems_of([silent]) == ["edge edge-1 is silent for 3 s, and may still let people in"]


def test_a_ready_edge_is_none_and_a_refusing_one_is() -> None:
    """One word, and one line where there is something to do."""
    assert (state_of(seen(), POSITION), problems_of([seen()])) == ("ready", [])
    assert state_of(seen(epoch="other"), POSITION) == "other epoch"
    assert problems_of([seen(ready=False)]) == ["edge edge-1 refuses"]


def test_no_edge_at_all_is_a_problem() -> None:
    """Nothing is let in, or nobody can tell."""
    assert problems_of([]) == ["no edge is heard"]
