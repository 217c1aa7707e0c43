"""Which generation of the routes the gateway gets: none that a live edge does not know."""

import pytest

from services.auth.domain.rollout import MAX_WAITING, Roll, Rollout, Version


def version(generation: int) -> Version:
    """The routes of one generation."""
    return Version(generation, b"routes %d" % generation)


def rollout(served: int | None, *waiting: int) -> Rollout:
    """What is served, and what waits."""
    first = None if served is None else version(served)
    return Rollout(first, tuple(map(version, waiting)))


SERVED_AFTER = [
    # served, waiting, the edges' generations, whole roll -> served afterwards
    (1, (2,), (2, 2), True, 2),
    (1, (2,), (2, 1), True, 1),  # one edge is behind
    (1, (2,), (3, 5), True, 2),  # the edges may be further than auth
    (1, (2, 3, 4), (3, 4), True, 3),  # as far as the slowest
    (1, (2, 3, 4), (1, 9), True, 1),
    (1, (2,), (), True, 2),  # no edge is live: nobody lets anybody in
    (1, (2,), (), False, 1),  # none was heard yet, which says nothing
    (1, (2,), (2, 2), False, 1),  # another edge may be live, and behind
    (None, (2,), (2,), False, 2),  # the first: the gateway has what it had
    (None, (2,), (1,), False, None),
    (None, (0,), (0,), True, 0),  # everybody goes by the same file
    (None, (2,), (), False, None),
    (None, (), (3,), True, None),
]


@pytest.mark.parametrize(("served", "waiting", "edges", "whole", "after"), SERVED_AFTER)
def test_routes_are_served_when_every_live_edge_has_them_and_not_before(
    served: int | None,
    waiting: tuple[int, ...],
    edges: tuple[int, ...],
    whole: bool,
    after: int | None,
) -> None:
    """A service is never routed before each edge knows who may call it."""
    found = rollout(served, *waiting).heard(Roll(edges, whole)).served

    assert (found.generation if found else None) == after


@pytest.mark.parametrize("edges", [(10, 9), (9,), (0,), (10, 0)])
def test_the_routes_of_a_file_that_nobody_applied_are_not_served_beside_a_document(
    edges: tuple[int, ...],
) -> None:
    """Auth has started again while an edge is a generation behind: the gateway keeps what it has."""
    started = Rollout().with_new(version(0)).with_new(version(10))

    assert started.heard(Roll(edges, whole=True)).served is None
    assert started.heard(Roll((10, 11), whole=True)).served == version(10)


def test_what_was_passed_over_is_not_served_later() -> None:
    """From 1 straight to 3: 2 is history."""
    after = rollout(1, 2, 3, 4).heard(Roll((3, 3), True))

    assert [v.generation for v in after.waiting] == [4]


def test_a_long_outage_does_not_keep_every_version_and_does_keep_the_newest() -> None:
    """And what is served stays."""
    found = rollout(1)
    for generation in range(2, 100):
        found = found.with_new(version(generation))

    assert found.served == version(1)
    assert (len(found.waiting), found.waiting[-1]) == (MAX_WAITING, version(99))
