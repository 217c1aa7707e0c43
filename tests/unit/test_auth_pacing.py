"""When the answer to a request for a link leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.http.pacing import FLOOR_SECONDS, JITTER_SECONDS, seconds_left
from tests.bench.bench_enumeration import rank_sum_p


@given(st.floats(0, 10), st.floats(0, 1, exclude_max=True))
def test_an_answer_leaves_at_a_multiple_of_the_floor_and_a_little(
    elapsed: float, chance: float
) -> None:
    """Whatever the work took: never before the floor, never more than a floor and the jitter later."""
    left = seconds_left(elapsed, chance)
    sent = elapsed + left - chance * JITTER_SECONDS

    assert 0 <= left + 1e-9
    assert left <= FLOOR_SECONDS + JITTER_SECONDS + 1e-9
    assert sent >= FLOOR_SECONDS - 1e-9
    assert abs(sent / FLOOR_SECONDS - round(sent / FLOOR_SECONDS)) < 1e-6


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
