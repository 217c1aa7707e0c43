"""Whose word about a stream counts: a leader that has heard from most copies just now."""

import pytest

from shared.bus.state import LEADER_SILENCE_NS, leads_a_majority

HEARD, SILENT, NEVER = LEADER_SILENCE_NS, LEADER_SILENCE_NS + 1, 0


@pytest.mark.parametrize(
    ("replicas", "followers", "leads"),
    [
        (1, [], True),
        (3, [HEARD, HEARD], True),
        (3, [HEARD, SILENT], True),
        (3, [SILENT, SILENT], False),
        (3, [NEVER, SILENT], False),
        (3, [HEARD], True),
        (3, [], False),
        (5, [HEARD, SILENT, SILENT, SILENT], False),
        (5, [HEARD, HEARD, SILENT, SILENT], True),
    ],
)
def test_a_leader_counts_while_most_copies_answer_it(
    replicas: int, followers: list[int], leads: bool
) -> None:
    """Itself is one of them; a follower it never heard of since it leads (0 ns) is silent."""
    info = {
        "config": {"num_replicas": replicas},
        "cluster": {"leader": "n0", "replicas": [{"active": age} for age in followers]},
    }

    assert leads_a_majority(info) is leads


def test_a_lone_server_leads_itself() -> None:
    """Without a cluster nothing is said about one."""
    assert leads_a_majority({"config": {"num_replicas": 1}})
