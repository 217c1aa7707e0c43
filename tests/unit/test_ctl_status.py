"""What `status` warns of; the rest of it is seen at running servers."""

import pytest

from ctl.commands.status import Overview
from ctl.lost_catalogue import NO_DOCUMENT
from shared.messages import EdgeList


@pytest.mark.parametrize(
    ("kept", "lost", "by_up", "warned"),
    [
        (0, (), False, True),
        (0, (), True, False),  # its services.yaml is what counts, saved or not
        (
            0,
            ("the catalogue in force is lost",),
            False,
            False,
        ),  # which is a problem, and said as one
        (3, (), False, False),
        (None, (), False, False),
    ],
)
def test_that_files_count_is_warned_of_where_another_catalogue_may_have_been_applied(
    kept: int | None, lost: tuple[str, ...], by_up: bool, warned: bool
) -> None:
    """Not at a first `make up`, where nobody has applied anything."""
    told = EdgeList(edges=(), whole=True)
    overview = Overview([], [], told, None, {}, kept, lost, by_up=by_up)

    assert (NO_DOCUMENT in overview.warnings) is warned
    assert all(line in overview.problems for line in lost)
