"""The judge of the fault tests is itself judged: each broken promise is found, and a good history passes."""

import pytest

from tests.support.history import Check, Effect, History, Seen, Window, violations

BOUND = 4.0
EDGE, OTHER = "edge-1", "edge-2"


def told() -> History:
    """A good history: `dead` is revoked at 10 and acknowledged at 10.1, `alive` never."""
    history = History(effects=[Effect("dead", "e", 7)], writes=1)
    history.begin("event", "dead", 10.0)
    history.acknowledge("event", 10.1)
    for edge in (EDGE, OTHER):
        history.checks += [
            seen("dead", 9.0, "accepted", edge),
            seen("alive", 9.5, "accepted", edge),
            seen("dead", 13.0, "accepted", edge),
            seen("dead", 13.5, "unsure", edge),
            seen("dead", 20.0, "revoked", edge),
            seen("alive", 20.1, "accepted", edge),
        ]
    return history


def seen(sid: str, at: float, what: Seen, edge: str = EDGE) -> Check:
    """A check that took 10 ms."""
    return Check(edge, sid, at, at + 0.01, what)


def judged(history: History, *healthy: Window) -> list[str]:
    """What the judge says."""
    return violations(history, bounds={EDGE: BOUND, OTHER: BOUND}, healthy=healthy)


def test_a_good_history_passes() -> None:
    """Also what is late within the bound, or unsure while not all is well."""
    assert judged(told()) == []


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (seen("dead", 14.2, "accepted"), "edge-1 accepted dead 4.10 s after it was acknowledged"),
        (seen("dead", 21.0, "accepted"), "edge-1 accepted dead after having refused it"),
        (seen("alive", 15.0, "revoked"), "edge-1 refused alive, which nobody had revoked"),
        (seen("dead", 9.9, "revoked"), "edge-1 refused dead, which nobody had revoked"),
        (seen("alive", 15.0, "wrong"), "edge-1 refused alive for a wrong reason"),
        (seen("dead", 21.0, "unsure"), "edge-1 does not refuse dead: unsure"),
    ],
)
def test_each_wrong_answer_is_found(check: Check, sentence: str) -> None:
    """One check too many makes the history bad."""
    history = told()
    history.checks.append(check)

    assert sentence in judged(history)


def test_a_session_nobody_asked_about_at_the_end_is_found() -> None:
    """Silence is no proof that it was refused."""
    history = told()
    history.checks = [c for c in history.checks if (c.edge, c.sid) != (OTHER, "dead")]

    assert judged(history) == ["edge-2 does not refuse dead: never asked"]


def test_what_is_slow_or_unsure_while_all_is_well_is_found() -> None:
    """In a healthy window the bound is a second, and 503 has no reason."""
    well = Window(10.0, 14.0, (EDGE,))

    assert judged(told(), well) == [
        "edge-1 took 2.90 s for dead while all was well",
        "edge-1 answered unsure about dead while all was well",
    ]


@pytest.mark.parametrize(
    ("effects", "writes", "sentence"),
    [
        ([Effect("dead", "e", 7), Effect("dead", "e", 9)], 2, "dead was written 2 times: [7, 9]"),
        ([Effect("dead", "e", 7)], 2, "BLOCKLIST was written 2 times for 1 records"),
        ([Effect("alive", "e", 7)], 1, "alive was written, and nobody had revoked it"),
    ],
)
def test_what_was_written_twice_or_by_nobody_is_found(
    effects: list[Effect], writes: int, sentence: str
) -> None:
    """A record that changed although nothing new was said about it."""
    history = told()
    history.effects, history.writes = effects, writes

    assert sentence in judged(history)


def test_what_was_not_acknowledged_may_count_either_way() -> None:
    """A revocation whose answer was lost may be in force, and need not be."""
    history = told()
    history.begin("lost", "maybe", 10.0)
    history.checks += [seen("maybe", 30.0, "accepted"), seen("maybe", 30.0, "revoked", OTHER)]

    assert judged(history) == []
