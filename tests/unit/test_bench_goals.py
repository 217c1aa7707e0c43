"""A benchmark says whether its goal is met; nobody has to compare numbers."""

import re
from pathlib import Path

import pytest

from tests.bench.goals import at_most, memory

BENCH = Path(__file__).resolve().parents[1] / "bench"


def test_a_goal_is_met_up_to_its_bound_and_missed_beyond() -> None:
    """The word to look for is in capitals."""
    assert at_most(60.0, 60, "s") == "  60.0 s  goal: at most 60 s (met)"
    assert at_most(60.1, 60, "s").endswith("(MISSED)")
    assert memory(95.0).endswith("(met)")
    assert memory(96.0).endswith("(MISSED)"), "100.7 MB"


@pytest.mark.parametrize("script", sorted(BENCH.glob("bench_*.py")), ids=lambda path: path.stem)
def test_every_benchmark_prints_a_goal(script: Path) -> None:
    """By the helper, or in its own words."""
    text = script.read_text()

    assert re.search(r"MISSED|\bat_most\(|\bmemory\(", text)
