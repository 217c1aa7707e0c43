"""What `edges list` and `status` say of an edge."""

from typing import Any

import pytest

from ctl.commands.edges import (
    UNPROVEN_MS,
    edge_table,
    problems_of,
    roll_of,
    state_of,
    warnings_of,
)
from shared.bus import Position
from shared.messages import EdgeList, GoneEdge, Heartbeat, SeenEdge

POSITION = Position("e", 1, 7)
UNKNOWN = Position("", 0, 0)  # no revocation worker answers


def seen(
    *,
    age_ms: int = 500,
    ready: bool = True,
    epoch: str = "e",
    edge_id: str = "edge-1",
    keys: int = 0,
    catalogue: int = 0,
) -> SeenEdge:
    """An edge that was heard so long ago."""
    beat = Heartbeat(
        edge_id=edge_id,
        at=0,
        epoch=epoch,
        seq=7,
        ready=ready,
        staleness_ms=0,
        blocklist_size=0,
        keys_generation=keys,
        catalogue_generation=catalogue,
    )
    return SeenEdge(beat=beat, age_ms=age_ms)


def roll(
    *edges: SeenEdge, missing: tuple[str, ...] = (), unnamed: tuple[str, ...] = ()
) -> EdgeList:
    """What a revocation worker tells."""
    return EdgeList(edges=edges, window_ms=12_000, missing=missing, unnamed=unnamed)


def test_an_edge_that_fell_silent_is_a_problem_although_it_said_ready() -> None:
    """Three missed heartbeats: nobody knows what it does."""
    silent = seen(age_ms=3_001)

    assert state_of(silent, POSITION) == "silent"
    assert problems_of(roll(silent)) == [
        "edge edge-1 is silent for 3 s, and may still let people in"
    ]


def test_a_ready_edge_is_none_and_a_refusing_one_is() -> None:
    """One word, and one line where there is something to do."""
    assert (state_of(seen(), POSITION), problems_of(roll(seen()))) == ("ready", [])
    assert state_of(seen(epoch="other"), POSITION) == "other epoch"
    assert problems_of(roll(seen(ready=False))) == ["edge edge-1 refuses"]


@pytest.mark.parametrize(
    ("edge", "position", "word"),
    [
        ({"epoch": "e"}, UNKNOWN, "ready"),
        ({"epoch": "e", "ready": False, "staleness_ms": 10_001}, UNKNOWN, "stale"),
        ({"epoch": "e", "ready": False, "staleness_ms": 10_001}, POSITION, "stale"),
        ({"epoch": "", "ready": False, "staleness_ms": UNPROVEN_MS}, POSITION, "refusing"),
        ({"epoch": "other", "ready": False, "staleness_ms": 10_001}, POSITION, "other epoch"),
    ],
)
def test_an_epoch_that_nobody_knows_is_not_another_one(
    edge: dict[str, Any], position: Position, word: str
) -> None:
    """While no revocation worker answers, the operator is not sent to a blocklist that was lost."""
    beat = seen().beat.model_copy(update=edge)
    told = SeenEdge(beat=beat, age_ms=500)
    assert state_of(told, position) == word
    shown = edge_table(roll(told), position).splitlines()[1].split("  ")
    behind = [cell.strip() for cell in shown if cell.strip()][3]
    assert behind == ("0" if position.epoch else "-")


def test_no_edge_at_all_is_a_problem() -> None:
    """Nothing is let in, or nobody can tell."""
    assert problems_of(roll()) == ["no edge is heard"]


def test_an_edge_that_goes_by_an_older_document_is_named() -> None:
    """It missed one, or refused it: people may get in there by yesterday's keys or rules."""
    old, new = seen(keys=2, catalogue=5), seen(edge_id="edge-2", keys=3, catalogue=5)

    assert warnings_of(roll(new, new)) == []
    assert warnings_of(roll(old, new)) == [
        "edge edge-1 goes by generation 2 of the keys, another by 3"
    ]
    assert warnings_of(roll(seen(keys=2, age_ms=9_000), new)) == [], (
        "a silent edge is a problem already"
    )


def test_the_table_shows_what_each_edge_goes_by() -> None:
    """Keys and catalogue by generation, beside how far and how fresh it is."""
    heading, row = edge_table(roll(seen(keys=3, catalogue=5)), POSITION).splitlines()

    shown = dict(zip(heading.split(), row.split("  "), strict=False))
    assert {"KEYS", "CATALOGUE", "STALENESS"} <= set(shown)
    assert [cell.strip() for cell in row.split("  ") if cell.strip()][6:8] == ["3", "5"]


def test_an_edge_that_was_named_and_is_not_heard_is_a_problem_and_a_row() -> None:
    """It may be down, or cut off since before the worker listened."""
    told = roll(seen(), missing=("edge-2",))

    assert problems_of(told) == [
        "edge edge-2 is missing: LATCHWIRE_EDGES names it, and it is not heard"
    ]
    assert edge_table(told, POSITION).splitlines()[-1].split()[:3] == ["edge-2", "missing", "-"]
    assert problems_of(roll(missing=("edge-2",)))[0] == "no edge is heard"


def test_an_edge_that_nobody_named_is_told_of_and_works() -> None:
    """New routes wait for longer because of it, which nobody would find out otherwise."""
    told = roll(seen(), seen(edge_id="edge-9"), unnamed=("edge-9",))

    assert problems_of(told) == []
    (line,) = warnings_of(told)
    assert line.startswith("edge edge-9 is not in LATCHWIRE_EDGES")
    assert "12 s" in line


def test_two_edges_with_one_name_are_told_of() -> None:
    """With the cure."""
    told = roll(seen()).model_copy(update={"twice": ("edge-1",)})

    assert problems_of(told) == []
    (line,) = warnings_of(told)
    assert line.startswith("two processes say that they are edge-1")
    assert "LATCHWIRE_EDGE_ID" in line


def test_machines_read_what_is_missing_too() -> None:
    """Beside the edges, in `edges list --json` and `status --json`."""
    told = roll_of(roll(seen(), missing=("edge-2",), unnamed=("edge-9",)), POSITION)

    assert (told["missing"], told["unnamed"]) == (["edge-2"], ["edge-9"])
    assert [row["state"] for row in told["edges"]] == ["ready"]  # type: ignore[attr-defined]


def test_an_edge_that_is_gone_is_a_row_and_a_warning() -> None:
    """Where nobody named the edges it may have been taken away: nothing is wrong for sure."""
    gone = GoneEdge(edge_id="edge-2", age_ms=312_000)
    told = roll(seen()).model_copy(update={"gone": (gone,)})

    assert problems_of(told) == []
    (line,) = warnings_of(told)
    assert line.startswith("edge edge-2 was heard 5 min ago, and has closed")
    row = edge_table(told, POSITION).splitlines()[-1].split()
    assert (row[:2], row[-3:]) == (["edge-2", "gone"], ["312", "s", "ago"])
    assert roll_of(told, POSITION)["gone"] == [{"edge_id": "edge-2", "age_ms": 312_000}]
