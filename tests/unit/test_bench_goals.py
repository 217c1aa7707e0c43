"""A benchmark says whether its goal is met; nobody has to compare numbers."""

import re
from pathlib import Path

import pytest

from tests.bench.goals import at_least, at_most, memory, ratio_at_least, ratio_at_most
from tests.bench.pages import Page

BENCH = Path(__file__).resolve().parents[1] / "bench"


def test_a_goal_is_met_up_to_its_bound_and_missed_beyond() -> None:
    """The word to look for is in capitals."""
    assert at_most(60.0, 60, "s") == "  60.0 s  goal: at most 60 s (met)"
    assert at_most(60.1, 60, "s").endswith("(MISSED)")
    assert at_least(1200.0, 1200, "/s") == "1200.0 /s  goal: at least 1200 /s (met)"
    assert at_least(1199.9, 1200, "/s").endswith("(MISSED)")
    assert memory(95.0).endswith("(met)")
    assert memory(96.0).endswith("(MISSED)"), "100.7 MB"


def test_a_ratio_is_bounded_from_above_or_from_below() -> None:
    """At most so many times the floor; at least such a part of it."""
    assert ratio_at_most(2.5, 2.5) == "  2.50 x  goal: at most 2.5 x (met)"
    assert ratio_at_most(2.51, 2.5).endswith("(MISSED)")
    assert ratio_at_least(0.5, 0.5) == "  0.50 x  goal: at least 0.5 x (met)"
    assert ratio_at_least(0.49, 0.5).endswith("(MISSED)")


def test_a_page_is_read_by_another_process_as_it_was_written(tmp_path: Path) -> None:
    """The first time of a tag counts, short tags come back as they were, and a full page takes no more."""
    writer = Page(tmp_path / "page", rows=3)
    reader = Page(tmp_path / "page", rows=3)
    for tag in (b"a", b"b" * 32, b"a", b"c"):
        writer.note(tag)

    (first, one), (second, two), (third, three) = reader.rows()

    assert (first, second, third) == (b"a", b"b" * 32, b"a")
    assert one <= two <= three
    assert reader.read() == {b"a": one, b"b" * 32: two}


@pytest.mark.parametrize("script", sorted(BENCH.glob("bench_*.py")), ids=lambda path: path.stem)
def test_every_benchmark_prints_a_goal(script: Path) -> None:
    """By the helper, or in its own words; itself or in one of its parts."""
    parts = BENCH.glob(f"{script.stem.removeprefix('bench_')}_*.py")
    text = "".join(path.read_text() for path in (script, *parts))

    assert re.search(r"MISSED|\bat_(most|least)\(|\bmemory\(", text)
