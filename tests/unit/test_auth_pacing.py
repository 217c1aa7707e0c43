"""When the answer to a request for a link leaves."""

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.http.pacing import (
    FLOOR_SECONDS,
    HASHED_SECONDS,
    JITTER_SECONDS,
    seconds_left,
)
from tests.bench.bench_enumeration import rank_sum_p
from tests.support.servers import ROOT

# What is asked of `RegisterFlow`, `PasswordFlow` and `ResetFlow` about an address that anybody may name.
UNEQUAL = re.compile(
    r"(?:flow|registering|passwords|resetting)\.(?:register|resend|log_in|forgot)\("
)


@given(
    st.floats(0, 10),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([FLOOR_SECONDS, HASHED_SECONDS]),
)
def test_an_answer_leaves_at_a_multiple_of_the_floor_and_a_little(
    elapsed: float, chance: float, floor: float
) -> None:
    """Whatever the work took: never before the floor, never more than a floor and the jitter later."""
    left = seconds_left(elapsed, chance, floor)
    sent = elapsed + left - chance * JITTER_SECONDS

    assert 0 <= left + 1e-9
    assert left <= floor + JITTER_SECONDS + 1e-9
    assert sent >= floor - 1e-9
    assert abs(sent / floor - round(sent / floor)) < 1e-6


def test_whatever_depends_on_who_has_an_account_is_answered_in_its_own_time() -> None:
    """Every door to these flows, of the API and of the pages, paces its answer."""
    paced = {}
    for path in sorted((ROOT / "services" / "auth" / "http").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AsyncFunctionDef) and UNEQUAL.search(ast.unparse(node)):
                paced[f"{path.stem}.{node.name}"] = "await paced(" in ast.unparse(node)

    assert len(paced) >= 8, paced
    assert [door for door, is_paced in paced.items() if not is_paced] == []


@pytest.mark.parametrize("works", [(0.003, 0.004), (0.059, 0.0001), (0.070, 0.119)])
def test_two_works_within_a_floor_are_answered_at_the_same_time(works: tuple[float, float]) -> None:
    """The difference a bystander could measure is gone."""
    one, two = (work + seconds_left(work, 0.5) for work in works)

    assert one == pytest.approx(two)


def test_the_benchs_own_statistics_tell_what_differs_from_what_does_not() -> None:
    """Against values of scipy.stats.mannwhitneyu (asymptotic, without continuity correction)."""
    assert rank_sum_p([1, 2, 3, 4], [1, 2, 3, 4]) == pytest.approx(1)
    assert rank_sum_p([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(0.009023, abs=1e-6)
    assert rank_sum_p(list(range(200)), list(range(50, 250))) < 1e-8
