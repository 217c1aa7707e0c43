"""`catalogue show` tells which change is which: what each generation changed, and which was a rollback."""

from ctl.catalogue_history import as_json, history, line
from latchwire.documents import Document

DEMO = "services: {demo: {paths: [/demo], upstream: http://127.0.0.1:9}}"
OPEN = "services: {demo: {paths: [/demo], upstream: http://127.0.0.1:9, require_auth: false}}"
SHOP = "services: {shop: {paths: [/shop], upstream: http://127.0.0.1:9}}"
NEWER = "services: {demo: {paths: [/demo], upstream: http://127.0.0.1:9, of_tomorrow: true}}"


def kept(*bodies: object) -> tuple[Document, ...]:
    """Generations from 4 on, a second apart."""
    return tuple(Document("catalogue", 4 + n, n * 1000, body) for n, body in enumerate(bodies))


def test_each_generation_says_what_it_changed_and_the_last_that_it_is_in_force() -> None:
    """Services and keys by their names in the file; a rollback names the generation it repeats."""
    told = [line(each) for each in history(kept(DEMO, OPEN, SHOP, OPEN))]

    assert told == [
        "generation 4  1970-01-01T00:00:00Z  the oldest that is kept",
        (
            "generation 5  1970-01-01T00:00:01Z  changed demo: require_auth; opens */demo to everybody; "
            "opens demo: require_auth true -> false"
        ),
        "generation 6  1970-01-01T00:00:02Z  added shop; removed demo",
        (
            "generation 7  1970-01-01T00:00:03Z  added demo; removed shop; opens */demo to everybody "
            "(as 5; in force)"
        ),
    ]


def test_what_this_version_cannot_read_is_said_and_hides_nothing_else() -> None:
    """A catalogue of a newer version, a body that is none, and one that differs in words alone."""
    told = [line(each) for each in history(kept(NEWER, DEMO, 7, DEMO + " # again"))]

    assert told[0].endswith("  cannot be used by this version")
    assert told[1].endswith("  the one before cannot be compared")
    assert told[2].endswith("  cannot be used by this version")
    assert told[3].endswith("  the one before cannot be compared (in force)")
    assert line(history(kept(DEMO, DEMO + " # x"))[1]).endswith("  no service changed (in force)")


def test_machines_read_the_same() -> None:
    """The generation, its time, what it repeats, whether it counts, and the changes one by one."""
    first, last = (as_json(each) for each in history(kept(DEMO, SHOP)))

    assert (first["changes"], first["in_force"], first["as"]) == (None, False, None)
    assert (last["generation"], last["at"], last["in_force"]) == (5, 1000, True)
    assert [(c["kind"], c["service"]) for c in last["changes"]] == [  # type: ignore[attr-defined]
        ("added", "shop"),
        ("removed", "demo"),
    ]
